"""A record seen through a mapping: which of its columns plays which part. Imports no Django."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.text import why_unstorable

LONGEST_EXTRA = 1000  # characters of a column that is kept as metadata
MOST_EXTRAS = 50
STEMS = ("response", "answer", "output", "completion", "generation", "reply")

Names = Mapping[str, Sequence[str]]  # by part, the columns that may play it: the first that is there does


class Columns:
    """What a record has, by the part it plays. A column is named as in the file, or `a.b` for `b` within `a`."""

    def __init__(self, record: dict[str, Any], names: Names) -> None:
        self.record, self.names = record, names

    def __getitem__(self, part: str) -> Any:
        """The value in the column of this part; None where there is none."""
        for name in self.names.get(part, ()):
            if (value := at(self.record, name)) is not None:
                return value
        return None

    def others(self) -> dict[str, Any]:
        """The columns that play no part, where they are short texts, numbers, or true or false."""
        names = {name for names in self.names.values() for name in names}
        used = names | {name.partition(".")[0] for name in names}
        return plain({name: value for name, value in self.record.items() if name not in used})


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are short texts, numbers, or true or false, and can be stored."""
    kept = [
        (name, value)
        for name, value in values.items()
        if isinstance(value, str | int | float)
        and len(name) <= LONGEST_EXTRA
        and not (isinstance(value, str) and not 0 < len(value) <= LONGEST_EXTRA)
        and not why_unstorable({name: value})
    ]
    return dict(kept[:MOST_EXTRAS])


def at(record: Any, name: str) -> Any:
    """The value of a column; None where there is none.

    >>> at({"data": {"prompt": "Hello?"}, "a.b": 1}, "data.prompt"), at({"a.b": 1}, "a.b"), at({}, "a.b")
    ('Hello?', 1, None)
    """
    if not isinstance(record, dict) or not name:
        return None
    if name in record or "." not in name:
        return record.get(name)
    first, _, rest = name.partition(".")
    return at(record.get(first), rest)


def spellings(place: int) -> tuple[str, ...]:
    """The names of a column with the first, second … answer."""
    marks = (f"_{place}", str(place), f"_{chr(96 + place)}", f" {place}", f"_{chr(64 + place)}")
    return tuple(stem + mark for stem in STEMS for mark in marks)
