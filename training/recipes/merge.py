"""Merges an adapter into the weights that it lies on: one whole model, which needs no adapter library to be run.

    python -m training.recipes.merge <folder>

    spec.json  {"method": "merge", "model": {"base": ..., "adapter": ...}, "settings": {}}

The result is a full model in Hugging Face's layout with the tokenizer beside it, in the base's own precision.

Left out: quantised output, since serving programs each want their own.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from training.recipes.contract import BadData, Job, main


def run(job: Job) -> dict[str, Any]:
    import torch
    from transformers import PreTrainedModel

    from training.recipes import models

    if job.model.adapter is None:
        raise BadData("This model has no adapter to merge: it is whole already.")
    tokenizer = models.load_tokenizer(job.model.base)
    config = json.loads((Path(job.model.base) / "config.json").read_text())
    dtype = getattr(torch, str(config.get("dtype") or config.get("torch_dtype") or "float32"))
    model = models.load_policy(job.model, dtype, adapter="merge")
    if not isinstance(model, PreTrainedModel):
        raise BadData("This adapter cannot be added to weights, for it works beside them: use it as an adapter.")
    output = job.folder / "model"
    shutil.rmtree(output, ignore_errors=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return {
        "output": "model",
        "format": "full",
        "metrics": {"parameters": sum(parameter.numel() for parameter in model.parameters())},
        "rows": {},
        "environment": models.environment(dtype),
    }


if __name__ == "__main__":
    main("merge", run)
