"""Processes with a stopwatch: how long one took, and the most memory it ever held."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.product import REPOSITORY, Product

ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}


@dataclass
class Measured:
    seconds: float
    peak_mb: float


def measured(*arguments: str | Path, log: Path) -> Measured:
    """Run Python with these arguments to its end, from the moment it is started."""
    with log.open("ab") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=REPOSITORY,
            env={**os.environ, **ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return Measured(seconds, usage.ru_maxrss / 1024)


class Peak:
    """The most memory that the process held in which a product runs this recipe, looked at again and again."""

    def __init__(self, product: Product, method: str) -> None:
        self.product, self.method = product, method
        self.peak_mb = 0.0
        self._pid: int | None = None

    def look(self) -> None:
        if self._pid is None:
            self._pid = next((process.pid for process in self.product.recipes(self.method)), None)
        if self._pid is not None:
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{self._pid}/status").read_text().splitlines()
                line = next(line for line in status if line.startswith("VmHWM"))
                self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)
