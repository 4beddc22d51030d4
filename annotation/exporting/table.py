"""Everything that people said as a table: CSV with a line for each label, Parquet with a row for each item.

Cells of the CSV are safe to open in a spreadsheet, and can be undone: text that one might take for a formula, or that
begins with an apostrophe, gets an apostrophe in front. Lists and objects are JSON in their cell.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from annotation.work_done import FORMULA

Row = dict[str, Any]

OF_ITEM = ("item", "kind", "purpose", "split", "language", "tags", "prompt", "answers")
OF_LABEL = (
    *("label", "person", "simulated", "decision", "verdict", "text", "mended_prompt", "votes", "strength"),
    *("criteria", "flags", "comment", "seconds", "created_at"),
)
COLUMNS = (*OF_ITEM, *OF_LABEL)
ROW_GROUP = 2_000  # rows of Parquet in memory at once


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The header, then a line for each label; UTF-8 with the mark by which spreadsheets know it."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)
    for row in rows:
        item = [cell(row[name]) for name in OF_ITEM]
        for label in row["labels"]:
            said = {**label, "label": label["id"], "mended_prompt": label.get("prompt")}
            yield writer.writerow([*item, *(cell(said.get(name)) for name in OF_LABEL)])


def cell(value: Any) -> Any:
    """
    >>> cell("=1+1"), cell("'tis"), cell("Thank you"), cell(4.5), cell(None), cell(True), cell(["a"])
    ("'=1+1", "''tis", 'Thank you', 4.5, '', 'true', '["a"]')
    """
    if isinstance(value, str):
        return f"'{value}" if value.lstrip(" \u00a0").startswith(GUARDED) else value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


GUARDED = ("'", *FORMULA)


def text_of(cell: str) -> str:
    """What stood there before `cell` made it safe.

    >>> text_of(cell("=1+1")), text_of(cell("'tis")), text_of("Thank you")
    ('=1+1', "'tis", 'Thank you')
    """
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" \u00a0").startswith(GUARDED) else cell


class _Echo:
    """What csv writes to, so that `writerow` returns the line."""

    def write(self, line: str) -> str:
        return line


def write_parquet(path: Path, rows: Iterable[Row], schema: Any, done: Any = None) -> int:
    """Write rows in groups, so that memory stays flat; returns how many there were."""
    import pyarrow
    import pyarrow.parquet

    count, group = 0, []
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for row in rows:
            group.append(row)
            count += 1
            if len(group) == ROW_GROUP:
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                group = []
        writer.write_table(pyarrow.Table.from_pylist(group, schema))
    return count


def items_schema() -> Any:
    import pyarrow as pa

    text, number, yes = pa.string(), pa.int64(), pa.bool_()
    votes = pa.struct([("answer", number), ("position", number), ("rank", number), ("unacceptable", yes)])
    label = pa.struct(
        [
            *(("id", number), ("person", text), ("simulated", yes), ("decision", yes), ("comment", text)),
            ("criteria", pa.list_(pa.struct([("name", text), ("answer", number)]))),
            *(("flags", pa.list_(text)), ("seconds", pa.float64()), ("created_at", text), ("text", text)),
            *(("verdict", text), ("prompt", _messages()), ("strength", number), ("votes", pa.list_(votes))),
        ]
    )
    answers = pa.list_(pa.struct([("id", number), ("text", text), ("origin", text)]))
    return pa.schema(
        [
            *(("item", number), ("kind", text), ("purpose", text), ("split", text), ("language", text)),
            *(("tags", pa.list_(text)), ("prompt", _messages()), ("answers", answers), ("labels", pa.list_(label))),
        ]
    )


def for_parquet(rows: Iterable[Row]) -> Iterator[Row]:
    """Criteria as a list, since their names are the project's own and no columns."""
    for row in rows:
        for label in row["labels"]:
            label["criteria"] = [{"name": name, "answer": answer} for name, answer in label["criteria"].items()]
        yield row


def learning_schema(of: str) -> Any:
    import pyarrow as pa

    said: dict[str, list[tuple[str, Any]]] = {
        "demonstrations": [("completion", _messages())],
        "preferences": [
            *(("chosen", _messages()), ("rejected", _messages())),
            *(("margin", pa.float64()), ("agreement", pa.float64())),
        ],
        "unpaired": [("completion", _messages()), ("label", pa.bool_()), ("agreement", pa.float64())],
    }
    about = [("prompt_sha256", pa.string()), ("language", pa.string()), ("tags", pa.list_(pa.string()))]
    return pa.schema([("prompt", _messages()), *said[of], *about])


def _messages() -> Any:
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
