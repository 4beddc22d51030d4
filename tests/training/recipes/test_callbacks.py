"""A checkpoint counts only when it is whole, and a loss that is no number ends the run."""

import doctest
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.methods import SftSettings
from training.recipes import callbacks, generate
from training.recipes.contract import Cancelled, Failed, Job, Journal, Spec, Stop


@pytest.fixture
def job(tmp_path) -> Job:
    spec = Spec(method="sft")
    return Job(tmp_path, spec, SftSettings(), Stop(), Journal(tmp_path / "metrics.jsonl"))


def checkpoint(folder: Path, step: int, *, mark: bool = True) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    (made / "optimizer.pt").write_bytes(b"moments")
    if mark:
        callbacks._mark_complete(made, step)
    return made


def test_the_last_whole_checkpoint_is_taken(tmp_path):
    assert callbacks.last_complete(tmp_path) is None
    checkpoint(tmp_path, 9)
    whole = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 11, mark=False)
    (checkpoint(tmp_path, 12) / "optimizer.pt").write_bytes(b"mom")
    (checkpoint(tmp_path, 13) / "optimizer.pt").unlink()
    (checkpoint(tmp_path, 14) / "complete.json").write_text('{"step": 14, "fi')
    (tmp_path / "checkpoint-best").mkdir()
    assert callbacks.last_complete(tmp_path) == whole


def test_a_loss_that_is_no_number_ends_the_run(job):
    watch = callbacks.Watch(job, {"margin": "rewards_margin"})
    state = SimpleNamespace(global_step=7, max_steps=9, epoch=0.5)
    watch.on_log(None, state, None, logs={"loss": 0.5, "learning_rate": 1e-4, "margin": 2.0})
    with pytest.raises(Failed, match="learning rate"):
        watch.on_log(None, state, None, logs={"loss": math.nan, "learning_rate": 1e-4})
    assert [line["loss"] for line in job.metrics.read()] == [0.5, None]
    assert job.metrics.read()[0]["rewards_margin"] == 2.0


def test_a_long_step_is_not_waited_for(job):
    watch = callbacks.Watch(job, {})
    watch.on_substep_end(None, None, None)
    job.stop.asked_at = 0.0  # as long ago as the machine has been up
    with pytest.raises(Cancelled):
        watch.on_substep_end(None, None, None)


def test_a_checkpoint_is_due_after_its_seconds_and_on_a_stop(job):
    watch = callbacks.Watch(job, {})
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    watch.on_step_end(None, None, control)
    assert (control.should_save, control.should_training_stop) == (False, False)
    watch.saved_at -= job.settings.checkpoint_seconds
    watch.on_step_end(None, None, control)
    assert (control.should_save, control.should_training_stop) == (True, False)
    job.stop.asked_at = watch.saved_at
    watch.on_step_end(None, None, control)
    assert control.should_training_stop


def test_half_a_line_of_metrics_is_dropped_when_a_run_starts_again(tmp_path):
    from training.recipes.contract import perform

    (tmp_path / "spec.json").write_text(json.dumps({"method": "sft"}))
    (tmp_path / "metrics.jsonl").write_text('{"event": "rows"}\n{"step": 1, "lo')
    perform("sft", lambda job: job.event("again") or {}, tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"event": "rows"}\n{"event": "again"}\n'


@pytest.mark.parametrize("module", [callbacks, generate])
def test_worked_examples(module):
    outcome = doctest.testmod(module)
    assert (outcome.attempted > 0, outcome.failed) == (True, 0)
