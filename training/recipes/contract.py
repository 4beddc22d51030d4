"""How a run and the rest of the product meet: files in one folder, a signal, and an exit code.

    python -m training.recipes.<method> <folder>

reads `<folder>/spec.json`, appends to `<folder>/metrics.jsonl` while it works, and writes
`<folder>/result.json` last and at once. Exit code 0 means that the result says "ok"; anything else that it
says why not, by one of the names in `training/causes.py`. Without a result the process was killed: start it
again on the same folder and it goes on. Exit code 28 says that the disk was too full even for a result.

This module imports nothing heavy, and recipes import torch inside their `run` only, so that SIGTERM is caught
from the first moment and an installation without torch ends in a result like any other failure.
"""

import json
import math
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.causes import DISK_FULL_CODE, is_disk_full
from training.methods import APART, METHODS, Settings
from training.processes import die_with


class BadData(Exception):
    """The data or the model cannot be used; the message is one sentence that says what to do."""


class MissingBase(BadData):
    """The model that the run starts from is gone, or its files are damaged."""


class Failed(Exception):
    """The run went wrong in a way that is understood; the message is one sentence that says what to do."""


class Unanswered(Exception):
    """An endpoint cannot be asked as things are; the message is one sentence that says what to do."""


class Cancelled(BaseException):
    """SIGTERM came. Not an `Exception`, so that no library on the way swallows it."""


class ModelSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    base: str
    adapter: str | None = None


class EndpointSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    model: str


class Spec(BaseModel):
    method: str
    seed: int = Field(0, ge=0, lt=2**32)
    model: ModelSpec | None = None
    endpoint: EndpointSpec | None = None  # in place of a model, for `generate`
    teacher: ModelSpec | None = None  # the model that is learnt from: a reward model, or a larger one
    data: dict[str, str] = Field(default_factory=dict)
    cache: str | None = None  # a folder that runs share; what lies in it can be computed again
    settings: dict[str, Any] = Field(default_factory=dict)


class Stop:
    """Whether the run was asked to stop. Within `gently` the work itself looks; elsewhere it stops at once."""

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self._gentle = False
        self._listens = False

    def listen(self) -> None:
        self._listens = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def ignore(self) -> None:
        """From here on the result is being written, and nothing may come between."""
        for number in (signal.SIGTERM, signal.SIGINT) if self._listens else ():
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: object) -> None:
        self.asked_at = self.asked_at or time.monotonic()
        if not self._gentle:
            raise Cancelled

    @property
    def asked(self) -> bool:
        return self.asked_at is not None

    def seconds_since(self) -> float:
        return 0.0 if self.asked_at is None else time.monotonic() - self.asked_at

    def check(self) -> None:
        """A signal may have been lost in a library's clean-up code, where exceptions are dropped."""
        if self.asked:
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Pause; a stop that is asked for meanwhile ends it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.1))

    @contextmanager
    def gently(self) -> Iterator[None]:
        self.check()
        self._gentle = True
        try:
            yield
        finally:
            self._gentle = False


