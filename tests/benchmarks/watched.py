"""The product with a tiny model to train, seen through its database while processes of it are killed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config import postgres
from tests.benchmarks.product import Product

DEADLINE = 300.0
LOST_SECONDS = 15  # the shortest silence after which a worker may count as lost
EXAMPLES = 24
PREPARE = f"""
from annotation.models import Membership, Project, User
from tests.annotation.making import a_prompt
from tests.training.making import an_edit
project = Project.objects.create(slug="desk", name="Desk")
bob = Membership.objects.create(person=User.objects.create_user("bob"), project=project)
for number in range({EXAMPLES}):
    an_edit(bob, a_prompt(project, f"What of parcel {{number}}?"))
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
    """`settings` are those of every run that is started."""

    settings: dict[str, Any]
    connection: psycopg.Connection | None = None  # kept, since we ask twenty times a second

    def rows(self, query: str, *values: object) -> list[tuple]:
        """What a query finds; nothing while the server is being restarted, as when its last user was killed."""
        try:
            if self.connection is None or self.connection.closed:
                address = postgres.url(self.var / "postgres")
                self.connection = psycopg.connect(address, connect_timeout=5, autocommit=True)
            return self.connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            return []

    def stop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        super().stop()

    def run(self, pk: int, column: str) -> Any:
        found = self.rows(f"select {column} from training_run where id = %s", pk)
        return found[0][0] if found else None

    def losses(self, pk: int) -> dict[int, float]:
        query = "select step, (values->>'loss')::float from training_metric where run_id = %s order by step"
        return dict(self.rows(query, pk))

    def prepare(self, model: Path, settings: dict[str, Any]) -> None:
        """A project with examples and a model."""
        self.settings = settings
        self.environment |= {"TOUCHSTONE_RUN_LOST_SECONDS": str(LOST_SECONDS), "OMP_NUM_THREADS": "1"}
        self.manage("shell", "--verbosity=0", stdin=PREPARE)
        self.manage("import_model", "desk", str(model), "--name=tiny")

    def start_run(self, **more: Any) -> int:
        if "gpu" not in self.processes:  # a test before this one failed half way
            self.start("gpu")
        said = self.manage("shell", "--verbosity=0", stdin=START % ({**self.settings, **more},))
        return int(said.split()[-1])

    def folder_of(self, run: int) -> Path:
        return self.var / "artifacts" / "desk" / "runs" / str(run)

    def until(self, reached: Callable[[], Any], why: str) -> Any:
        end = time.monotonic() + DEADLINE
        while not (found := reached()):
            if time.monotonic() > end:
                logs = "\n".join(log.read_text()[-3000:] for log in (self.var / "log").glob("*.log"))
                raise TimeoutError(f"it never happened: {why}\n{logs}")
            time.sleep(0.05)
        return found

    def has_ended(self, pk: int) -> bool:
        return self.run(pk, "status") in ("succeeded", "failed", "cancelled")

    def until_ended(self, pk: int) -> None:
        self.until(lambda: self.has_ended(pk), "the run has ended")

    def in_the_middle(self, pk: int) -> psutil.Process:
        """Waits until some steps are in the database; returns the process that trains."""
        self.until(lambda: len(self.losses(pk)) >= 3, "three steps are in the database")
        trainer = psutil.Process(self.run(pk, "pid"))
        assert trainer.name() == "recipe sft"
        return trainer

    def recover(self, pk: int) -> None:
        """What a person does, once the silence has been long enough."""
        silent = "select 1 from training_run where id = %s and heartbeat_at < now() - make_interval(secs => %s)"
        self.until(lambda: self.rows(silent, pk, LOST_SECONDS), "the run has been silent")
        self.until(lambda: "requeued 1" in self.manage("recover"), "the run was taken back")
        assert self.run(pk, "status") in ("queued", "running")
