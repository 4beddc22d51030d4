"""A frozen snapshot in the shapes that other tools read: the same rows for ever, whatever is said meanwhile.

Rows are read from the snapshot's file and written as they are asked for, so memory stays flat.
"""

import csv
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BufferedIOBase
from itertools import chain, islice
from typing import Any

from django.core.exceptions import ValidationError

from annotation.exporting import card
from annotation.exporting.card import Part
from annotation.exporting.table import Echo
from annotation.models import User
from annotation.models.events import record
from annotation.shapes import sheet
from annotation.shapes.outgoing import SHAPES, TYPES, Shape
from training.models import Snapshot
from training.snapshots import files, recipes
from training.snapshots.files import Row
from training.snapshots.recipes import Recipe
from training.snapshots.rules import Rule, words

CHUNK = 1000  # lines written at once
ANSWERS = ("completion", "chosen", "rejected")
ALL_KINDS = {
    "csv": Shape("CSV", "A line for each row, for a spreadsheet.", "", "csv"),
    "parquet": Shape("Parquet", "The file as it was frozen.", "", "parquet"),
    "dataset": replace(SHAPES["dataset"], about="A folder for load_dataset with a card and the recipe, as a zip file."),
}
NAMES = [*(name for name, shape in SHAPES.items() if shape.learns), *ALL_KINDS]


@dataclass(frozen=True)
class Out:
    """A file on its way out: open, or a few lines at a time."""

    name: str
    media_type: str
    content: BufferedIOBase | Iterator[bytes]


def shapes(kind: str) -> dict[str, Shape]:
    """Those in which a snapshot of this kind can go out."""
    return {name: shape for name, shape in SHAPES.items() if shape.of == kind} | ALL_KINDS


def take_out(*, snapshot: Snapshot, shape: str, actor: User | None) -> Out:
    """The snapshot in a shape, put on record.

    Raises ValidationError for a shape that its kind has not, OSError or ValueError if its file is gone or damaged.
    """
    known = shapes(snapshot.kind)
    if shape not in known:
        kind = snapshot.get_kind_display().lower()
        raise ValidationError(f"There is no shape {shape!r} for {kind}. There are: {', '.join(known)}.")
    files.bring(snapshot)
    content = _opened(snapshot, shape)
    record("data exported", snapshot, project=snapshot.project, actor=actor, shape=shape, snapshot=snapshot.pk)
    suffix = known[shape].suffix
    return Out(f"{stem(snapshot)}.{suffix}", TYPES[suffix], content)


def stem(snapshot: Snapshot) -> str:
    """How its files are called, without an ending."""
    return f"{snapshot.project.slug}-{snapshot.kind}-{snapshot.sha256[:8]}"


def _opened(snapshot: Snapshot, shape: str) -> BufferedIOBase | Iterator[bytes]:
    if shape == "parquet":
        return (snapshot.path / files.DATA).open("rb")
    if shape == "dataset":
        return _dataset(snapshot)
    rows = files.stream(snapshot.path)
    lines = _csv(rows) if shape == "csv" else _json_lines(rows, shape)
    chunks = _chunks(lines)
    return chain([next(chunks, b"")], chunks)  # a file that is gone is known before the answer begins


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    while some := list(islice(lines, CHUNK)):
        yield "".join(some).encode()


def _json_lines(rows: Iterable[Row], shape: str) -> Iterator[str]:
    write = SHAPES[shape].line
    assert write is not None
    for row in rows:
        line = write(_with_texts(row))
        if line is not None:  # a conversation that the shape cannot carry
            yield json.dumps(line, ensure_ascii=False) + "\n"


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    """Every column of the file, with answers as texts; UTF-8 with the mark by which spreadsheets know it."""
    writer = csv.writer(Echo())
    begun = False
    for row in rows:
        if not begun:
            yield "\ufeff" + writer.writerow(list(row))
            begun = True
        yield writer.writerow([sheet.cell(value) for value in _with_texts(row).values()])


def _with_texts(row: Row) -> dict[str, Any]:
    """The row with each answer as a text."""
    return {name: value[0]["content"] if name in ANSWERS else value for name, value in row.items()}


def _dataset(snapshot: Snapshot) -> BufferedIOBase:
    """An open zip file, which is gone once it is closed. Parquet is compressed already."""
    part = Part(snapshot.kind, "train", snapshot.counts.get("rows", 0), snapshot.counts.get("languages", {}))
    recipe = Recipe(snapshot.kind, Rule.model_validate(snapshot.rule))
    folder = stem(snapshot)
    whole = tempfile.TemporaryFile(dir=snapshot.path.parent)  # noqa: SIM115  (the answer closes it)
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.write(snapshot.path / files.DATA, f"{folder}/{part.file}")
        archive.write(snapshot.path / files.MANIFEST, f"{folder}/{files.MANIFEST}")
        archive.writestr(f"{folder}/recipe.yaml", recipes.written(recipe))
        archive.writestr(f"{folder}/README.md", _card(snapshot, part, recipe))
    whole.seek(0)
    return whole


def _card(snapshot: Snapshot, part: Part, recipe: Recipe) -> str:
    project = snapshot.project
    lines = [*card.head(project, [part]), *card.table(_facts(snapshot)), *card.tables([part])]
    lines += ["", "## How votes became rows", "", *(f"- {one}" for one in words(recipe.rule, recipe.kind))]
    lines += ["", "`recipe.yaml` says the same for programs, and `manifest.json` which labels stand behind the rows."]
    return "\n".join([*lines, *card.guidelines(project), ""])


def _facts(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    yield "Licence", snapshot.project.licence or card.NOT_STATED
    yield "Split", "prompts to train on"
    yield "Frozen", f"{snapshot.created_at:%Y-%m-%d}"
    yield "Prompts", str(snapshot.counts.get("prompts", 0))
    yield "Labels", str(snapshot.counts.get("labels", 0))
    if made := sum(snapshot.counts.get("made_by", {}).values()):
        yield "Rows that models made", str(made)
    if paraphrases := snapshot.counts.get("paraphrases"):
        yield "Of these, people's answers to other words", str(paraphrases)
    yield "SHA-256 of the rows", snapshot.sha256