class Journal:
    """A file of one JSON object a line, appended to, that survives being cut off in the middle of a line."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    def read(self) -> list[dict[str, Any]]:
        """The whole lines; what a killed process left of a last one is passed over."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines if line.strip()]

    def append(self, *rows: dict[str, Any]) -> None:
        if self.writes:
            text = "".join(json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Drops the lines that are not wanted, before the run goes on from an earlier point."""
        rows = [row for row in self.read() if wanted(row)]
        if self.writes and self.path.exists():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_atomically(self.path, text)
        return rows


@dataclass
class Job:
    """One run: its folder, what was asked for, and where it writes."""

    folder: Path
    spec: Spec
    settings: Any  # the pydantic model of the method, validated
    stop: Stop
    metrics: Journal
    is_main: bool = True

    @property
    def model(self) -> ModelSpec:
        if self.spec.model is None:
            raise BadData('spec.json names no model: give "model" a "base" folder.')
        return self.spec.model

    def data(self, name: str) -> str:
        if name not in self.spec.data:
            raise BadData(f'spec.json names no data: give "data" the path of "{name}".')
        return self.spec.data[name]

    def event(self, name: str, **facts: Any) -> None:
        self.metrics.append({"event": name, **facts})


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old file or the whole new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def perform(
    method: str, run: Callable[[Job], dict[str, Any]], folder: Path, stop: Stop | None = None
) -> dict[str, Any]:
    """Runs one recipe on one folder and returns what was written to `result.json`."""
    stop = stop or Stop()
    is_main = os.environ.get("RANK", "0") == "0"  # under `accelerate launch` only the first process writes
    started = time.monotonic()
    result_path = folder / "result.json"
    try:
        if result_path.exists():
            result = json.loads(result_path.read_text(encoding="utf-8"))
            if result.get("status") == "ok":
                return result
            if is_main:
                result_path.unlink()
        job = _job(method, folder, stop, is_main)
        job.metrics.keep(lambda line: True)  # drops half a line, if it was killed while writing one
        prepare_environment()
        result = {"status": "ok", **run(job), "seconds": round(time.monotonic() - started, 3)}
        stop.ignore()
    except (Exception, Cancelled) as error:
        stop.ignore()
        reason, sentence = explain(Cancelled() if stop.asked else error)
        trace = "".join(traceback.format_exception(error))
        seconds = round(time.monotonic() - started, 3)
        result = {"status": "failed", "reason": reason, "error": sentence, "traceback": trace, "seconds": seconds}
        if reason == "crashed":
            with suppress(OSError):  # the log may be on a full disk
                print(trace, file=sys.stderr)
    if not is_main and result["status"] != "ok" and result["reason"] != "cancelled":
        write_atomically(folder / "failure.json", json.dumps(_plain(result), ensure_ascii=False, indent=1) + "\n")
    if is_main:
        write_atomically(result_path, json.dumps(_plain(result), ensure_ascii=False, indent=1) + "\n")
        if result["status"] == "ok":
            for name in ("checkpoints", "cache"):  # nothing to go on with any more
                shutil.rmtree(folder / name, ignore_errors=True)
    return result


def main(method: str, run: Callable[[Job], dict[str, Any]]) -> None:
    """The command line of every recipe."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(f"usage: python -m training.recipes.{method} <folder with spec.json>")
    stop = Stop()
    stop.listen()
    with suppress(OSError):  # how lists of processes call it, on Linux
        Path("/proc/self/comm").write_text(f"recipe {method}")
    if "RANK" in os.environ:  # one of several, whose launcher may die
        die_with(os.getppid())
    try:
        result = perform(method, run, Path(sys.argv[1]).resolve(), stop)
    except OSError as error:  # the result itself could not be written
        if is_disk_full(error):
            os._exit(DISK_FULL_CODE)  # at once: what is left to write would fail, too
        raise
    stop.ignore()
    with suppress(OSError):
        ended = {key: result.get(key) for key in ("status", "reason", "error", "seconds")}
        print(json.dumps({"run_id": os.environ.get("TOUCHSTONE_RUN"), **ended}), flush=True)
    sys.exit(0 if result["status"] == "ok" else 1)


def _job(method: str, folder: Path, stop: Stop, is_main: bool) -> Job:
    try:
        spec = Spec.model_validate_json((folder / "spec.json").read_bytes())
        if spec.method != method:
            raise BadData(f"spec.json asks for {spec.method}, and this is {method}: start the recipe that it names.")
        model: type[Settings] = {**METHODS, **APART}[method].settings
        settings = model.model_validate(spec.settings)
    except OSError as error:
        raise BadData(f"spec.json could not be read ({error.strerror}): write it before starting the run.") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise BadData(f"The settings of this run cannot be used; correct them and start again: {problems}.") from error
    return Job(folder, spec, settings, stop, Journal(folder / "metrics.jsonl", writes=is_main), is_main)


def explain(error: BaseException) -> tuple[str, str]:
    if isinstance(error, Cancelled):
        return "cancelled", "The run was stopped; start it again to go on from its last checkpoint."
    if isinstance(error, BadData):
        return "missing_base" if isinstance(error, MissingBase) else "bad_data", str(error)
    if isinstance(error, Unanswered):
        return "endpoint", str(error)
    if isinstance(error, Failed):
        return "crashed", str(error)
    if is_disk_full(error):
        return "disk_full", "The disk is full: nothing more could be written."
    name = type(error).__name__
    words = str(error).lower()
    if (
        isinstance(error, MemoryError)
        or name == "OutOfMemoryError"  # torch.cuda.OutOfMemoryError, without importing torch
        or "out of memory" in words
        or "can't allocate memory" in words
    ):
        return "out_of_memory", "What was needed at once did not fit into memory."
    if name == "SafetensorError" and "deserializ" in words:
        return "missing_base", f"A file with weights is damaged and cannot be read ({_first_line(error)})"
    if isinstance(error, ImportError):
        return (
            "crashed",
            f"A library is missing on this machine ({error}): install the training requirements.",
        )
    return "crashed", f"The run stopped with {name}: {_first_line(error)} Its log has the details."


def _first_line(error: BaseException) -> str:
    line = (str(error).strip().splitlines() or ["no message"])[0][:300]
    return line if line.endswith((".", "!", "?")) else line + "."


def prepare_environment() -> None:
    """Set before the heavy imports, which read these once: no usage pings, no progress bars in the log.

    And threads that wait, sleep. By default they spin, which gains little on an idle machine; where a web server works
    on the same cores, it made a step take four times as long, and the pages wait too. What libraries will change one
    day is not for those who read a run's log: whoever maintains this asks with PYTHONWARNINGS.
    """
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", category=FutureWarning)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _plain(value: Any) -> Any:
    """JSON that every reader takes: "NaN" and "Infinity" are not JSON, and become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
