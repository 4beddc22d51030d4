"""Processes of this machine, ended with everything that they started."""

import contextlib
import ctypes
import os
import signal
import sys

import psutil

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with(parent: int) -> None:
    """The kernel tells this process to save and stop when its parent dies, however that dies. Linux only."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)


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
