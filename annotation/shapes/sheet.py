"""This product's own table, a line for each label, that is safe to open in a spreadsheet and can be read again. Imports
no Django.

Text that a spreadsheet might take for a formula, or that begins with an apostrophe, gets an apostrophe in front. Lists
and objects are JSON in their cell.
"""

import json
from typing import Any

from annotation.shapes import native
from annotation.shapes.columns import Columns, Names
from annotation.shapes.rows import BadLine, Row

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
GUARDED = ("'", *FORMULA)
SPACES = " \u00a0\ufeff"

OF_ITEM = ("item", "kind", "purpose", "split", "language", "tags", "metadata", "prompt", "answers")
OF_LABEL = (
    *("label", "person", "simulated", "decision", "verdict", "text", "mended_prompt", "votes", "strength"),
    *("criteria", "flags", "comment", "seconds", "created_at"),
)
COLUMNS = (*OF_ITEM, *OF_LABEL)
PLAIN = {"kind", "purpose", "split", "language", "person", "verdict", "text", "comment", "created_at"}  # and no JSON
NAMES: Names = {}


def cell(value: Any) -> Any:
    """
    >>> cell("=1+1"), cell("'tis"), cell("Thank you"), cell(4.5), cell(None), cell(True), cell(["a"])
    ("'=1+1", "''tis", 'Thank you', 4.5, '', 'true', '["a"]')
    """
    if isinstance(value, str):
        return f"'{value}" if value.lstrip(SPACES).startswith(GUARDED) else value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


def text_of(cell: str) -> str:
    """What stood there before `cell` made it safe.

    >>> text_of("'=1+1"), text_of("''tis"), text_of("Thank you")
    ('=1+1', "'tis", 'Thank you')
    """
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(SPACES).startswith(GUARDED) else cell


def cells(row: dict[str, Any]) -> list[list[Any]]:
    """The lines of an exported item: one for each of its labels."""
    item = [cell(row[name]) for name in OF_ITEM]
    said = ({**label, "label": label["id"], "mended_prompt": label.get("prompt")} for label in row["labels"])
    return [[*item, *(cell(label.get(name)) for name in OF_LABEL)] for label in said]


def fits(record: dict[str, Any]) -> bool:
    return record.keys() <= set(COLUMNS) and {"item", "kind", "prompt", "label", "person"} <= record.keys()


def read(columns: Columns, number: int) -> Row:
    """The item with the one label of this line."""
    found = {name: _value(name, value) for name, value in columns.record.items()}
    label = {name: found.get(name) for name in OF_LABEL if name not in ("label", "mended_prompt")}
    item = {name: found.get(name) for name in OF_ITEM}
    return native.understand({**item, "labels": [{**label, "prompt": found.get("mended_prompt")}]}, number)


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in PLAIN:
        return text_of(value)
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise BadLine(f'"{name}" must be as it was exported: JSON') from None
