"""Bringing a base model in: safetensors and a tokenizer with a chat template, whatever it came as.

    python -m training.recipes.convert <folder>

    spec.json  {"method": "convert", "settings": {},
                "data": {"source": "/path/model.gguf" | "/path/folder" | "hub/id" | "https://host/v1#model",
                         "kind": "policy" | "classifier"}}

The result lies in `<folder>/model`. A GGUF file's compressed weights are unpacked to float32, with what was
lost in compressing them; other models keep their dtype.

Of an endpoint nothing is fetched: it is asked for one word, and `<folder>/model/endpoint.json` says where it is.

A classifier of texts needs no chat template, for it reads one text at a time. `result.json` names its "labels".

Left out: code that comes with a model (`trust_remote_code`), since a model is data here; and models without a
chat template, since every recipe writes conversations with it.
"""

import json
import platform
import shutil
from pathlib import Path
from typing import Any

from training.recipes.contract import BadData, Job, main, write_atomically


def run(job: Job) -> dict[str, Any]:
    if job.data("source").startswith(("https://", "http://")):
        return from_endpoint(job)
    if job.spec.data.get("kind") == "classifier":
        return classifier(job)
    return from_files(job)


def from_endpoint(job: Job) -> dict[str, Any]:
    from training.recipes.endpoint import Endpoint, patiently

    there = Endpoint.named(job.data("source"))
    patiently(there, job.stop, [{"role": "user", "content": "Hello."}], max_tokens=1)
    output = job.folder / "model"
    output.mkdir(exist_ok=True)
    write_atomically(output / "endpoint.json", json.dumps({"url": there.url, "model": there.model}))
    return {
        "output": "model",
        "format": "endpoint",
        "metrics": {},
        "rows": {},
        "environment": {"python": platform.python_version()},
    }


def from_files(job: Job) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.recipes import models

    source = job.data("source")
    where: dict[str, Any] = {"pretrained_model_name_or_path": source, "trust_remote_code": False}
    dtype: torch.dtype | str = "auto"
    if source.endswith(".gguf"):
        if not Path(source).is_file():
            raise BadData(f"There is no file {source}: give the path of a GGUF file on this machine.")
        where.update(pretrained_model_name_or_path=str(Path(source).parent), gguf_file=Path(source).name)
        dtype = torch.float32
    else:
        _must_be_there(source)

    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)  # nosec B615  # what was read is kept, with its hash
        if not tokenizer.chat_template:
            raise BadData(models.NO_TEMPLATE)
        # Weights as pickles (pytorch_model.bin) are programs: they are not opened.
        safely = {} if "gguf_file" in where else {"use_safetensors": True}
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=dtype, **safely)  # nosec B615  # the same
    except (OSError, ValueError, KeyError) as error:
        raise BadData(
            f"{source} could not be read as a model that writes text: check the path or the name, and that "
            "it is a folder with config.json and weights as safetensors, a GGUF file, or within reach on the hub."
        ) from error

    # What was read from a compressed file is compressed no more, and saving must not say that it is.
    model.hf_quantizer = None
    for name in ("is_quantized", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config

    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    ends = models.end_of_turn(tokenizer, model)
    if not ends:
        raise BadData("This model's tokenizer names no end of turn, so its answers would never end: choose another.")
    model.generation_config.eos_token_id = ends
    model.generation_config.do_sample = None  # a model's own sampling habits are not part of the weights
    model.generation_config.temperature = model.generation_config.top_p = model.generation_config.top_k = None

    output = job.folder / "model"
    shutil.rmtree(output, ignore_errors=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "output": "model",
        "format": "full",
        "metrics": {
            "parameters": parameters,
            "context": getattr(model.config, "max_position_embeddings", None),
        },
        "rows": {},
        "environment": models.environment(model.dtype),
    }


def classifier(job: Job) -> dict[str, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from training.recipes import models, reading

    source = job.data("source")
    _must_be_there(source)
    try:
        # What was read is kept, with its hash.
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)  # nosec B615
        model, report = AutoModelForSequenceClassification.from_pretrained(  # nosec B615
            source, dtype="auto", output_loading_info=True, **models.AS_DATA
        )
    except (OSError, ValueError, KeyError) as error:
        raise BadData(
            f"{source} could not be read as a model that classifies texts: check the path or the name, and that it "
            "has config.json and weights as safetensors."
        ) from error
    if report["missing_keys"]:  # a head that would be drawn at random
        raise BadData(f"{source} has no weights that tell labels apart: choose a model that was trained to classify.")
    labels = reading.labels_of(model.config)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id

    output = job.folder / "model"
    shutil.rmtree(output, ignore_errors=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return {
        "output": "model",
        "format": "full",
        "labels": labels,
        "metrics": {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "context": reading.longest(model, tokenizer),
        },
        "rows": {},
        "environment": models.environment(model.dtype),
    }


def _must_be_there(source: str) -> None:
    if source.startswith(("/", ".", "~")) and not Path(source).is_dir():
        raise BadData(f"There is no folder {source}: give the path of a model's folder on this machine.")


if __name__ == "__main__":
    main("convert", run)
