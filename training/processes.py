"""Processes of this machine, ended with everything that they started."""

import contextlib
import os
import signal

import psutil


def is_here(worker: str) -> bool:
    return worker.startswith(f"{os.uname().nodename}:")


def end_family(pid: int, started: float | None) -> None:
    """SIGKILL to a process, its group and its descendants, which may be in groups of their own. Nothing if the process
    that has this pid now did not start then, in seconds since 1970: a pid is used again."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(pid)
        if started is None or abs(process.create_time() - started) >= 1:
            return
        family = process.children(recursive=True)
        os.killpg(pid, signal.SIGKILL)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
