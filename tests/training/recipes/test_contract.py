"""A run's result says what happened, whatever happened, in words that help."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.recipes.contract import BadData, Cancelled, Failed, Job, Journal, perform, write_atomically


def spec(folder: Path, **changes: Any) -> Path:
    whole = {"method": "sft", "seed": 1, "model": {"base": "/nowhere"}, "data": {}, "settings": {}, **changes}
    (folder / "spec.json").write_text(json.dumps(whole))
    return folder


def raising(error: BaseException) -> Any:
    def run(job: Job) -> dict[str, Any]:
        raise error

    return run


def test_a_result_is_what_the_recipe_returned(tmp_path):
    result = perform("sft", lambda job: {"output": "model", "metrics": {"loss": math.nan}}, spec(tmp_path))
    assert result["status"] == "ok"
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["metrics"] == {"loss": None}
    assert stored["seconds"] >= 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out_of_memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out_of_memory"),
        (BadData("There is nothing to learn from: collect labels."), "bad_data"),
        (Cancelled(), "cancelled"),
        (Failed("The loss is no longer a number: lower the learning rate."), "crashed"),
        (ImportError("No module named 'torch'"), "crashed"),
        (ZeroDivisionError("division by zero"), "crashed"),
    ],
)
def test_every_way_to_fail_has_its_reason_and_a_sentence(tmp_path, error, reason):
    result = perform("sft", raising(error), spec(tmp_path))
    assert (result["status"], result["reason"]) == ("failed", reason)
    assert result["error"].endswith(".")
    assert "\n" not in result["error"]
    assert type(error).__name__ in result["traceback"]
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_a_real_torch_error_is_known_as_memory():
    import torch

    from training.recipes.contract import explain

    assert explain(torch.cuda.OutOfMemoryError("CUDA out of memory."))[0] == "out_of_memory"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"settings": {"learning_speed": 1}}, "learning_speed"),
        ({"settings": {"batch_size": 0}}, "batch_size"),
        ({"settings": {"learning_rate": "fast"}}, "learning_rate"),
        ({"seed": -1}, "seed"),
        ({"method": "dpo"}, "asks for dpo"),
        ({"model": {"base": "/nowhere", "adaptor": None}}, "adaptor"),
    ],
)
def test_a_wrong_spec_is_bad_data_and_names_the_field(tmp_path, changes, word):
    result = perform("sft", raising(AssertionError("it must not run")), spec(tmp_path, **changes))
    assert result["reason"] == "bad_data"
    assert word in result["error"]


def test_no_spec_is_bad_data(tmp_path):
    assert perform("sft", raising(AssertionError()), tmp_path)["reason"] == "bad_data"


def test_a_failure_is_forgotten_when_the_run_is_started_again(tmp_path):
    perform("sft", raising(Cancelled()), spec(tmp_path))
    perform("sft", lambda job: {"had_result": (job.folder / "result.json").exists()}, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["had_result"] is False


def test_a_finished_run_is_left_alone(tmp_path):
    perform("sft", lambda job: {"output": "model"}, spec(tmp_path))
    assert perform("sft", raising(AssertionError("it must not run")), tmp_path)["output"] == "model"


def test_only_the_first_of_several_processes_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")

    def run(job: Job) -> dict[str, Any]:
        job.event("rows", read=1)
        return {}

    assert perform("sft", run, spec(tmp_path))["status"] == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


def test_a_journal_passes_over_half_a_line(tmp_path):
    journal = Journal(tmp_path / "lines.jsonl")
    journal.append({"step": 1, "loss": 0.5}, {"step": 2, "loss": math.inf})
    with journal.path.open("a") as file:
        file.write('{"step": 3, "lo')
    assert journal.read() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}]
    assert journal.keep(lambda line: line["step"] < 2) == [{"step": 1, "loss": 0.5}]
    journal.append({"step": 2, "loss": 0.25})
    assert journal.path.read_text() == '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n'


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"


def test_the_contract_needs_neither_torch_nor_django():
    code = "import sys, training.recipes.sft, training.recipes.demo_model as d; print(d.__name__, *sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "pydantic" in loaded
    assert not {"torch", "transformers", "trl", "django"} & set(loaded)
