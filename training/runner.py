"""Executing one run: its recipe as a child process, watched until it ends.

    spec.json → python -m training.recipes.<method> → metrics.jsonl … result.json

The worker renews a heartbeat on the row while it fetches and writes what the recipe needs, while the process lives, and
while it hashes and copies what came of it, until the transaction that stores that; it copies metrics into the database,
and passes a cancel on as SIGTERM. If the worker dies, the kernel ends the process too, and `runs.recover` gives the run
to another worker, which goes on from the last checkpoint.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import psutil
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from annotation import logcontext
from training import artifacts, devices, finishing, launching, registry, reproducing, runs, snapshots, toxicity
from training.causes import DISK_FULL_CODE, is_disk_full
from training.forking import Forked, ForkServer, Unavailable
from training.methods import TOXICITY
from training.models import Metric, Run
from training.models.registry import ModelKind
from training.models.runs import Status
from training.processes import die_with, end_family

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
GRACE_SECONDS = 30  # from SIGTERM, in which a recipe saves a checkpoint, to SIGKILL
REPOSITORY = Path(__file__).resolve().parent.parent
Process = subprocess.Popen[bytes] | Forked

_forks = ForkServer()


class LostClaim(Exception):
    """The row says that this run is no longer ours."""


def release() -> None:
    """Give back the memory of the process that recipes are forked off, where no run is likely to follow."""
    _forks.close()


def worker_name() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def execute(run: Run, part: devices.Part | None = None) -> Run:
    """Run a claimed run to its end, on a part of this machine's devices or on those that this process sees, and store
    the outcome; returns the fresh row.

    Raises what the database raises if it is away when the outcome should be stored: then the row stays as it is,
    and `runs.recover` gives it to a worker again, which finds the result.
    """
    with logcontext.bind(run_id=run.pk):
        log.info("%s begins, attempt %s", run.method, run.attempt)
        try:
            result = _perform(run, part or devices.visible())
            with _heartbeat(run):
                finishing.finish(run=run, result=result)
        except LostClaim:
            log.warning("Another worker has taken it meanwhile")
        except (InterfaceError, OperationalError):
            raise
        except Exception as error:
            log.exception("%s could not go on", run)
            reason = "disk_full" if is_disk_full(error) else "crashed"
            finishing.fail(run=run, reason=reason, error=f"The worker could not go on: {error}")
        run.refresh_from_db()
        log.info("%s: %s", run.status, run.reason or "as asked")
        if not run.is_open:
            runs.tell_finished(run.pk)
        return run


def _perform(run: Run, part: devices.Part) -> dict[str, Any]:
    """The recipe's result, or why there is none."""
    with _heartbeat(run):
        if refused := _lacks(run):
            return refused
        folder = _prepare(run)
    killed_before = _killed_for_memory()
    with (folder / "log.txt").open("ab") as output:
        process = _launch(run, folder, output, part)
        try:
            stopped = _watch(run, process, folder)
        finally:
            code = _stop(process)
    result = _result(folder) or _no_result(code, stopped, memory_ran_out=_killed_for_memory() > killed_before)
    if stopped == "timed_out" and result["status"] != "ok":
        spent = f"It was stopped after {run.minutes} minutes, which is its limit."
        return {**result, "reason": "timed_out", "error": spent}
    return result


def _lacks(run: Run) -> dict[str, Any] | None:
    """Why a run cannot begin, once its data and models were brought here; None if it can."""
    watched = [run.validation] if run.validation else []
    if not all(snapshots.is_intact(snapshot) for snapshot in (*run.snapshots, *watched)):
        return {
            "status": "failed",
            "reason": "bad_data",
            "error": "The snapshot's file is not what was frozen: freeze the labels again, then start a new run.",
        }
    compared = run.base.ancestry()[-1] if run.base and "reference" in run.inputs else None
    for version in (run.base, run.teacher, compared):
        if version is None or version.endpoint:
            continue
        try:
            registry.bring(version)
        except artifacts.Damaged as error:
            return {"status": "failed", "reason": "missing_base", "error": str(error)}
        if gone := version.missing():
            said = f"{gone} is not where it was stored: {gone.path} holds no model."
            return {"status": "failed", "reason": "missing_base", "error": said}
    return None


