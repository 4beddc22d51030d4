"""What gunicorn reads by itself from the folder that it starts in: a place where its processes add up what they count,
and lines in the form of all others (docs/operations.md)."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psutil
from gunicorn.glogging import Logger

COUNTED = "PROMETHEUS_MULTIPROC_DIR"


class InJSON(Logger):
    def setup(self, cfg: Any) -> None:
        from config.logs import JSON  # our folder is on the path by now

        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JSON())


if os.environ.get("TOUCHSTONE_LOG_FORMAT") == "json":
    logger_class = InJSON


def on_starting(server: Any) -> None:
    for left in Path(tempfile.gettempdir()).glob("touchstone-metrics-*-*"):  # by a server that was killed
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    os.environ[COUNTED] = tempfile.mkdtemp(prefix=f"touchstone-metrics-{os.getpid()}-")


def child_exit(server: Any, worker: Any) -> None:
    """What a process counted stays; what it held does not."""
    from prometheus_client import multiprocess  # which looks at its first import whether there is such a place

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ[COUNTED], ignore_errors=True)
