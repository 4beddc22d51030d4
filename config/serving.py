"""Starting everything in the Procfile on this machine, each process with a log of its own text in `var/log/`."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from config.paths import BASE, VAR


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def serve(port: int, on_ready: Callable[[], object]) -> int:
    """Run web, queue and gpu until one of them ends or Ctrl-C; returns an exit code.

    `on_ready` is called once, from a thread, when the pages answer.
    """
    log = VAR / "log" / "touchstone.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("a") as output:
        manager = Manager(printer=Printer(output, colour=False))
        for name, command in parse_procfile((BASE / "Procfile").read_text()).processes.items():
            manager.add_process(name, command, env=environment, cwd=str(BASE))
        Thread(target=_when_ready, args=(port, on_ready), daemon=True).start()
        manager.loop()
    return int(manager.returncode or 0)


def _when_ready(port: int, on_ready: Callable[[], object]) -> None:
    deadline = monotonic() + 120
    while monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5):
                on_ready()
                return
        except HTTPError:
            on_ready()
            return
        except (URLError, OSError):
            sleep(0.2)
