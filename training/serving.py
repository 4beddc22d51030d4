"""Asking a model from a web process, which has no torch: over a socket of this machine to `serve_models`.

The row says which weights; the serving process only loads what it is told and keeps it by its hash.
"""

import json
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any

from django.conf import settings

from training import artifacts, registry
from training.models import ModelVersion

SECONDS = 600.0  # of silence: a large model is loaded, and others are answered first
AT_ONCE = 2  # in one web process, which has four threads and pages to serve as well
_asking = threading.BoundedSemaphore(AT_ONCE)

NOT_RUNNING = (
    "No process serves models on this machine: start `manage.py serve_models` (it is `models` in the Procfile), "
    "and ask again."
)


class Away(Exception):
    """Nobody serves models here, or whoever did has gone; the message says what to do."""


class Busy(Exception):
    """Too many are asking."""


class Refused(Exception):
    """The model cannot answer this; `reason` is why in a word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Question:
    messages: list[dict[str, str]]
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    n: int = 1


def ask(*, version: ModelVersion, question: Question) -> Iterator[dict[str, Any]]:
    """What the model writes, piece by piece, in the lines that `training/recipes/serve.py` describes.

    Raises Away, Busy or Refused before the first piece, and Away if the process ends in the middle of it.
    """
    lines = _ask(version, question)
    first = next(lines)  # whatever is refused is refused here

    def all_of_them() -> Iterator[dict[str, Any]]:
        with closing(lines):
            yield first
            yield from lines

    return all_of_them()


def _ask(version: ModelVersion, question: Question) -> Generator[dict[str, Any]]:
    if not _asking.acquire(blocking=False):
        raise Busy("Too many questions are being answered: ask again in a moment.")
    try:
        request = {**_weights(version), **vars(question)}
        if request["seed"] is None:
            request["seed"] = SystemRandom().getrandbits(31)
        with _connected() as line:
            line.write(json.dumps(request).encode() + b"\n")
            line.flush()
            for answer in line:
                told = json.loads(answer)
                if "refused" in told:
                    raise _refusal(told)
                yield told
                if "done" in told:
                    return
        raise Away("The process that serves models ended in the middle of the answer: ask again.")
    except (ConnectionError, TimeoutError) as error:
        raise Away("The process that serves models does not answer any more: ask again.") from error
    finally:
        _asking.release()


def _weights(version: ModelVersion) -> dict[str, Any]:
    """Where the model lies, brought here first if several machines share a store."""
    try:
        registry.bring(version)
    except artifacts.Damaged as error:
        raise Refused("missing_base", str(error)) from error
    if gone := version.missing():
        raise Refused("missing_base", f"{gone} is not where it was stored.")
    base, adapter = version.base_and_adapter()
    hashes = "-".join(one.sha256 for one in (version.full_weights(), version))
    return {"model": {"base": str(base), "adapter": str(adapter) if adapter else None}, "sha256": hashes}


@contextmanager
def _connected() -> Iterator[Any]:
    with socket.socket(socket.AF_UNIX) as there:
        there.settimeout(SECONDS)
        try:
            there.connect(str(settings.SERVING_SOCKET))
        except OSError as error:
            raise Away(NOT_RUNNING) from error
        with there.makefile("rwb") as line:
            yield line


def _refusal(told: dict[str, Any]) -> Exception:
    if told["refused"] == "busy":
        return Busy(told["error"])
    return Refused(told["refused"], told["error"])
