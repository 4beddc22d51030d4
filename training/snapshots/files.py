"""A snapshot's folder: `train.parquet`, written and read a thousand rows at a time, and `manifest.json`.

The hash is of the rows, each written as canonical JSON on a line, so the same labels and rule give the same hash
wherever and however the file is written.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from annotation.text import canonical
from training import artifacts
from training.models import Snapshot

Row = dict[str, Any]
GROUP = 1000  # rows that are written, and read, at once
DATA, MANIFEST = "train.parquet", "manifest.json"


@dataclass
class Written:
    """What was written, counted on the way."""

    sha256: str = ""
    rows: int = 0
    prompts: set[str] = field(default_factory=set)
    labels: set[int] = field(default_factory=set)
    languages: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    made_by: Counter[int] = field(default_factory=Counter)
    paraphrases: int = 0
    columns: list[str] = field(default_factory=list)
    weight: float | None = None

    def count(self, row: Row) -> None:
        self.rows += 1
        self.prompts.add(row["prompt_sha256"])
        self.labels.update(row["labels"])
        self.languages[row["language"]] += 1
        self.tags.update(row["tags"])
        if row.get("made_by") is not None:
            self.made_by[row["made_by"]] += 1
            self.paraphrases += bool(row.get("paraphrase"))
        if "weight" in row:
            self.weight = (self.weight or 0.0) + row["weight"]

    def counts(self) -> dict[str, Any]:
        made = {str(version): count for version, count in sorted(self.made_by.items())}
        return {
            **({"made_by": made} if made else {}),
            **({"paraphrases": self.paraphrases} if self.paraphrases else {}),
            **({"weight": round(self.weight, 3)} if self.weight is not None else {}),
            "rows": self.rows,
            "prompts": len(self.prompts),
            "labels": len(self.labels),
            "languages": dict(self.languages),
            "tags": dict(self.tags),
        }


def content_hash(rows: Iterable[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_line(row))
    return digest.hexdigest()


def _line(row: Row) -> bytes:
    return canonical(row).encode("utf-8") + b"\n"


@contextmanager
def half(parent: Path) -> Iterator[Path]:
    """A folder beside which it will lie; gone afterwards, unless it was put in its place."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".half-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(folder: Path, rows: Iterable[Row]) -> Written:
    """Write the rows as they come. Without any, nothing is written."""
    import pyarrow
    import pyarrow.parquet

    written, digest, left = Written(), hashlib.sha256(), iter(rows)
    first = next(left, None)
    if first is None:
        return written
    written.columns = sorted(first)
    schema = _schema(list(first))
    left = chain([first], left)
    with pyarrow.parquet.ParquetWriter(folder / DATA, schema) as writer:
        while some := list(islice(left, GROUP)):
            for row in some:
                digest.update(_line(row))
                written.count(row)
            writer.write_table(pyarrow.Table.from_pylist(some, schema))
    written.sha256 = digest.hexdigest()
    return written


def put(folder: Path, place: Path, written: Written, manifest: dict[str, Any]) -> None:
    """Finish a half-written folder: it appears whole in its place, or not at all."""
    manifest = {
        **manifest,
        "counts": written.counts(),
        "sha256": written.sha256,
        "labels": sorted(written.labels),
        "columns": written.columns,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    folder.chmod(0o755)
    if place.exists():  # damaged, or left by a transaction that was rolled back
        shutil.rmtree(place)
    os.replace(folder, place)


def _schema(columns: list[str]) -> Any:
    import pyarrow

    messages = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    kinds = {
        **dict.fromkeys(("prompt", "completion", "chosen", "rejected"), messages),
        **dict.fromkeys(("prompt_sha256", "language"), pyarrow.string()),
        **dict.fromkeys(("margin", "agreement", "weight"), pyarrow.float64()),
        "tags": pyarrow.list_(pyarrow.string()),
        "labels": pyarrow.list_(pyarrow.int64()),
        **dict.fromkeys(("label", "paraphrase"), pyarrow.bool_()),
        "made_by": pyarrow.int64(),
    }
    return pyarrow.schema([(name, kinds[name]) for name in columns])


def stream(folder: Path, columns: list[str] | None = None) -> Iterator[Row]:
    """The rows of a folder, a few at a time."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(folder / DATA) as file:
        for batch in file.iter_batches(GROUP, columns=columns):
            yield from batch.to_pylist()


def hash_of(folder: Path) -> str:
    """The hash of the rows that a snapshot's folder holds; empty if it holds none that can be read."""
    try:
        return content_hash(stream(folder))
    except (OSError, TypeError, ValueError):
        return ""


def bring(snapshot: Snapshot) -> None:
    """Have its file on this machine, if several share a store."""
    artifacts.bring(snapshot.folder, lambda folder: hash_of(folder) == snapshot.sha256)


def is_intact(snapshot: Snapshot) -> bool:
    """Whether the file still holds what was frozen."""
    try:
        bring(snapshot)
    except OSError:
        return False
    return hash_of(snapshot.path) == snapshot.sha256


def read(snapshot: Snapshot) -> list[Row]:
    """The rows of a snapshot as they lie on disk."""
    bring(snapshot)
    return list(stream(snapshot.path))


def page(snapshot: Snapshot, start: int, most: int) -> list[Row]:
    """So many rows from row `start` on; the first is 0. Raises as `rows_at` does."""
    return list(rows_at(snapshot, set(range(start, start + most))).values())


def rows_at(snapshot: Snapshot, places: set[int]) -> dict[int, Row]:
    """Rows by number, wherever they lie; no more of the file is read than the parts that hold them.

    Raises OSError or ValueError if the file is gone or damaged.
    """
    import pyarrow.parquet

    bring(snapshot)
    found: dict[int, Row] = {}
    with pyarrow.parquet.ParquetFile(snapshot.path / DATA) as file:
        before = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if any(before <= place < before + size for place in places):
                start = before  # files of before had one group for all
                for batch in file.iter_batches(GROUP, row_groups=[group]):
                    here = [place for place in places if start <= place < start + batch.num_rows]
                    found |= {place: batch.slice(place - start, 1).to_pylist()[0] for place in here}
                    start += batch.num_rows
            before += size
    return dict(sorted(found.items()))
