"""Recipes run as they are in production: a process, a folder with a spec, and what it holds afterwards."""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from training.forking import Forked, ForkServer
from training.recipes.contract import Stop, perform

ROOT = Path(__file__).parents[3]
FORKS = ForkServer()
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
DEADLINE = 300.0  # of a process that takes seconds: other work may share the cores

QUESTIONS = [
    "Why is the sky blue?",
    "Name a river in Europe.",
    "What is a good tea?",
    "How do bees find their way?",
]
GOOD = "Because air scatters blue light more than red light."
BAD = "I cannot say. It depends on many things."


def says(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def questions(count: int) -> list[str]:
    return [f"{QUESTIONS[number % len(QUESTIONS)]} ({number})" for number in range(count)]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> str:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@dataclass
class Run:
    """One run's folder, started as a process or within this one."""

    folder: Path
    method: str

    def start(self) -> Forked:
        with (self.folder / "log.txt").open("ab") as log:
            return FORKS.fork(self.method, str(self.folder), log, {**os.environ, **ENVIRONMENT})

    def finish(self) -> "Run":
        self.exit_code = self.start().wait(timeout=DEADLINE)
        return self

    def here(self, stop: Stop | None = None) -> "Run":
        """In this process, where torch is loaded already."""
        module = import_module(f"training.recipes.{self.method}")
        perform(self.method, module.run, self.folder, stop)
        return self

    def here_until(self, reached: Callable[["Run"], bool]) -> "Run":
        """In this process, and asked to stop, as SIGTERM does it, as soon as it got that far."""
        stop, over = Stop(), threading.Event()

        def watch() -> None:
            while not over.wait(0.002):
                if reached(self):
                    stop.asked_at = time.monotonic()
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            return self.here(stop)
        finally:
            over.set()
            watcher.join()

    def stopped_when(self, reached: Callable[["Run"], bool], number: int) -> "Run":
        """Starts the process and sends it a signal as soon as it got that far."""
        process = self.start()
        end = time.monotonic() + DEADLINE
        while not reached(self):
            assert process.poll() is None, f"it ended too soon:\n{self.log}"
            assert time.monotonic() < end, f"it never got that far:\n{self.log}"
            time.sleep(0.005)
        process.send_signal(number)
        signalled = time.monotonic()
        self.exit_code = process.wait(timeout=DEADLINE)
        self.seconds_to_stop = time.monotonic() - signalled
        return self

    @property
    def result(self) -> dict[str, Any]:
        assert (self.folder / "result.json").exists(), self.log
        return json.loads((self.folder / "result.json").read_text())

    @property
    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""

    def lines(self, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
        path = self.folder / name
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "step" in line]

    @property
    def losses(self) -> list[float]:
        return [line["loss"] for line in self.steps]

    def event(self, name: str) -> dict[str, Any]:
        return next(line for line in self.lines() if line.get("event") == name)


def weights(folder: Path | str) -> dict[str, Any]:
    """Every tensor in a stored model or adapter, by name."""
    from safetensors.torch import load_file

    return {
        name: tensor for path in sorted(Path(folder).glob("*.safetensors")) for name, tensor in load_file(path).items()
    }


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard would draw: name → step → value. A later file replaces what it purges of earlier ones."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            size = int.from_bytes(data[:8], "little")
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            if event.session_log.status == SessionLog.START:
                found = {name: {s: v for s, v in line.items() if s < event.step} for name, line in found.items()}
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
