"""Worker, trainer, queue and database killed with -9 at random moments of training runs: what becomes of the runs?

    .venv/bin/python tests/benchmarks/run_faults.py [--quick]

One run is left in peace; the others have the same data, settings and seed, and each is hit twice (a run has three
attempts). What is killed, and when, is drawn by a seed: a moment is a share of the time that the run left in peace
took, its start included. Ten kills of each kind, with --quick one of each.

worker    the process that executes the run, or, every second time, the whole gpu cluster, which is started again
trainer   the recipe's process
queue     the default cluster, which is started again
database  every process of PostgreSQL; its keeper starts it again

Lost is a run that did not succeed or lacks a step; twice is one that made two models or wrote a step twice.
"""

import json
import os
import platform
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.killing import end, kill_database
from tests.benchmarks.product import running
from tests.benchmarks.watched import EXAMPLES, Watched
from tests.tiny_model import build

KINDS = ("worker", "trainer", "queue", "database")
EPOCHS = 8
STEPS = EPOCHS * EXAMPLES
SETTINGS = {
    **{"batch_size": 1, "epochs": EPOCHS, "lora_dropout": 0.1, "learning_rate": 1e-3, "checkpoint_seconds": 0.5},
}
HITS = 2  # on each run
SEED = 5


class Killer:
    def __init__(self, product: Watched) -> None:
        self.product = product
        self.workers = 0

    def kill(self, kind: str, run: int) -> bool:
        """Kill what is asked for; False if there is no such process at this moment."""
        return bool(getattr(self, kind)(run))

    def worker(self, run: int) -> bool:
        worker = self.product.run(run, "worker") or ""
        if not worker:
            return False
        self.workers += 1
        if self.workers % 2 == 0:
            self.product.kill("gpu")
            self.product.start("gpu")
            return True
        return end(int(worker.split(":")[1]))

    def trainer(self, run: int) -> bool:
        pid, worker = self.product.run(run, "pid"), self.product.run(run, "worker") or ""
        alive = bool(worker) and psutil.pid_exists(int(worker.split(":")[1]))  # or it is ending by itself already
        return bool(pid) and alive and end(pid)

    def queue(self, run: int) -> bool:
        self.product.kill("queue")
        self.product.start("queue")
        return True

    def database(self, run: int) -> bool:
        return kill_database(self.product)


def hit(
    product: Watched, killer: Killer, kinds: list[str], draw: random.Random, seconds: float
) -> tuple[int, list[str]]:
    """One run, and each of these killed at a moment of it. Returns also those that came too late: it had ended."""
    run = product.start_run()
    product.until(lambda: product.run(run, "started_at"), "the run has begun")
    began = time.monotonic()
    moments = sorted(draw.uniform(0, seconds) for _ in kinds)
    late = []
    for kind, moment in zip(kinds, moments, strict=True):
        while time.monotonic() - began < moment:
            time.sleep(0.01)
        while not (ended := product.has_ended(run)) and not killer.kill(kind, run):
            recover(product)  # between two attempts there is no trainer, and perhaps no worker
        if ended:
            late.append(kind)
        else:
            print(f"run {run}: {kind} killed after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    while not product.has_ended(run):
        recover(product)
    return run, late


def recover(product: Watched) -> None:
    """What the schedule does every minute, more often."""
    with suppress(Exception):  # the database may be away
        product.manage("recover")
    time.sleep(1)


def outcome(product: Watched, run: int, calm: dict[int, float]) -> dict[str, Any]:
    losses = product.losses(run)
    versions = product.rows("select count(*) from training_modelversion where run_id = %s", run)[0][0]
    lines = [json.loads(line) for line in (product.folder_of(run) / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    complete = product.run(run, "status") == "succeeded" and list(losses) == list(calm) == sorted(set(steps))
    return {
        "lost": not complete,
        "twice": versions > 1 or len(steps) != len(set(steps)),
        "difference": max(abs(losses[step] - calm[step]) for step in losses if step in calm),
        "attempts": product.run(run, "attempt"),
        "error": product.run(run, "error"),
    }


def main(*, quick: bool) -> dict[str, Any]:
    draw = random.Random(SEED)
    kinds = list(KINDS) * (1 if quick else 10)
    draw.shuffle(kinds)
    with running() as product:
        product.__class__ = Watched
        assert isinstance(product, Watched)
        product.prepare(Path(build(product.var / "tiny")), SETTINGS)
        product.start("gpu")
        product.start("queue")
        first = product.start_run()
        product.until_ended(first)
        calm = product.losses(first)
        assert list(calm) == list(range(1, STEPS + 1)), "the run that nobody disturbed is not whole"
        seconds = float(product.run(first, "extract(epoch from finished_at - started_at)"))
        killer = Killer(product)
        found, waiting = [], kinds
        while waiting:
            run, late = hit(product, killer, waiting[:HITS], draw, seconds)
            waiting = waiting[HITS:] + late
            found.append(outcome(product, run, calm))
            print(f"run {run}: {found[-1]}", file=sys.stderr, flush=True)
    return {
        "benchmark": "run_faults",
        "figures": {
            "kills": len(kinds),
            "runs_lost": sum(one["lost"] for one in found),
            "runs_twice": sum(one["twice"] for one in found),
            "loss_difference": max(one["difference"] for one in found),
        },
        "conditions": {
            **{"seed": SEED, "runs": len(found), "steps": STEPS, "quick": quick, "calm_run_s": round(seconds, 1)},
            **{
                "attempts": [one["attempts"] for one in found],
                "cores": os.cpu_count(),
                "python": platform.python_version(),
            },
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(quick="--quick" in sys.argv[1:])))
