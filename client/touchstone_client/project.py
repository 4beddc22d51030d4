"""One project: rows in, labels, labels out, snapshots, runs, models, rounds."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast
from uuid import UUID, uuid4

from touchstone_client.errors import RunFailed
from touchstone_client.shapes import (
    AssignmentRow,
    Exported,
    Kind,
    Label,
    Model,
    ProjectDetail,
    Prompt,
    Round,
    Run,
    RunDetail,
    Snapshot,
    SnapshotKind,
    Summary,
)
from touchstone_client.transport import Transport

ROWS, BYTES = 1000, 4_000_000  # in one request
COUNTS = ("added", "known", "prompts", "responses", "demonstrations", "comparisons", "gold")


class Assignment:
    """An item that is yours for a while. What it says is in `row`; say what you think with `submit` or `skip`."""

    def __init__(self, transport: Transport, row: AssignmentRow) -> None:
        self._transport = transport
        self.row = row

    @property
    def prompt(self) -> list[dict[str, str]]:
        return cast(list[dict[str, str]], self.row["prompt"])

    @property
    def answers(self) -> list[str]:
        """In your own order."""
        return [answer["text"] for answer in self.row["answers"]]

    def submit(self, *, client_uuid: UUID | None = None, **said: Any) -> Label:
        """Your label: `ranks` (1 is best) of a comparison, a `verdict` of a demonstration, and what else the API takes.

        Sent again, also with the same `client_uuid` by another process, it is stored once.
        """
        body = {**said, "client_uuid": str(client_uuid or uuid4())}
        return cast(Label, self._transport.post(f"assignments/{self.row['id']}/submit/", body)["label"])

    def skip(self, reason: str = "") -> None:
        self._transport.post(f"assignments/{self.row['id']}/skip/", {"reason": reason})


class Project:
    def __init__(self, transport: Transport, slug: str) -> None:
        self._transport = transport
        self.slug = slug
        self._path = f"projects/{slug}/"

    def detail(self) -> ProjectDetail:
        """Its guidelines, its rules, and how far it is."""
        return cast(ProjectDetail, self._transport.get(self._path))

    # Data

    def import_rows(self, rows: Iterable[Mapping[str, Any]]) -> Summary:
        """Bring rows in, a thousand at a time, so that they may be more than memory holds. The same row twice adds
        nothing: after an error, send them all again."""
        total: dict[str, Any] = {**dict.fromkeys(COUNTS, 0), "rejected": []}
        sent = 0
        for count, lines in _batches(rows):
            found = self._transport.post_lines(f"{self._path}prompts/", lines)
            for name in COUNTS:
                total[name] += found[name]
            total["rejected"] += [{**one, "line": one["line"] + sent} for one in found["rejected"]]
            sent += count
        return cast(Summary, total)

    def prompts(self, **chosen: Any) -> Iterator[Prompt]:
        return self._transport.pages(f"{self._path}prompts/", **chosen)

    def export(self, *, kind: Kind | None = None) -> Iterator[Exported]:
        """Labelled items as they arrive, people under pseudonyms."""
        return self._transport.lines(f"{self._path}export/", kind=kind)

    # Labels

    def next(self, kind: Kind) -> Assignment | None:
        """Your next item; None if nothing waits for you."""
        row = self._transport.post(f"{self._path}next/", {"kind": kind})["assignment"]
        return Assignment(self._transport, row) if row else None

    def labels(
        self, *, kind: Kind | None = None, person: str | None = None, live: bool | None = None
    ) -> Iterator[Label]:
        """Newest first: all of them for leads and reviewers, your own otherwise."""
        return self._transport.pages(f"{self._path}labels/", kind=kind, person=person, live=live)

    # Snapshots, runs, models

    def freeze(self, kind: SnapshotKind, **rule: Any) -> Snapshot:
        """A snapshot of the labels as they are; the same labels and rule are the same snapshot."""
        return cast(Snapshot, self._transport.post(f"{self._path}snapshots/", {"kind": kind, "rule": rule}))

    def snapshots(self) -> Iterator[Snapshot]:
        return self._transport.pages(f"{self._path}snapshots/")

    def start_run(self, method: str, **chosen: Any) -> RunDetail:
        """Queue a run: `snapshot`, `base`, `settings`, `seed` and what else the API takes."""
        return cast(RunDetail, self._transport.post(f"{self._path}runs/", {"method": method, **chosen}))

    def run(self, number: int) -> RunDetail:
        return cast(RunDetail, self._transport.get(f"{self._path}runs/{number}/"))

    def runs(self) -> Iterator[Run]:
        return self._transport.pages(f"{self._path}runs/")

    def wait(
        self,
        run: Run | int,
        *,
        progress: Callable[[RunDetail], object] = lambda run: None,
        every: float = 2.0,
        limit: float | None = None,
    ) -> RunDetail:
        """How a run ended; `progress` is told of it each time it has got on. Raises RunFailed if it did not succeed,
        and TimeoutError after `limit` seconds (the run goes on)."""
        number = run if isinstance(run, int) else run["id"]
        end = None if limit is None else time.monotonic() + limit
        told = None
        while True:
            now = self.run(number)
            if (now["status"], now["step"]) != told:
                told = (now["status"], now["step"])
                progress(now)
            if now["status"] == "succeeded":
                return now
            if now["status"] in ("failed", "cancelled"):
                said = [now["error"], now["advice"]] if now["error"] else [f"Run {number} was {now['status']}."]
                raise RunFailed([one for one in said if one], now)
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"Run {number} is still {now['status']}.")
            time.sleep(every)

    def cancel(self, run: Run | int) -> RunDetail:
        number = run if isinstance(run, int) else run["id"]
        return cast(RunDetail, self._transport.post(f"{self._path}runs/{number}/cancel/"))

    def models(self) -> Iterator[Model]:
        return self._transport.pages(f"{self._path}models/")

    def promote(self, model: Model | int, reason: str = "") -> Model:
        """Make it the production model; an older one, to roll back."""
        number = model if isinstance(model, int) else model["id"]
        return cast(Model, self._transport.post(f"{self._path}models/{number}/promote/", {"reason": reason}))

    # Rounds

    def rounds(self) -> Iterator[Round]:
        return self._transport.pages(f"{self._path}rounds/")

    def start_round(self, **settings: Any) -> Round:
        return cast(Round, self._transport.post(f"{self._path}rounds/", {"settings": settings}))

    def round(self, number: int) -> Round:
        return cast(Round, self._transport.get(f"{self._path}rounds/{number}/"))

    def advance(self, number: int) -> Round:
        """Go on with the labels that are there."""
        return cast(Round, self._transport.post(f"{self._path}rounds/{number}/advance/"))

    def cancel_round(self, number: int) -> Round:
        return cast(Round, self._transport.post(f"{self._path}rounds/{number}/cancel/"))


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """How many rows, and their lines."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        size += len(lines[-1])
        if len(lines) == ROWS or size >= BYTES:
            yield len(lines), b"".join(lines)
            lines, size = [], 0
    if lines:
        yield len(lines), b"".join(lines)
