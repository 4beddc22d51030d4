"""Answering people and programs at once: models kept in memory, behind a socket of this machine.

    python -m training.recipes.serve <socket> [--keep 2] [--at-once 1]

`manage.py serve_models` starts it. A connection brings one line of JSON

    {"model": {"base": …, "adapter": … or null}, "sha256": …, "messages": [...], "max_tokens": … or null,
     "temperature": 1.0, "top_p": 1.0, "seed": 17, "stop": [...], "n": 1}

and gets lines back: {"prompt_tokens": 9}; then {"choice": 0, "text": "…"} as they are written; of each answer
{"choice": 0, "finish": "stop" or "length", "tokens": 4}; at last {"done": true}. Or {"refused": "too_long", "busy",
"bad_data", … , "error": "…"}. A model is loaded when it is first asked for, and the one that was not asked for the
longest makes room. So many answer at once, others wait in line; where the line is too long the answer is "busy".

torch is imported with the first question: a process that nobody asks holds no memory. Left out: batches across
requests, quantised weights. Where many ask at once, give the exported model to an inference server and import its
address (docs/api.md).
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from training.recipes.contract import BadData, ModelSpec, explain, prepare_environment
from training.recipes.streaming import Writing

MOST_WAITING = 16  # besides those that are being answered
LONGEST = 8192  # tokens of an answer, whatever room the model has
LONGEST_REQUEST = 8 * 1024 * 1024  # bytes

Tell = Callable[[dict[str, Any]], None]


class Asked(BaseModel):
    model: ModelSpec
    sha256: str = ""
    messages: list[dict[str, str]]
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0.0, le=2.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    seed: int = Field(0, ge=0)
    stop: list[str] = []
    n: int = Field(1, ge=1, le=16)


class TooLong(Exception):
    """The conversation leaves the model no room for an answer."""


class Busy(Exception):
    """Too many wait already."""


@dataclass
class Loaded:
    """A model that is ready to be asked."""

    tokenizer: Any
    model: Any
    ends: list[int]


@dataclass
class Shelf:
    """The models in memory, the one that was asked for last at the end."""

    room: int
    models: OrderedDict[tuple[str, str | None, str], Loaded] = field(default_factory=OrderedDict)

    def get(self, asked: Asked) -> Loaded:
        """The model, loaded if it is not there; others make room for it first."""
        key = (asked.model.base, asked.model.adapter, asked.sha256)
        if key not in self.models:
            while len(self.models) >= self.room:
                self.models.popitem(last=False)
            self.models[key] = load(asked.model)
        self.models.move_to_end(key)
        return self.models[key]


def load(spec: ModelSpec) -> Loaded:
    prepare_environment()
    from training.recipes import models

    tokenizer = models.load_tokenizer(spec.base)
    model = models.load_policy(spec, models.frozen_dtype()).to(models.device()).eval()
    return Loaded(tokenizer, model, models.end_of_turn(tokenizer, model))


def answer(loaded: Loaded, asked: Asked, tell: Tell) -> None:
    """Write the answers, telling each piece of text as soon as it is certain."""
    from training.recipes import rows
    from training.recipes.sampling import Drawing, draw_answers

    prompt = rows.tokens(loaded.tokenizer, asked.messages, answer_next=True)
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    room = min(context - len(prompt), LONGEST)
    if room < (asked.max_tokens or 1):
        raise TooLong(
            f"This model reads {context} tokens: the conversation has {len(prompt)}, and {asked.max_tokens or 1} are "
            "to be written. Shorten one of them."
        )
    tell({"prompt_tokens": len(prompt)})

    def decode(tokens: list[int]) -> str:
        return str(loaded.tokenizer.decode(tokens, skip_special_tokens=True))

    writings = [Writing(decode, asked.stop) for _ in range(asked.n)]

    def watch(drawn: list[tuple[int, int]]) -> list[int]:
        for number, token in drawn:
            if text := writings[number].take(token):
                tell({"choice": number, "text": text})
        return [number for number, _ in drawn if writings[number].stopped]

    (answers,) = draw_answers(
        loaded.model,
        [prompt],
        each=asked.n,
        longest=asked.max_tokens or room,
        ends=loaded.ends,
        pad=loaded.tokenizer.pad_token_id,
        drawing=Drawing(asked.temperature, asked.top_p, seed=asked.seed),
        watch=watch,
    )
    for number, (writing, whole) in enumerate(zip(writings, answers, strict=True)):
        if text := writing.close():
            tell({"choice": number, "text": text})
        finish = "stop" if whole.finished or writing.stopped else "length"
        tell({"choice": number, "finish": finish, "tokens": writing.tokens})
    tell({"done": True})


class Line:
    """Who is being answered, and who waits."""

    def __init__(self, at_once: int) -> None:
        self.most = at_once + MOST_WAITING
        self.there = 0
        self.lock = threading.Lock()
        self.turn = threading.Semaphore(at_once)

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Until it is one's turn; raises Busy if too many wait."""
        with self.lock:
            if self.there >= self.most:
                raise Busy("Too many questions wait already: ask again in a moment.")
            self.there += 1
        try:
            with self.turn:
                yield
        finally:
            with self.lock:
                self.there -= 1


class Handler(StreamRequestHandler):
    server: "Server"

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has left, and nobody reads on
            try:
                asked = Asked.model_validate_json(self.rfile.readline(LONGEST_REQUEST))
                with self.server.line.wait():
                    with self.server.loading:
                        loaded = self.server.shelf.get(asked)
                    answer(loaded, asked, self.tell)
            except (BrokenPipeError, ConnectionResetError):
                raise
            except (TooLong, Busy) as error:
                self.tell({"refused": "too_long" if isinstance(error, TooLong) else "busy", "error": str(error)})
            except ValidationError as error:
                self.tell({"refused": "bad_data", "error": str(BadData(error.errors()[0]["msg"]))})
            except Exception as error:
                reason, sentence = explain(error)
                self.tell({"refused": reason, "error": sentence})

    def tell(self, line: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(line).encode() + b"\n")


class Server(ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, *, keep: int, at_once: int) -> None:
        self.shelf, self.line, self.loading = Shelf(keep), Line(at_once), threading.Lock()
        super().__init__(str(path), Handler)
        path.chmod(0o600)  # whoever reaches it may ask any model


def is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def serve(path: Path, *, keep: int, at_once: int) -> None:
    """Until SIGTERM. What a killed process left in the way of the socket is removed."""
    if is_answering(path):
        sys.exit(f"Models are being served at {path} already.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid() and os.getuid():
        sys.exit(f"{path.parent} belongs to somebody else, who could answer in our place: remove it.")
    path.unlink(missing_ok=True)
    with Server(path, keep=keep, at_once=at_once) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"Models answer at {path}.", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    path.unlink(missing_ok=True)
    os._exit(0)  # at once, whoever is being answered


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.recipes.serve")
    parser.add_argument("socket", type=Path)
    parser.add_argument("--keep", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    serve(options.socket, keep=max(1, options.keep), at_once=max(1, options.at_once))


if __name__ == "__main__":
    main()
