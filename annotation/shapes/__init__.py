"""Every shape that people's data comes in, and how a record of it becomes a row. Imports no Django.

A new shape is a module with `NAMES`, `fits` and `read`, and one line in SHAPES.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.shapes import alpaca, argilla, chats, doccano, label_studio, mapped, native, sheet, trl
from annotation.shapes.columns import Columns, Names, at
from annotation.shapes.rows import BadLine, Row, Said

__all__ = ["SHAPES", "BadLine", "Row", "Said", "Shape", "recognise"]


@dataclass(frozen=True)
class Shape:
    """A shape that data comes in; `title` is what people call it.

    `names` are for each part that a column may play those that do so unless a mapping says otherwise. `fits` says how
    likely a record is to be of this shape, 0 to 1. Where there is `needs`, the shape is only told from others by it: at
    least one record of a sample must need this shape.
    """

    name: str
    title: str
    names: Names
    fits: Callable[[dict[str, Any]], float]
    read: Callable[[Columns, int], Row]
    needs: Callable[[dict[str, Any]], bool] | None = None

    @property
    def fields(self) -> dict[str, str]:
        """For each part the column that usually plays it; empty where none does."""
        return {part: names[0] if names else "" for part, names in self.names.items()}

    def mapping_of(self, sample: Sequence[dict[str, Any]]) -> dict[str, str]:
        """For each part the column that plays it in these records; empty where none does."""
        return {
            part: next((name for name in names if any(at(one, name) is not None for one in sample)), "")
            for part, names in self.names.items()
        }

    def looks_like(self, sample: Sequence[dict[str, Any]]) -> float:
        """How likely these records are to be of this shape, 0 to 1."""
        if not sample or (self.needs and not any(map(self.needs, sample))):
            return 0.0
        return sum(map(self.fits, sample)) / len(sample)

    def understand(self, record: dict[str, Any], number: int = 1, mapping: Mapping[str, str] | None = None) -> Row:
        """The row that a record becomes; raises BadLine with the reason if it cannot be understood.

        `mapping` names columns by the part they play; parts that it leaves out, or empty, are played by the usual ones.
        """
        chosen = {part: (column,) for part, column in (mapping or {}).items() if column}
        return self.read(Columns(record, {**self.names, **chosen} if chosen else self.names), number)


@dataclass(frozen=True)
class Native(Shape):
    """Read without a detour unless a mapping is given: a million rows should not wait for it."""

    def understand(self, record: dict[str, Any], number: int = 1, mapping: Mapping[str, str] | None = None) -> Row:
        if mapping:
            moved = {part: at(record, column) for part, column in mapping.items() if column and column != part}
            record = {**record, **moved}
        return native.understand(record, number)


# Of shapes that a file is equally likely to have, the first is meant.
SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("touchstone-csv", "Touchstone CSV", sheet.NAMES, sheet.fits, sheet.read),
        Shape("label-studio", "Label Studio export", label_studio.NAMES, label_studio.fits, label_studio.read),
        Shape("argilla", "Argilla export", argilla.NAMES, argilla.fits, argilla.read),
        Shape(
            "openai-preference",
            "OpenAI preference rows",
            chats.PREFERENCE_NAMES,
            chats.fits_preference,
            chats.read_preference,
        ),
        Shape("hh", "Anthropic HH dialogues", trl.DIALOGUE_NAMES, trl.fits_dialogue, trl.read_dialogue),
        Shape("alpaca-eval", "AlpacaEval outputs", alpaca.EVAL_NAMES, alpaca.fits_eval, alpaca.read_eval),
        Shape("alpaca", "Alpaca", alpaca.NAMES, alpaca.fits, alpaca.read),
        Shape("sharegpt", "ShareGPT", chats.SHAREGPT_NAMES, chats.fits_sharegpt, chats.read_sharegpt),
        Shape("trl-preference", "TRL preference", trl.NAMES, trl.fits_preference, trl.read_preference),
        Shape(
            "trl-unpaired",
            "TRL unpaired preference",
            trl.NAMES,
            trl.fits_unpaired,
            trl.read_unpaired,
            trl.needs_unpaired,
        ),
        Shape("doccano", "doccano JSONL", doccano.NAMES, doccano.fits, doccano.read),
        Shape("openai-chat", "OpenAI chat", chats.CHAT_NAMES, chats.fits_chat, chats.read_chat, chats.needs_chat),
        Shape(
            "trl-completion",
            "TRL prompt-completion",
            trl.NAMES,
            trl.fits_completion,
            trl.read_completion,
            trl.needs_completion,
        ),
        Native(
            "touchstone",
            "Touchstone, or chat messages",
            {part: (part,) for part in native.FIELDS},
            native.fits,
            lambda columns, number: native.understand(columns.record, number),
        ),
        Shape("columns", "Columns of your choice", mapped.NAMES, mapped.fits, mapped.read),
    )
}


def recognise(sample: Sequence[dict[str, Any]]) -> str:
    """The name of the shape that these records most likely have; empty if they have none.

    >>> recognise([{"instruction": "Say hello.", "input": "", "output": "Hello."}])
    'alpaca'
    """
    likely = {name: shape.looks_like(sample) for name, shape in SHAPES.items()}
    best = max(likely, key=lambda name: likely[name])
    return best if likely[best] else ""
