"""What a file is before it is brought in: its first records, and what a shape makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from annotation.models import Import
from annotation.shapes import SHAPES, files
from annotation.shapes.files import BadFile
from annotation.shapes.rows import BadLine, Row, Said

SAMPLE = 100  # records that are looked at
SHOWN = 5  # of them, as they will become


@dataclass
class Preview:
    """`columns` are those that the sample has, those within objects as `a.b`; `usual` those that play a part by
    themselves."""

    columns: list[str] = field(default_factory=list)
    usual: dict[str, str] = field(default_factory=dict)
    rows: list["Shown"] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    looked_at: int = 0
    error: str = ""

    @property
    def understood(self) -> int:
        return self.looked_at - len(self.rejected)


@dataclass
class Shown:
    row: Row
    labels: list[str]

    @property
    def asks(self) -> str:
        if not self.row.kind:
            return "A prompt for models to answer"
        if self.row.kind == "demonstration":
            return "A demonstration to clean" if self.row.answers else "A demonstration to write"
        return f"A comparison of {len(self.row.answers)}"


def preview(source: Import, *, shape: str, mapping: Mapping[str, str]) -> Preview:
    """The first records of an upload as a shape understands them."""
    made = Preview()
    try:
        found = files.sample(files.open_file(source.path, name=source.name), SAMPLE)
    except (BadFile, OSError) as error:
        made.error = str(error) if isinstance(error, BadFile) else "The file is not here any more: send it again."
        return made
    made.looked_at = len(found)
    records = [one.record for one in found if isinstance(one.record, dict)]
    made.columns = columns_of(records)
    if shape not in SHAPES:
        return made
    made.usual = SHAPES[shape].mapping_of(records)
    for one in found:
        try:
            if isinstance(one.record, BadLine):
                raise one.record
            row = SHAPES[shape].understand(one.record, one.number, mapping or None)
        except BadLine as error:
            made.rejected.append((one.number, str(error)))
        else:
            if len(made.rows) < SHOWN:
                made.rows.append(Shown(row, [in_words(said, row) for said in row.said]))
    return made


def columns_of(records: list[dict[str, Any]]) -> list[str]:
    """
    >>> columns_of([{"a": 1, "data": {"b": 2}}, {"c": None}])
    ['a', 'c', 'data', 'data.b']
    """
    names = {name for record in records for name in record}
    for record in records:
        names |= {f"{name}.{inner}" for name, value in record.items() if isinstance(value, dict) for inner in value}
    return sorted(names)


def in_words(said: Said, row: Row) -> str:
    """What a label says, in a line."""
    who = said.rater or "somebody unnamed"
    if said.verdict:
        words = {"accept": "accepts it", "reject": "rejects it", "edit": "rewrites it" if row.answers else "wrote it"}
        return f"{who} {words.get(said.verdict, said.verdict)}"
    if not said.ranks:
        return f"{who} says nothing of the answers"
    if len(set(said.ranks)) == 1:
        return f"{who} calls it a tie"
    order = sorted(range(len(said.ranks)), key=said.ranks.__getitem__)
    steps = [f"{at + 1}" for at in order]
    signs = [" = " if said.ranks[a] == said.ranks[b] else " over " for a, b in pairwise(order)]
    return f"{who} ranks {steps[0]}" + "".join(sign + step for sign, step in zip(signs, steps[1:], strict=True))