def _prepare(run: Run) -> Path:
    folder = run.folder
    folder.mkdir(parents=True, exist_ok=True)
    if (_result(folder) or {}).get("status") != "ok":  # how an earlier attempt ended is not how this one does
        for name in ("result.json", "failure.json"):
            (folder / name).unlink(missing_ok=True)
    spec: dict[str, Any] = {"method": run.method, "seed": run.seed, "settings": run.used_settings, "data": {}}
    spec["cache"] = str(run.folder.parent.parent / "cache")  # of the project, as its snapshots are
    if run.base is not None and run.base.endpoint:
        spec["endpoint"] = run.base.endpoint
    elif run.base is not None:
        base, adapter = run.base.base_and_adapter()
        # A reward model or a classifier grows from full weights, not from a policy's adapter; the former goes on from
        # one of its own kind.
        starts_new = run.method in ("reward", "probe", "classify") and run.base.kind == ModelKind.POLICY
        spec["model"] = {"base": str(base), "adapter": str(adapter) if adapter and not starts_new else None}
    if run.teacher is not None:
        base, adapter = run.teacher.base_and_adapter()
        spec["teacher"] = {"base": str(base), "adapter": str(adapter) if adapter else None}
    if run.snapshot is not None:
        spec["data"]["train"] = str(run.snapshot.path / "train.parquet")
    for source in run.sources.select_related("snapshot"):
        spec["data"][f"other_{source.snapshot_id}"] = str(source.snapshot.path / "train.parquet")
    if run.validation is not None:
        spec["data"]["validation"] = str(run.validation.path / "train.parquet")
    for name, value in run.inputs.items():
        if name == "validation_snapshot":
            continue
        if isinstance(value, dict):  # what is to happen after the run; nothing to the recipe
            continue
        if isinstance(value, list):  # rows for the recipe to read
            path = folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in value))
            value = str(path)
        spec["data"][name] = value
    if run.method == TOXICITY.name:  # a great many texts, which would not fit into the row
        toxicity.write_texts(run, folder / "texts.jsonl")
        spec["data"]["texts"] = str(folder / "texts.jsonl")
    (folder / "spec.json").write_text(json.dumps(spec, indent=1))
    return folder


def _launch(run: Run, folder: Path, output: IO[bytes], part: devices.Part) -> Process:
    environment = {
        **os.environ,
        **devices.environment(part, run.devices),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        "TOUCHSTONE_RUN": str(run.pk),
        "PYTHONPATH": str(REPOSITORY),
    }
    process = _forked(run, folder, output, environment) or subprocess.Popen(
        launching.command(run.method, str(folder), devices=run.devices, spread=run.spread),
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=partial(die_with, os.getpid()) if sys.platform == "linux" else None,
    )
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    run.environment = reproducing.origin(run)
    Run.objects.filter(pk=run.pk).update(pid=process.pid, pid_started=started, environment=run.environment)
    return process


def _forked(run: Run, folder: Path, output: IO[bytes], environment: dict[str, str]) -> Forked | None:
    """The recipe without the seconds that its libraries take to import, where forking is possible."""
    asks_others = run.base is not None and run.base.endpoint  # and needs no library
    if sys.platform != "linux" or run.devices > 1 or asks_others or devices.may_be_used(environment):
        return None
    try:
        return _forks.fork(run.method, str(folder), output, environment)
    except Unavailable as error:
        log.warning("%s is started by itself: %s", run, error)
        return None


def _watch(run: Run, process: Process, folder: Path) -> str:
    """Until the process ends: heartbeat, metrics, cancel, time limit. Returns why it was asked to stop, "cancelled" or
    "timed_out", or "" if it was not; raises LostClaim if the row was taken away. While the database is away the process
    goes on."""
    asked, asked_at, last_beat = "", 0.0, 0.0
    began = time.monotonic()
    with contextlib.closing(MetricsReader(run, folder / "metrics.jsonl")) as metrics:
        while process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=POLL_SECONDS)
            now = time.monotonic()
            try:
                metrics.read()
                if now - last_beat >= settings.RUN_HEARTBEAT_SECONDS or process.returncode is not None:
                    _beat(run)
                    last_beat = now
                if not asked and Run.objects.filter(pk=run.pk, cancel_requested=True).exists():
                    asked = "cancelled"
            except (InterfaceError, OperationalError) as error:
                log.warning("The database is away while %s goes on: %s", run, error)
                connection.close()
            if not asked and now - began > 60 * run.minutes:
                asked = "timed_out"
            if asked and not asked_at:
                process.terminate()
                asked_at = now
            elif asked and now - asked_at > GRACE_SECONDS:
                _stop(process)
    return asked


