"""Executing one run: its recipe as a child process, watched until it ends.

    spec.json → python -m training.recipes.<method> → metrics.jsonl … result.json

The worker renews a heartbeat on the row while the process lives, copies its metrics into the database, and
passes a cancel on as SIGTERM. If the worker dies, the kernel ends the process too, and `runs.recover` gives the
run to another worker, which goes on from the last checkpoint.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import psutil
from django.conf import settings
from django.utils import timezone

from training import finishing, runs
from training.models import Metric, Run
from training.models.runs import Status

POLL_SECONDS = 0.5
GRACE_SECONDS = 30  # from SIGTERM, in which a recipe saves a checkpoint, to SIGKILL
REPOSITORY = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1


class LostClaim(Exception):
    """The row says that this run is no longer ours."""


def worker_name() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def execute(run: Run) -> Run:
    """Run a claimed run to its end and store the outcome; returns the fresh row."""
    try:
        folder = _prepare(run)
        with (folder / "log.txt").open("ab") as log:
            process = _launch(run, folder, log)
            try:
                _watch(run, process, folder)
            finally:
                _stop(process)
        finishing.finish(run=run, result=_result(folder, process.returncode))
    except LostClaim:
        pass
    except Exception as error:
        finishing.fail(run=run, reason="crashed", error=f"The worker could not go on: {error}")
        raise
    finally:
        run.refresh_from_db()
        if not run.is_open:
            runs.tell_finished(run.pk)
    return run


def _prepare(run: Run) -> Path:
    folder = run.folder
    folder.mkdir(parents=True, exist_ok=True)
    spec: dict[str, Any] = {"method": run.method, "seed": run.seed, "settings": run.settings, "data": {}}
    if run.base is not None:
        base, adapter = run.base.base_and_adapter()
        starts_new = run.method in ("reward",)  # a reward model grows from full weights, not from a policy's adapter
        spec["model"] = {"base": str(base), "adapter": str(adapter) if adapter and not starts_new else None}
    if run.snapshot is not None:
        spec["data"]["train"] = str(run.snapshot.path / "train.parquet")
    for name, value in run.inputs.items():
        if isinstance(value, dict):  # what is to happen after the run; nothing to the recipe
            continue
        if isinstance(value, list):  # rows for the recipe to read
            path = folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in value))
            value = str(path)
        spec["data"][name] = value
    (folder / "spec.json").write_text(json.dumps(spec, ensure_ascii=False, indent=1))
    return folder


def _launch(run: Run, folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"training.recipes.{run.method}", str(folder)],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    Run.objects.filter(pk=run.pk).update(pid=process.pid, pid_started=started)
    return process


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """The kernel tells the recipe to save and stop when its worker dies, however it dies."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _watch(run: Run, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the process ends: heartbeat, metrics, cancel. Raises LostClaim if the row was taken away."""
    metrics = MetricsReader(run, folder / "metrics.jsonl")
    asked_at = last_beat = 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_SECONDS)
        metrics.read()
        if process.returncode is not None:
            break
        now = time.monotonic()
        if now - last_beat >= settings.RUN_HEARTBEAT_SECONDS:
            _beat(run)
            last_beat = now
        if not asked_at and Run.objects.filter(pk=run.pk, cancel_requested=True).exists():
            process.terminate()
            asked_at = now
        if asked_at and now - asked_at > GRACE_SECONDS:
            os.killpg(process.pid, signal.SIGKILL)
    _beat(run)


def _beat(run: Run) -> None:
    mine = Run.objects.filter(pk=run.pk, status=Status.RUNNING, worker=run.worker, attempt=run.attempt).update(
        heartbeat_at=timezone.now()
    )
    if not mine:
        raise LostClaim


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever happened here."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _result(folder: Path, code: int) -> dict[str, Any]:
    try:
        return json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        out_of_memory = code == -signal.SIGKILL  # what the kernel does to the largest process when memory is gone
        return {
            "status": "failed",
            "reason": "out_of_memory" if out_of_memory else "crashed",
            "error": f"The process ended with {cause} and left no result; see the log."
            + (" Most likely memory ran out: lower the batch size." if out_of_memory else ""),
        }


class MetricsReader:
    """Copies new lines of metrics.jsonl into the database. A line that is written again (after a restart from
    a checkpoint) replaces the one before."""

    def __init__(self, run: Run, path: Path) -> None:
        self.run, self.path, self.offset = run, path, 0

    def read(self) -> None:
        try:
            if self.path.stat().st_size < self.offset:  # cut back to a checkpoint
                self.offset = 0
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        if not whole:
            return
        self.offset += whole
        self._store([json.loads(line) for line in data[:whole].splitlines() if line.strip()])

    def _store(self, lines: list[dict[str, Any]]) -> None:
        changes: dict[str, Any] = {}
        for line in lines:
            if line.get("event") == "rows":
                changes["rows"] = {key: value for key, value in line.items() if key != "event"}
            elif "step" in line:
                changes |= {"step": line["step"], "total": line.get("total", 0)}
        points = {line["step"]: line for line in lines if "step" in line}
        Metric.objects.bulk_create(
            [
                Metric(
                    run=self.run,
                    step=step,
                    values={k: v for k, v in line.items() if k not in ("step", "total")},
                )
                for step, line in points.items()
            ],
            update_conflicts=True,
            unique_fields=["run", "step"],
            update_fields=["values"],
        )
        if changes:
            Run.objects.filter(pk=self.run.pk).update(**changes)
