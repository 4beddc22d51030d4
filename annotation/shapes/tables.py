"""Records in Parquet and Arrow files, the two that Hugging Face datasets are kept in; read a few rows at a time.
Imports no Django."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from annotation.shapes.records import LONGEST_LINE, Found
from annotation.shapes.rows import BadLine
from annotation.shapes.streams import DAMAGED, BadFile

BATCH = 500  # rows
LARGEST_BATCH = 512 << 20  # bytes
ERRORS = (pyarrow.ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError)  # of a file that is damaged


class Counted:
    """The rows of a table; `share` is how much of it was read."""

    def __init__(self) -> None:
        self.share = 0.0

    def parquet(self, file: IO[bytes], number: int = 0, offset: int = 0) -> Iterator[Found]:
        """`offset` counts rows."""
        try:
            table = pyarrow.parquet.ParquetFile(file)
            total = table.metadata.num_rows
            groups: list[int] = []  # that are still to be read
            before = 0  # rows before them
            for group in range(table.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                if not groups and before + rows <= offset:
                    before += rows
                else:
                    groups.append(group)
            batches = table.iter_batches(batch_size=BATCH, row_groups=groups)
            yield from self._rows(batches, number, offset, before, total)
        except BadFile:
            raise
        except ERRORS:
            raise BadFile(DAMAGED) from None

    def arrow(self, file: IO[bytes], number: int = 0, offset: int = 0) -> Iterator[Found]:
        """As `datasets` saves it: `offset` counts rows."""
        try:
            reader = pyarrow.ipc.open_stream(file)
            yield from self._rows(iter(reader), number, offset, 0, 0)
        except BadFile:
            raise
        except ERRORS:
            raise BadFile(DAMAGED) from None

    def _rows(
        self, batches: Iterator[pyarrow.RecordBatch], number: int, offset: int, before: int, total: int
    ) -> Iterator[Found]:
        for batch in batches:
            batch.validate(full=True)  # what lies about its own size would end the process
            skipped = max(min(offset - before, batch.num_rows), 0)
            before += batch.num_rows
            for begin in range(skipped, batch.num_rows, BATCH):
                part = batch.slice(begin, BATCH)
                if part.nbytes > LARGEST_BATCH:
                    raise BadFile("has rows that are far too long")
                for row in part.to_pylist():
                    number += 1
                    offset += 1
                    self.share = min(offset / total, 1.0) if total else 0.0
                    yield _found(number, row, offset, check=part.nbytes > LONGEST_LINE)


def _found(number: int, row: dict[str, Any], offset: int, *, check: bool) -> Found:
    try:
        record = as_json(row)
    except (RecursionError, ValueError):
        return Found(number, BadLine("cannot be written as JSON"), offset)
    if check and _length(record) > LONGEST_LINE:
        return Found(number, BadLine(f"longer than {LONGEST_LINE:,} characters"), offset)
    return Found(number, record, offset)


def as_json(value: Any) -> Any:
    """The value as JSON has it: times in words, and no bytes.

    >>> as_json({"n": 1, "raw": b"a", "pairs": [("a", 1)]})
    {'n': 1, 'raw': None, 'pairs': [['a', 1]]}
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, bytes):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_length(one) for one in value.values())
    return sum(_length(one) for one in value) if isinstance(value, list) else 8
