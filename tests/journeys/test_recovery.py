"""GPU workers killed in the middle of a run, with `kill -9`: the run goes on from its checkpoint and ends once.

Real workers, a database of their own, the tiny model. No pages: what is asserted stands in the rows.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.product import running
from tests.benchmarks.watched import EXAMPLES, Watched

STEPS = 4 * EXAMPLES
SETTINGS = {"batch_size": 1, "epochs": 4, "lora_dropout": 0.1, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def product(tiny_model: Path) -> Iterator[Watched]:
    with running() as made:
        made.__class__ = Watched
        made.prepare(tiny_model, SETTINGS)
        made.start("gpu")
        yield made


@pytest.fixture(scope="module")
def undisturbed(product: Watched) -> dict[int, float]:
    """The loss at each step of a run that nobody disturbs."""
    run = product.start_run(checkpoint_seconds=3600)
    product.until_ended(run)
    assert (product.run(run, "status"), product.run(run, "attempt")) == ("succeeded", 1)
    losses = product.losses(run)
    assert list(losses) == list(range(1, STEPS + 1))
    assert len(set(losses.values())) > STEPS / 2
    return losses


def is_over(process: psutil.Process) -> bool:
    """Ended, though perhaps nobody has collected it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_went_on_and_ended_once(product: Watched, run: int, undisturbed: dict[int, float]) -> None:
    product.until_ended(run)
    assert (product.run(run, "status"), product.run(run, "error")) == ("succeeded", "")
    assert product.run(run, "attempt") == 2
    assert product.losses(run) == pytest.approx(undisturbed, abs=1e-4)
    assert product.rows("select count(*) from training_modelversion where run_id = %s", run) == [(1,)]
    lines = [json.loads(line) for line in (product.folder_of(run) / "metrics.jsonl").read_text().splitlines()]
    (resumed,) = [line["at_step"] for line in lines if line.get("event") == "resumed"]
    assert 1 <= resumed < STEPS  # from the checkpoint, and not from the start
    assert [line["step"] for line in lines if "step" in line] == list(range(1, STEPS + 1))


def test_recover_finishes_a_run_whose_worker_and_trainer_were_killed(
    product: Watched, undisturbed: dict[int, float]
) -> None:
    run = product.start_run(checkpoint_seconds=0)
    trainer = product.in_the_middle(run)
    product.kill("gpu")
    assert is_over(trainer)
    assert not (product.folder_of(run) / "result.json").exists()
    product.start("gpu")
    product.recover(run)
    assert_went_on_and_ended_once(product, run, undisturbed)


def test_a_trainer_ends_with_its_worker_and_the_run_goes_on(product: Watched, undisturbed: dict[int, float]) -> None:
    run = product.start_run(checkpoint_seconds=0)
    trainer = product.in_the_middle(run)
    host, worker = product.run(run, "worker").split(":")
    assert host == os.uname().nodename
    os.kill(int(worker), signal.SIGKILL)
    product.until(lambda: is_over(trainer), "the trainer has ended by itself")
    assert product.run(run, "attempt") == 1  # before anybody took the run back, and could have killed it
    result = json.loads((product.folder_of(run) / "result.json").read_text())
    assert result["reason"] == "cancelled"  # it was told, wrote a checkpoint, and stopped
    product.recover(run)
    assert_went_on_and_ended_once(product, run, undisturbed)


def test_the_schedule_recovers_a_run_with_nobody_s_help(product: Watched, undisturbed: dict[int, float]) -> None:
    product.start("queue")
    run = product.start_run(checkpoint_seconds=0)
    trainer = product.in_the_middle(run)
    product.kill("gpu")
    assert is_over(trainer)
    product.start("gpu")
    assert_went_on_and_ended_once(product, run, undisturbed)
