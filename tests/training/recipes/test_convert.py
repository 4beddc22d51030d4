"""A model comes in from wherever it is, in one layout, and only if it can hold a conversation."""

import json

import pytest

from tests import tiny_classifier
from tests.tiny_model import build
from tests.training.recipes.runs import Run, weights
from training.recipes.contract import BadData


@pytest.fixture
def convert(tmp_path):
    def start(source: str, **more: str) -> Run:
        folder = tmp_path / "run"
        folder.mkdir()
        spec = {"method": "convert", "data": {"source": source, **more}, "settings": {}}
        (folder / "spec.json").write_text(json.dumps(spec))
        return Run(folder, "convert").here()

    return start


def test_a_folder(convert, model):
    run = convert(model)
    assert run.result["status"] == "ok"
    assert (run.result["output"], run.result["format"]) == ("model", "full")
    before, after = weights(model), weights(run.folder / "model")
    assert run.result["metrics"]["parameters"] == sum(tensor.numel() for tensor in after.values())
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    assert (run.folder / "model" / "chat_template.jinja").exists()


def test_a_model_without_a_chat_template_is_refused(convert, tmp_path):
    run = convert(build(tmp_path / "base", chat_template=None))
    assert run.result["reason"] == "bad_data"
    assert "no chat template" in run.result["error"]
    assert not (run.folder / "model").exists()


@pytest.mark.parametrize("source", ["/nowhere/model.gguf", "/nowhere/folder"])
def test_a_source_that_is_not_there(convert, source):
    run = convert(source)
    assert run.result["reason"] == "bad_data"
    assert source in run.result["error"]


def test_a_folder_that_is_no_model(convert, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    run = convert(str(tmp_path))
    assert run.result["reason"] == "bad_data"
    assert "could not be read" in run.result["error"]


def test_weights_that_are_a_pickle_are_not_opened(convert, tmp_path):
    import torch

    opened = tmp_path / "opened"

    class Bomb:
        def __reduce__(self):
            return opened.touch, ()

    build(tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Bomb()}, tmp_path / "base" / "pytorch_model.bin")
    run = convert(str(tmp_path / "base"))
    assert run.result["reason"] == "bad_data"
    assert "safetensors" in run.result["error"]
    assert not opened.exists()


def test_an_adapter_that_is_a_pickle_is_refused(tmp_path):
    from training.recipes import models

    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"a program")
    with pytest.raises(BadData, match="it is not opened"):
        models.task_of(str(tmp_path))


def test_a_classifier_needs_no_chat_template_and_tells_its_labels(convert, tmp_path):
    base = tiny_classifier.build(tmp_path / "base", labels=("toxic", "LABEL_1", "praise"))
    run = convert(base, kind="classifier")
    assert run.result["status"] == "ok", run.result
    assert (run.result["format"], run.result["labels"]) == ("full", ["toxic", "LABEL_1", "praise"])
    assert run.result["metrics"]["context"] == tiny_classifier.LONGEST
    before, after = weights(base), weights(run.folder / "model")
    assert all(before[name].equal(after[name]) for name in before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problem_type": "regression"}, "no label"),
        (
            {"architectures": ["A"], "auto_map": {"AutoModelForSequenceClassification": "code.A"}, "model_type": "a"},
            "read",
        ),
    ],
)
def test_what_is_no_classifier_is_refused_as_one(convert, tmp_path, change, words):
    base = tiny_classifier.build(tmp_path / "base")
    config = tmp_path / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    run = convert(base, kind="classifier")
    assert run.result["reason"] == "bad_data"
    assert words in run.result["error"]


def test_a_model_that_writes_has_no_weights_to_classify_with(convert, model):
    run = convert(model, kind="classifier")
    assert run.result["reason"] == "bad_data"
    assert "no weights that tell labels apart" in run.result["error"]


def test_a_classifiers_weights_that_are_a_pickle_are_not_opened(convert, tmp_path):
    import torch

    base = tiny_classifier.build(tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    torch.save({"classifier.bias": torch.zeros(3)}, tmp_path / "base" / "pytorch_model.bin")
    run = convert(base, kind="classifier")
    assert run.result["reason"] == "bad_data"
    assert "safetensors" in run.result["error"]


@pytest.mark.model
def test_the_demonstration_model(convert):
    """The compressed file becomes an ordinary model, which says so of itself and answers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.recipes.demo_model import smollm2_gguf

    run = convert(str(smollm2_gguf()))
    assert run.result["status"] == "ok", run.result
    folder = run.folder / "model"
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France? One word."}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