@contextlib.contextmanager
def _heartbeat(run: Run) -> Iterator[None]:
    """Another thread says that the worker lives while this one copies or hashes gigabytes, or judges what was made. If
    the row is no longer ours it stops; whoever stores an outcome looks at that for himself, and holds the row then."""
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(max(settings.RUN_HEARTBEAT_SECONDS, POLL_SECONDS)):
                try:
                    with transaction.atomic(), connection.cursor() as cursor:
                        cursor.execute("SET LOCAL lock_timeout = '1s'")
                        _beat(run)
                except (InterfaceError, OperationalError):  # away, or the row is held: another beat may do
                    connection.close()
        except LostClaim:
            pass
        finally:
            connection.close()  # each thread has one of its own

    thread = threading.Thread(target=beat, name=f"heartbeat of run {run.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(run: Run) -> None:
    mine = Run.objects.filter(pk=run.pk, status=Status.RUNNING, worker=run.worker, attempt=run.attempt).update(
        heartbeat_at=timezone.now()
    )
    if not mine:
        raise LostClaim


def _stop(process: Process) -> int:
    """Leave no process behind, whatever happened here; how ours ended. (A launcher's are in groups of their own.)"""
    with contextlib.suppress(psutil.NoSuchProcess):
        end_family(process.pid, psutil.Process(process.pid).create_time())
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _result(folder: Path) -> dict[str, Any] | None:
    """What the recipe says. Where one of several processes failed, and the first was stopped then, the failure."""
    found = _read(folder / "result.json")
    if found is not None and found.get("reason") == "cancelled":
        return _read(folder / "failure.json") or found
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _no_result(code: int, stopped: str, *, memory_ran_out: bool) -> dict[str, Any]:
    """What a process that was killed would have said."""
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    reason, error = "crashed", f"The process ended with {cause} and left no result."
    if stopped:  # before it could listen, or it did not stop in time
        reason = stopped
    elif code == DISK_FULL_CODE:
        reason, error = "disk_full", "The disk is full: not even the result could be written."
    elif memory_ran_out:  # the process itself, or one of several under a launcher
        reason, error = "out_of_memory", "Memory ran out on the worker's machine, and the kernel ended the process."
    elif code == -signal.SIGKILL:
        reason, error = "killed", "Somebody ended the process with SIGKILL."
    return {"status": "failed", "reason": reason, "error": error}


def _killed_for_memory() -> int:
    """How many processes the kernel has ended because memory was gone, on this machine or in this container."""
    found = 0
    for path in (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events")):
        with contextlib.suppress(OSError):
            counts = dict(line.split() for line in path.read_text().splitlines())
            found += int(counts.get("oom_kill", 0))
    return found


class MetricsReader:
    """Copies new lines of metrics.jsonl into the database. After a restart from a checkpoint the recipe puts a
    shorter file in its place; then all of it is read again, and its lines replace those of the same steps."""

    def __init__(self, run: Run, path: Path) -> None:
        self.run, self.path = run, path
        self.file: IO[bytes] | None = None  # open, so that no other file can get its number
        self.offset = 0

    def read(self) -> None:
        try:
            if self.file is None or not os.path.samestat(self.path.stat(), os.fstat(self.file.fileno())):
                self.close()
                self.file, self.offset = self.path.open("rb"), 0
        except FileNotFoundError:
            return
        self.file.seek(self.offset)
        data = self.file.read()
        whole = data.rfind(b"\n") + 1
        if whole:
            self._store([json.loads(line) for line in data[:whole].splitlines() if line.strip()])
            self.offset += whole

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

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
