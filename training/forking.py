"""Recipes forked off a process that has the libraries in memory, `training/recipes/forkserver.py`: what
`subprocess.Popen` is for those that are started by themselves."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent


class Unavailable(Exception):
    """The server did not start, or did not fork."""


class Forked:
    """A recipe's process. `returncode` is None until `wait` or `poll` has seen its end. If the server ended first, the
    kernel has asked the recipe to stop, and nobody knows how it ended: as if it had been killed."""

    def __init__(self, told: int) -> None:
        """`told` is the descriptor on which the server tells the pid and then how it ended. Raises Unavailable."""
        self._told = os.fdopen(told, "rb", buffering=0)
        self.returncode: int | None = None
        try:
            self.pid = int(self._told.readline())
        except ValueError:
            self._told.close()
            raise Unavailable("The process that forks recipes ended.") from None
        self._process: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(self.pid)  # by its beginning, too: a pid is used again

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(timeout=0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is not None:
            return self.returncode
        if not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        line = self._told.readline()
        if line:
            self.returncode = int(line)
        else:
            try:
                if self._process is not None:
                    self._process.wait(timeout)
            except psutil.TimeoutExpired:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self.returncode = -signal.SIGKILL
        self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """Starts its process when it is first asked, and anew when that has ended. Linux only, and not for devices that a
    driver of NVIDIA's watches over: what was asked of one before a fork is not there after it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._lock = threading.Lock()

    def fork(self, method: str, folder: str, output: IO[bytes], environment: Mapping[str, str]) -> Forked:
        """The recipe with this environment; what it prints goes to `output`. What libraries read once, when they are
        imported, is of the first recipe's environment. Raises Unavailable."""
        asked = json.dumps({"method": method, "folder": folder, "environment": dict(environment)}).encode()
        with self._lock:
            if self._requests is not None:
                with contextlib.suppress(Unavailable):  # it ended, having had nothing to do
                    return self._ask(self._requests, asked, output)
            self.close()
            return self._ask(self._start(environment), asked, output)

    def _start(self, environment: Mapping[str, str]) -> socket.socket:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "training.recipes.forkserver", str(theirs.fileno())],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return self._requests

    @staticmethod
    def _ask(requests: socket.socket, asked: bytes, output: IO[bytes]) -> Forked:
        told, telling = os.pipe()
        try:
            socket.send_fds(requests, [asked], [output.fileno(), telling])
        except OSError as error:
            os.close(told)
            raise Unavailable(f"Recipes cannot be forked off: {error}") from error
        finally:
            os.close(telling)
        return Forked(told)

    def close(self) -> None:
        """It ends; recipes that run still are stopped."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
