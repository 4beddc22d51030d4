"""Gpu workers killed in the middle of a run, with `kill -9`: the run goes on from its checkpoint and ends once.

Real workers, a database of their own, the tiny model. No pages: what is asserted stands in the rows.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from config import postgres
from tests.benchmarks.product import Product, running

pytestmark = pytest.mark.journey

DEADLINE = 300.0
STEPS = 96
SETTINGS = {"batch_size": 1, "epochs": 4, "lora_dropout": 0.1, "learning_rate": 1e-3}
PREPARE = """
from annotation.models import Membership, Project, User
from tests.annotation.making import a_prompt
from tests.training.making import an_edit
project = Project.objects.create(slug="desk", name="Desk")
bob = Membership.objects.create(person=User.objects.create_user("bob"), project=project)
for number in range(24):
    an_edit(bob, a_prompt(project, f"What of parcel {number}?"))
"""
START = """
from annotation.models import Project
from training import runs, snapshots
from training.models import ModelVersion
project = Project.objects.get()
snapshot = snapshots.freeze(project=project, kind="demonstrations")
run = runs.start(
    project=project, method="sft", base=ModelVersion.objects.get(name="tiny"), snapshot=snapshot, settings=%r, seed=7
)
print("run", run.pk)
"""


class Watched(Product):
    """The product, seen through its database."""

    def rows(self, query: str, *values: object) -> list[tuple]:
        """What a query finds; nothing while the server is being restarted, as when its last user was killed."""
        try:
            with psycopg.connect(postgres.url(self.var / "postgres"), connect_timeout=5) as connection:
                return connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            return []

    def run(self, pk: int, column: str) -> Any:
        found = self.rows(f"select {column} from training_run where id = %s", pk)
        return found[0][0] if found else None

    def losses(self, pk: int) -> dict[int, float]:
        query = "select step, (values->>'loss')::float from training_metric where run_id = %s order by step"
        return dict(self.rows(query, pk))

    def start_run(self, **more: Any) -> int:
        if "gpu" not in self.processes:  # a test before this one failed half way
            self.start("gpu")
        said = self.manage("shell", "--verbosity=0", stdin=START % ({**SETTINGS, **more},))
        return int(said.split()[-1])

    def until(self, reached: Callable[[], Any], why: str) -> Any:
        end = time.monotonic() + DEADLINE
        while not (found := reached()):
            if time.monotonic() > end:
                logs = "\n".join(log.read_text()[-3000:] for log in (self.var / "log").glob("*.log"))
                raise TimeoutError(f"it never happened: {why}\n{logs}")
            time.sleep(0.05)
        return found

    def until_ended(self, pk: int) -> None:
        self.until(lambda: self.run(pk, "status") in ("succeeded", "failed", "cancelled"), "the run has ended")

    def in_the_middle(self, pk: int) -> psutil.Process:
        """Waits until some steps are in the database; returns the process that trains."""
        self.until(lambda: len(self.losses(pk)) >= 3, "three steps are in the database")
        trainer = psutil.Process(self.run(pk, "pid"))
        assert "training.recipes.sft" in trainer.cmdline()
        return trainer

    def recover(self, pk: int) -> None:
        """What a person does, until the silence has been long enough."""
        self.until(lambda: "requeued 1" in self.manage("recover"), "the run was taken back")
        assert self.run(pk, "status") in ("queued", "running")


@pytest.fixture(scope="module")
def product(tiny_model: Path) -> Iterator[Watched]:
    with running() as made:
        made.__class__ = Watched
        made.environment |= {"TOUCHSTONE_RUN_LOST_SECONDS": "15", "OMP_NUM_THREADS": "1"}
        made.manage("shell", "--verbosity=0", stdin=PREPARE)
        made.manage("import_model", "desk", str(tiny_model), "--name=tiny")
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


def folder_of(product: Watched, run: int) -> Path:
    return product.var / "artifacts" / "desk" / "runs" / str(run)


def assert_went_on_and_ended_once(product: Watched, run: int, undisturbed: dict[int, float]) -> None:
    product.until_ended(run)
    assert (product.run(run, "status"), product.run(run, "error")) == ("succeeded", "")
    assert product.run(run, "attempt") == 2
    assert product.losses(run) == pytest.approx(undisturbed, abs=1e-4)
    assert product.rows("select count(*) from training_modelversion where run_id = %s", run) == [(1,)]
    lines = [json.loads(line) for line in (folder_of(product, run) / "metrics.jsonl").read_text().splitlines()]
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
    assert not (folder_of(product, run) / "result.json").exists()
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
    result = json.loads((folder_of(product, run) / "result.json").read_text())
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
