"""Everything that people said as a table: CSV with a line for each label, Parquet with a row for each item."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from annotation.shapes import sheet

Row = dict[str, Any]

ROW_GROUP = 1_000  # rows of Parquet in memory at once


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The header, then a line for each label; UTF-8 with the mark by which spreadsheets know it."""
    writer = csv.writer(Echo())
    yield "\ufeff" + writer.writerow(sheet.COLUMNS)
    for row in rows:
        yield from map(writer.writerow, sheet.cells(row))


class Echo:
    """What csv writes to, so that `writerow` returns the line."""

    def write(self, line: str) -> str:
        return line


def write_parquet(path: Path, rows: Iterable[Row], schema: Any) -> int:
    """Write rows in groups, so that memory stays flat; returns how many there were."""
    import pyarrow
    import pyarrow.parquet

    count = 0
    group: list[Row] = []
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for row in rows:
            group.append(row)
            count += 1
            if len(group) == ROW_GROUP:
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                group.clear()
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
            *(("tags", pa.list_(text)), ("metadata", text), ("prompt", _messages())),
            *(("answers", answers), ("labels", pa.list_(label))),
        ]
    )


def for_parquet(rows: Iterable[Row]) -> Iterator[Row]:
    """Criteria as a list and metadata as JSON, since their names are the project's own and no columns."""
    for row in rows:
        row["metadata"] = json.dumps(row["metadata"], ensure_ascii=False)
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
