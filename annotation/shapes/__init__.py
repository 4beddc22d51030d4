"""Every shape that people's data comes in, and how a record of it becomes a row. Imports no Django.

A new shape is one module with `fits` and `understand`, and one line in SHAPES.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.shapes import native
from annotation.shapes.columns import Columns, at
from annotation.shapes.rows import BadLine, Row, Said

__all__ = ["SHAPES", "BadLine", "Row", "Said", "Shape", "recognise"]


@dataclass(frozen=True)
class Shape:
    """A shape that data comes in: `title` is what people call it, `fields` names for each part that a column may play
    the column that plays it unless a mapping says otherwise ("" for none)."""

    name: str
    title: str
    fits: Callable[[dict[str, Any]], bool]
    read: Callable[[Columns, int], Row]
    fields: Mapping[str, str] = field(default_factory=dict)

    def looks_like(self, sample: Sequence[dict[str, Any]]) -> float:
        """The share of these records that have this shape."""
        return sum(self.fits(record) for record in sample) / len(sample) if sample else 0.0

    def understand(self, record: dict[str, Any], number: int = 1, mapping: Mapping[str, str] | None = None) -> Row:
        """The row that a record becomes; raises BadLine with the reason if it cannot be understood.

        `mapping` names columns by the part they play, where it is not the usual one.
        """
        return self.read(Columns(record, {**self.fields, **mapping} if mapping else self.fields), number)


@dataclass(frozen=True)
class Native(Shape):
    """Read without a detour unless a mapping is given: a million rows should not wait for it."""

    def understand(self, record: dict[str, Any], number: int = 1, mapping: Mapping[str, str] | None = None) -> Row:
        if mapping:
            record = {**record, **{part: at(record, column) for part, column in mapping.items()}}
        return native.understand(record, number)


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Native(
            "touchstone",
            "Touchstone",
            native.fits,
            lambda columns, number: native.understand(columns.record, number),
            {part: part for part in native.FIELDS},
        ),
    )
}


def recognise(sample: Sequence[dict[str, Any]]) -> str:
    """The name of the shape that most of these records have, of equals the first; empty if none has any."""
    best = max(SHAPES.values(), key=lambda shape: shape.looks_like(sample))
    return best.name if best.looks_like(sample) else ""
