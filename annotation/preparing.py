"""What storing a row needs and the database does not: worked out ahead, in a thread of its own, while the rows before
are being stored."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from annotation import copying
from annotation.asking import fingerprint
from annotation.models.prompts import Split
from annotation.shapes.records import Found
from annotation.shapes.rows import BadLine, Row
from annotation.text import is_heldout, sha256

AHEAD = 2  # batches that wait
T = TypeVar("T")


@dataclass(slots=True)
class Ready:
    """A row, and what is written of it: `prompt` and `texts` as fields for COPY, a hash of each of its answers, and for
    each item it asks for the fingerprint and the places of its answers."""

    row: Row
    prompt: str
    texts: list[str]
    digests: list[str]
    items: list[tuple[str, Sequence[int]]]
    raw: str = ""  # kept where something about it may be refused later


@dataclass(slots=True)
class Rejected:
    """A row that was not stored, or not all of it, and why."""

    line: int
    reason: str
    raw: str = ""


@dataclass(slots=True)
class Batch:
    """Some rows in a row; `number` and `offset` name the place after the last of them, whatever became of it."""

    ready: list[Ready] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    number: int = 0
    offset: int = 0
    done: float = 0.0  # share of the file
    prompts: dict[str, Ready] = field(default_factory=dict)  # by hash, the first row that has it
    answers: dict[tuple[str, str], str] = field(default_factory=dict)  # by the prompt's hash and its own, as a field
    items: dict[str, tuple[Ready, Sequence[int]]] = field(default_factory=dict)  # by fingerprint, the first that asks

    def add(self, ready: Ready) -> None:
        """Put a row in; what several rows bring is the first one's."""
        prompt = ready.row.sha256
        self.ready.append(ready)
        self.prompts.setdefault(prompt, ready)
        for digest, text in zip(ready.digests, ready.texts, strict=True):
            self.answers[prompt, digest] = text
        for print_, places in ready.items:
            self.items.setdefault(print_, (ready, places))


def prepare(row: Row, heldout_share: float) -> Ready:
    digests = [sha256(answer) for answer in row.answers]
    spans = row.spans() if row.kind else []
    split = Split.HELDOUT if is_heldout(row.sha256, heldout_share) else Split.TRAIN
    metadata = copying.whole(row.metadata) if row.metadata else "{}"
    return Ready(
        row=row,
        prompt="\t".join(
            [
                copying.whole(row.messages),
                row.sha256,
                split.value,
                copying.text(row.language),
                copying.texts(row.tags),
                metadata,
            ]
        ),
        texts=[copying.text(answer) for answer in row.answers],
        digests=digests,
        items=[(fingerprint(row.kind, row.sha256, [digests[place] for place in span]), span) for span in spans],
    )


def batches(
    found: Iterable[Found],
    understand: Callable[[dict[str, Any], int], Row],
    *,
    heldout_share: float,
    rows: int,
    characters: int = 8_000_000,
    share: Callable[[], float] = lambda: 0.0,
) -> Iterator[Batch]:
    """Everything a file brings, in parts of so many rows, or of fewer that are long; `share` says how much of it was
    read."""
    batch, size = Batch(), 0
    for one in found:
        batch.number, batch.offset = one.number, one.offset
        try:
            if isinstance(one.record, BadLine):
                raise one.record
            ready = prepare(understand(one.record, one.number), heldout_share)
        except BadLine as error:
            batch.rejected.append(Rejected(one.number, str(error), one.raw))
            size += len(batch.rejected[-1].raw)
        else:
            if ready.row.said or ready.row.gold:
                ready.raw = one.raw
            batch.add(ready)
            size += len(ready.prompt) + sum(map(len, ready.texts))
        if len(batch.ready) + len(batch.rejected) >= rows or size >= characters:
            batch.done = share()
            yield batch
            batch, size = Batch(number=batch.number, offset=batch.offset), 0
    if batch.ready or batch.rejected:
        batch.done = share()
        yield batch


def ahead(parts: Iterator[T]) -> Generator[T, None, None]:
    """The same parts, each made while the one before is in use. What makes them must not ask the database.

    The first is made at once; a thread begins when there is a second. It also lets go of parts that were used: theirs
    are a hundred thousand objects each, and to free them takes as long as to look them up.
    """
    for first in parts:
        yield first
        break
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(AHEAD)
    stopped = threading.Event()
    kept: deque[T] = deque(maxlen=AHEAD + 2)  # those that wait, the one in use and the one that is being made

    def put(part: T | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return made.put((part, error), timeout=0.5)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for part in parts:
                kept.append(part)
                put(part)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(None, error)

    maker = threading.Thread(target=make, daemon=True, name="import")
    maker.start()
    try:
        while True:
            part, error = made.get()
            if error is not None:
                raise error
            if part is None:
                return
            yield part
    finally:
        stopped.set()
        maker.join()
