"""Files that data comes in, opened as a stream of records. Imports no Django."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from annotation.shapes.records import LONGEST_LINE, record_of
from annotation.shapes.rows import BadLine

BLANK = b" \t\r\n"
MARK = b"\xef\xbb\xbf"  # byte-order mark


class BadFile(ValueError):
    """A file that cannot be read, or not to its end; the message says why and what to do."""


@dataclass(slots=True)
class Found:
    """One record of a file, or why it is none. Who reads again from its `number` and `offset` finds the next."""

    number: int  # of the line, or of the record where records are not lines; the first is 1
    record: dict[str, Any] | BadLine
    offset: int
    line: bytes = b""  # as it stood in the file, if that was a line

    @property
    def raw(self) -> str:
        """The record as a line of JSON, or what stood there where it is none: to be mended, and tried again."""
        if self.line:
            return self.line.decode(errors="backslashreplace")
        return "" if isinstance(self.record, BadLine) else msgspec.json.encode(self.record).decode()


@dataclass
class Source:
    """A file, opened by `open_file`. `done` is the share of it that was read, 0 to 1."""

    path: Path
    format: str  # jsonl, json, csv, parquet or dataset
    done: float = field(default=0.0, init=False)

    def records(self, *, number: int = 0, offset: int = 0) -> Iterator[Found]:
        """Every record, in order; after the place that `number` and `offset` of one found before name.

        Raises BadFile where the file cannot be read on.
        """
        size = self.path.stat().st_size or 1
        with self.path.open("rb") as stream:
            stream.seek(offset)
            while line := stream.readline(LONGEST_LINE * 4 + 2):
                number += 1
                offset += len(line)
                self.done = offset / size
                if number == 1:
                    line = line.removeprefix(MARK)
                if line.strip(BLANK):
                    try:
                        yield Found(number, record_of(line), offset, line)
                    except BadLine as error:
                        yield Found(number, error, offset, line)


def open_file(path: Path, *, name: str = "") -> Source:
    """Find out what a file or folder is; `name` is what its owner calls it. Raises BadFile if it is nothing known."""
    return Source(path, "jsonl")


def sample(source: Source, count: int = 100) -> list[Found]:
    """The first records, to find the shape by and to show."""
    return list(islice(source.records(), count))
