"""A process that has the libraries in memory and forks recipes off: importing them takes four seconds each time.

    python -m training.recipes.forkserver <descriptor>

The descriptor is one end of a Unix socket that keeps messages apart. Each is JSON, {"method", "folder", "environment"},
with two descriptors: one that the recipe writes its log to, and one on which its pid is told and, once it has ended,
how, as `subprocess` says it: two lines. `training/forking.py` is the other end; when that closes, or nothing was asked
for a while, this process ends.

Nothing here may touch a device: a driver that was asked for anything before a fork answers nothing after it.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from training.processes import die_with
from training.recipes.contract import prepare_environment

IDLE_SECONDS = 600  # it holds half a gigabyte of memory
LONGEST = 2**20  # of a message, in bytes; an environment is a small part of that


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    _import_libraries()
    running: dict[int, int] = {}  # pid → where its end is told
    while True:
        ready = select.select([requests.fileno(), wake], [], [], None if running else IDLE_SECONDS)[0]
        if wake in ready:
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            _tell_ended(running)
        if requests.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 2)
            if not message:
                return
            log, told = descriptors
            server = os.getpid()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for one in (requests.detach(), wake, woken, told, *running.values()):
                    os.close(one)
                _become(json.loads(message), log, server)
                return
            os.close(log)
            _tell(told, pid)
            running[pid] = told
        elif not ready:
            return


def _import_libraries() -> None:
    """What recipes import in their `run`. Where one is missing, a recipe says so."""
    prepare_environment()
    with suppress(ImportError):
        import datasets  # noqa: F401
        import peft  # noqa: F401
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
        from trl import DPOTrainer, RewardTrainer, SFTTrainer  # noqa: F401
    gc.collect()
    gc.freeze()  # what is never freed is never written to, and its memory stays shared


def _tell_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        told = running.pop(pid)
        _tell(told, os.waitstatus_to_exitcode(status))
        os.close(told)


def _tell(descriptor: int, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever asked is gone
        os.write(descriptor, f"{number}\n".encode())


def _become(asked: dict[str, Any], log: int, server: int) -> None:
    """The recipe, as if it had been started by itself: it ends this process as it would any other."""
    os.setsid()
    die_with(server)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, standard)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[1:] = [asked["folder"]]
    runpy.run_module(f"training.recipes.{asked['method']}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
