"""A record seen through a mapping: which of its columns plays which part. Imports no Django."""

from collections.abc import Mapping
from typing import Any

from annotation.text import why_unstorable

LONGEST_EXTRA = 1000  # characters of a column that is kept as metadata


class Columns:
    """What a record has, by the part it plays. A column is named as in the file, or `a.b` for `b` within `a`."""

    def __init__(self, record: dict[str, Any], names: Mapping[str, str]) -> None:
        self.record, self.names = record, names

    def __getitem__(self, role: str) -> Any:
        """The value in the column of this part; None where there is none."""
        return at(self.record, self.names.get(role, ""))

    def others(self) -> dict[str, Any]:
        """The columns that play no part, where they are short texts, numbers, or true or false."""
        used = set(self.names.values()) | {name.partition(".")[0] for name in self.names.values()}
        return {
            name: value
            for name, value in self.record.items()
            if name not in used
            and isinstance(value, str | int | float)
            and (not isinstance(value, str) or 0 < len(value) <= LONGEST_EXTRA)
            and not why_unstorable({name: value})
        }


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
