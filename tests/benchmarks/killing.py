"""Ending processes with -9, as a machine does that loses them."""

import os
import signal
from contextlib import suppress

import psutil

from tests.benchmarks.product import Product


def end(pid: int) -> bool:
    """Kill one process; False if it had ended already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_database(product: Product) -> bool:
    """Kill every process of PostgreSQL; its keeper starts it again. False while it is not up."""
    home = (product.var / "postgres" / "server").resolve() / "data"
    try:
        server = psutil.Process(int((home / "postmaster.pid").read_text().split()[0]))
        family = [server, *server.children(recursive=True)]
    except (OSError, IndexError, psutil.NoSuchProcess):
        return False
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return True
