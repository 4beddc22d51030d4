"""A project's data in any shape that is text, in a stream."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from annotation.exporting import items, learning, table
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Project, User
from annotation.models.events import record
from annotation.shapes.outgoing import SHAPES, Row

CHUNK = 1_000  # lines written at once

ROWS: dict[str, Callable[..., Iterator[Row]]] = {
    "demonstrations": learning.demonstrations,
    "preferences": learning.preferences,
    "unpaired": learning.unpaired,
}


def take_out(*, project: Project, shape: str, wanted: Wanted, actor: User | None) -> Iterator[bytes]:
    """The data in a stream, put on record."""
    put_on_record(project, shape, wanted, actor)
    return chunks(project=project, shape=shape, wanted=wanted, tally=Tally())


def put_on_record(project: Project, shape: str, wanted: Wanted, actor: User | None, **more: Any) -> None:
    asked = wanted.model_dump(exclude_defaults=True)
    record("data exported", project, project=project, actor=actor, shape=shape, wanted=asked, **more)


def chunks(*, project: Project, shape: str, wanted: Wanted, tally: Tally) -> Iterator[bytes]:
    """Many lines at a time. The same data gives the same bytes."""
    if shape == "touchstone":
        for batch in items.labelled_lines(project=project, wanted=wanted, tally=tally):
            tally.rows += len(batch)
            yield "".join(f"{line}\n" for line in batch).encode()
        return
    found = _lines(project, shape, wanted, tally)
    while batch := list(islice(found, CHUNK)):
        yield "".join(batch).encode()


def _lines(project: Project, shape: str, wanted: Wanted, tally: Tally) -> Iterator[str]:
    if shape == "csv":
        rows = items.labelled_rows(project=project, wanted=wanted, tally=tally)
        yield from table.csv_lines(_counted(rows, tally))
        return
    write = SHAPES[shape].line
    assert write is not None
    for row in ROWS[SHAPES[shape].of](project, wanted, tally):
        line = write(row)
        if line is None:
            tally.left_out += 1
        else:
            tally.rows += 1
            yield json.dumps(line, ensure_ascii=False) + "\n"


def _counted(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
    for row in rows:
        tally.rows += 1
        yield row
