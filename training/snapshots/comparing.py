"""Two snapshots of one kind, row by row: what came, what went, and what says something else now.

Two rows are about the same thing if they have the same prompt and the same answers, whichever of two is preferred. Rows
are told apart by hashes of sixteen bytes, so the texts of both files are never in memory at once. Neither file ever
changes, and so what was found is kept beside them.
"""

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from annotation.text import canonical
from training.models import Snapshot
from training.snapshots import files
from training.snapshots.files import Row

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
CHANGES = (ADDED, REMOVED, CHANGED)
NOWHERE = -1
TOLD_EVERY = 5_000  # rows
ANSWERS = ("completion", "chosen", "rejected")
Progress = Callable[[int], None]  # rows read


@dataclass(frozen=True)
class Change:
    """A row of the first snapshot and one of the second about the same; None where there is none."""

    what: str
    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row:
        row = self.after or self.before
        assert row is not None
        return row

    @property
    def told(self) -> list[str]:
        """What is different, in words."""
        if self.before is None or self.after is None:
            return []
        before, after = self.before, self.after
        found: list[str] = []
        if "chosen" in after and before["chosen"] != after["chosen"]:
            found.append("The other answer is preferred.")
        if "label" in after and before["label"] != after["label"]:
            found.append("Good by now." if after["label"] else "Bad by now.")
        found += [
            f"{name.capitalize()}: {_number(before.get(name))} → {_number(after.get(name))}."
            for name in ("margin", "agreement", "weight")
            if before.get(name) != after.get(name)
        ]
        if before["labels"] != after["labels"]:
            came = len(set(after["labels"]) - set(before["labels"]))
            went = len(set(before["labels"]) - set(after["labels"]))
            found.append(f"Labels behind it: {came} more, {went} less.")
        if (before["language"], before["tags"]) != (after["language"], after["tags"]):
            found.append("Language or tags are others.")
        return found


@dataclass(frozen=True)
class Comparison:
    """How many rows of each sort, and by number where they lie."""

    first: Snapshot
    second: Snapshot
    same: int
    places: dict[str, list[tuple[int, int]]]  # by what happened: rows of the first and of the second

    def counts(self) -> dict[str, int]:
        return {**{what: len(self.places[what]) for what in CHANGES}, "same": self.same}

    def page(self, what: str, start: int, most: int) -> list[Change]:
        """Raises OSError or ValueError if a file is gone or damaged."""
        some = self.places[what][start : start + most]
        before = _rows_at(self.first, [one for one, _ in some])
        after = _rows_at(self.second, [one for _, one in some])
        return [Change(what, before.get(one), after.get(other)) for one, other in some]


def known(*, first: Snapshot, second: Snapshot) -> Comparison | None:
    """What was found before; None if they were never compared.

    Raises ValidationError if they are not of one project and kind, or if what was kept is damaged.
    """
    if first.project_id != second.project_id or first.kind != second.kind:
        raise ValidationError("Only two snapshots of the same kind can be compared.")
    path = _place(first, second)
    with _damage_told():
        return _kept(path, first, second) if path.exists() else None


def compare(*, first: Snapshot, second: Snapshot, progress: Progress | None = None) -> Comparison:
    """What was found before or is found now; `progress` is told how many rows of both are read.

    Raises ValidationError if they are not of one project and kind, or if a file is gone or damaged.
    """
    found = known(first=first, second=second)
    if found is not None:
        return found
    with _damage_told():
        files.bring(first)
        files.bring(second)
        _keep(_place(first, second), list(_matched(first.path, second.path, _Counted(progress))))
        return _kept(_place(first, second), first, second)


def _place(first: Snapshot, second: Snapshot) -> Path:
    folder = Path(settings.ARTIFACTS) / first.project.slug / "snapshots" / "compared"
    return folder / f"{first.kind}-{first.sha256[:16]}-{second.sha256[:16]}.parquet"


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ValidationError("The file of one of them is gone or damaged: check both on their pages.") from error


@dataclass
class _Counted:
    """Rows as they are read, and word of how many from time to time."""

    progress: Progress | None
    done: int = 0

    def rows(self, folder: Path) -> Iterator[Row]:
        for row in files.stream(folder):
            self.done += 1
            if self.progress is not None and self.done % TOLD_EVERY == 0:
                self.progress(self.done)
            yield row


def _matched(first: Path, second: Path, read: _Counted) -> Iterator[tuple[str, int, int]]:
    """What happened, and the rows by number; rows that are the same are told, too."""
    there: defaultdict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
    for place, (key, whole) in enumerate(_hashes(read.rows(first))):
        there[key].append((whole, place))
    left: list[tuple[bytes, int]] = []
    for place, (key, whole) in enumerate(_hashes(read.rows(second))):
        rows = there.get(key, [])
        same = next((one for one in rows if one[0] == whole), None)
        if same is not None:
            rows.remove(same)
            yield "same", same[1], place
        else:
            left.append((key, place))
    for key, place in left:
        if same_thing := there.get(key):
            yield CHANGED, same_thing.pop(0)[1], place
        else:
            yield ADDED, NOWHERE, place
    for rows in there.values():
        for _, place in rows:
            yield REMOVED, place, NOWHERE


def _hashes(rows: Iterable[Row]) -> Iterator[tuple[bytes, bytes]]:
    """Of each row, what it is about and all that it says."""
    for row in rows:
        words = row["prompt"] if row.get("paraphrase") else []  # of which there may be several for one prompt
        about = [row["prompt_sha256"], *words, *sorted(canonical(row[name]) for name in ANSWERS if name in row)]
        yield _digest(about), _digest({name: value for name, value in row.items() if value is not None})


def _digest(value: Any) -> bytes:
    return blake2b(canonical(value).encode(), digest_size=16).digest()


def _keep(path: Path, found: list[tuple[str, int, int]]) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    changes = sorted(one for one in found if one[0] != "same")
    table = pyarrow.table(
        {
            "what": pyarrow.array([one[0] for one in changes], pyarrow.string()),
            "before": pyarrow.array([one[1] for one in changes], pyarrow.int64()),
            "after": pyarrow.array([one[2] for one in changes], pyarrow.int64()),
        }
    ).replace_schema_metadata({"same": str(len(found) - len(changes))})
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".half-", delete=False) as half:
        pyarrow.parquet.write_table(table, half)
    os.replace(half.name, path)


def _kept(path: Path, first: Snapshot, second: Snapshot) -> Comparison:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    places: dict[str, list[tuple[int, int]]] = {what: [] for what in CHANGES}
    for what, before, after in zip(*(table[name].to_pylist() for name in ("what", "before", "after")), strict=True):
        places[what].append((before, after))
    return Comparison(first, second, int(table.schema.metadata[b"same"]), places)


def _rows_at(snapshot: Snapshot, places: list[int]) -> dict[int, Row]:
    """Rows by number. Those of one page lie anywhere in the file, and each group of it is read once."""
    return files.rows_at(snapshot, {place for place in places if place != NOWHERE})


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
