"""Following a run from a terminal until it ends."""

import time
from collections.abc import Callable

from training import runner, runs
from training.models import Run
from training.models.runs import Status

PAUSE = 1.0  # seconds between two looks
NOBODY_SECONDS = 20  # in which a worker takes a run that waits, if there is one


def follow(run: Run, say: Callable[[str], object]) -> Run:
    """Tell how a run goes, whenever something has changed, until it has ended; returns the fresh row."""
    told, waited, hinted = "", time.monotonic(), False
    while True:
        run.refresh_from_db()
        if not run.is_open:
            return run
        now = progress(run)
        if now != told:
            told = now
            say(now)
        elif run.status == Status.QUEUED and not hinted and time.monotonic() - waited > NOBODY_SECONDS:
            hinted = True
            say("No worker has taken it yet. Does one run? Q_CLUSTER_NAME=gpu manage.py qcluster")
        else:
            time.sleep(PAUSE)


def here(run: Run) -> Run | None:
    """Execute a queued run in this process; None if a worker was quicker."""
    claimed = runs.claim(worker=runner.worker_name(), run_id=run.pk, devices=run.devices)
    return runner.execute(claimed) if claimed else None


def progress(run: Run) -> str:
    """Where a run is, in a line; it changes with every twentieth of the way."""
    name = f"Run {run.pk} ({run.method})"
    if run.status == Status.QUEUED:
        return f"{name} waits for a gpu worker."
    if not run.total:
        return f"{name} has begun."
    share = 5 * (20 * run.step // run.total)
    return f"{name}: {share} % of {run.total} steps."


def outcome(run: Run) -> str:
    """How a run that has ended went, in a sentence."""
    if run.status == Status.SUCCEEDED:
        took = f" in {run.seconds:.0f} s" if run.seconds is not None else ""
        return f"Run {run.pk} ({run.method}) succeeded{took}."
    if run.status == Status.CANCELLED:
        return f"Run {run.pk} ({run.method}) was cancelled."
    return f"Run {run.pk} ({run.method}) failed: {run.error} {run.advice}"
