"""Records in files of text: JSON Lines, JSON and CSV. Each reader takes a stream and the place of the last record that
was read before, and finds the next ones. Imports no Django."""

import csv
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from annotation.shapes.records import LONGEST_LINE, Found, found
from annotation.shapes.rows import BadLine
from annotation.shapes.streams import CUT, BadFile, Stream

MARK = b"\xef\xbb\xbf"  # byte-order mark
BLANK = b" \t\r\n"
LONGEST = LONGEST_LINE * 4 + 2  # bytes
TOO_LONG = f"longer than {LONGEST_LINE:,} characters"
KEPT = 10_000  # bytes of a line that is too long
DELIMITERS = ",;\t|"
MOST_COLUMNS = 1000


def json_lines(stream: Stream, number: int = 0, offset: int = 0) -> Iterator[Found]:
    """An object a line; empty lines are left out."""
    stream.skip(offset)
    for line, size, too_long in _lines(stream):
        if not offset:
            line = line.removeprefix(MARK)
        number += 1
        offset += size
        if too_long:
            yield Found(number, BadLine(TOO_LONG), offset, line)
        elif line.strip(BLANK):
            yield found(number, line, offset)


def _lines(stream: Stream) -> Iterator[tuple[bytes, int, bool]]:
    """Each line without its end, its size, and whether it is too long: then only its beginning is there."""
    rest, beginning, dropped = b"", b"", 0
    while data := stream.read():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            if dropped:
                yield beginning, dropped + len(line) + 1, True
                dropped = 0
            else:
                yield line, len(line) + 1, False
        if len(rest) > LONGEST:
            beginning = beginning if dropped else rest[:KEPT]
            dropped += len(rest)
            rest = b""
    if dropped:
        yield beginning, dropped + len(rest), True
    elif rest:
        yield rest, len(rest), False


# JSON: one list of objects, or objects that run over several lines

MARKS = re.compile(rb'["{}\[\]]')
INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)  # of a text, from anywhere to its end
BETWEEN = b" \t\r\n,]"


def json_values(stream: Stream, number: int = 0, offset: int = 0) -> Iterator[Found]:
    """The objects of a list, or one after the other. Only where each ends is looked for here; what it says is read as a
    line is, so that one that is wrong does not spoil the next."""
    scan = _Scan(stream, offset)
    for piece, is_whole in scan.pieces():
        if scan.too_long:
            error = BadLine(TOO_LONG)
        elif is_whole:
            number += 1
            yield found(number, piece, scan.place)
            continue
        else:
            error = BadLine("not a JSON object")
        number += 1
        yield Found(number, error, scan.place, piece[:KEPT])
    if scan.depth or scan.in_text:
        raise BadFile(CUT)


class _Scan:
    """Finds where the objects of a JSON file begin and end, looking at brackets and quotes alone."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self.stream = stream
        stream.skip(offset)
        self.data = stream.read()  # what is at hand
        self.start = offset  # where that begins in the file
        self.at = self.begin = 0  # in it: how far it was looked at, and where the present piece begins
        self.depth, self.in_text, self.let_go = 0, False, b""
        head = self.data.removeprefix(MARK).lstrip(BLANK)
        if not offset and head.startswith(b"["):
            self.at = self.begin = len(self.data) - len(head) + 1

    @property
    def place(self) -> int:
        """In the file, where the piece after this one begins."""
        return self.start + self.begin

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Each object or list, and what else stands between them; the second says which it is."""
        self.too_long = False
        while True:
            mark = self._mark()
            if not mark:
                break
            if mark in b"{[":
                if not self.depth:
                    yield from self._between(self.at - 1)
                self.depth += 1
            elif self.depth:
                self.depth -= 1
                if not self.depth:
                    yield self._take(self.at), True
        if not self.depth:
            yield from self._between(self.at)

    def _between(self, end: int) -> Iterator[tuple[bytes, bool]]:
        piece = self._take(end).strip(BETWEEN)
        if piece:
            yield piece, False

    def _take(self, end: int) -> bytes:
        """The piece that ends here; of one that is too long the beginning."""
        piece = self.let_go or self.data[self.begin : end]
        self.too_long, self.let_go, self.begin = bool(self.let_go), b"", end
        return piece

    def _mark(self) -> bytes:
        """The next bracket; nothing at the end of the file."""
        while True:
            if self.in_text:
                inside = INSIDE.match(self.data, self.at)
                self.at = inside.end() if inside else self.at
                if self.data[self.at : self.at + 1] == b'"':
                    self.at += 1
                    self.in_text = False
                elif not self._more():
                    return b""
                continue
            mark = MARKS.search(self.data, self.at)
            if mark is None:
                self.at = len(self.data)
                if not self._more():
                    return b""
            elif mark[0] == b'"':
                self.at, self.in_text = mark.end(), True
            else:
                self.at = mark.end()
                return mark[0]

    def _more(self) -> bool:
        """Take more of the file to hand, and let go of what is done, or too long to be wanted."""
        if self.at - self.begin > LONGEST:
            self.let_go = self.let_go or self.data[self.begin : self.begin + KEPT]
            self.begin = self.at
        more = self.stream.read()
        self.data = self.data[self.begin :] + more
        self.start += self.begin
        self.at, self.begin = self.at - self.begin, 0
        return bool(more)


# CSV


def csv_rows(stream: Stream, number: int = 0, offset: int = 0) -> Iterator[Found]:
    """A row under each name of the first line; empty cells are left out. The number is that of the row's last line."""
    table = _Table(stream)
    names, delimiter = table.header()
    while table.offset < offset and next(table.lines, None):
        pass
    before = number - (table.number if offset else 0)  # lines of files that were read before this one
    csv.field_size_limit(LONGEST)  # of this process, and no smaller for anybody else
    rows = csv.reader(table, delimiter=delimiter, strict=True)
    while True:
        table.begin = table.offset
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Found(before + table.number, BadLine(f"not CSV: {error}"), table.offset, table.last[:KEPT])
            continue
        if not any(cells):
            continue
        record = {name: cell for name, cell in zip(names, cells, strict=False) if name and cell}
        problem = ""
        if len(cells) != len(names):
            problem = f"has {len(cells)} cells where the first line has {len(names)}"
        elif not all(cell.isascii() or _is_utf8(cell) for cell in cells):
            problem = "not UTF-8 text"
        if problem:
            yield Found(before + table.number, BadLine(problem), table.offset, _json(record))
        else:
            yield Found(before + table.number, record, table.offset)


class _Table:
    """The lines of a table, counted as they are taken."""

    def __init__(self, stream: Stream) -> None:
        self.lines = self._counted(_lines(stream))
        self.number = self.offset = self.begin = 0
        self.last = b""

    def _counted(self, lines: Iterator[tuple[bytes, int, bool]]) -> Iterator[tuple[bytes, bool]]:
        for line, size, too_long in lines:
            line = line if self.number else line.removeprefix(MARK)
            self.number += 1
            self.offset += size
            self.last = line
            yield line, too_long

    def header(self) -> tuple[list[str], str]:
        """The names of the columns, and what stands between cells: of what may, that which makes the most columns."""
        line, too_long = next(self.lines, (b"", False))
        try:
            text = line.decode()
            tables = {mark: next(csv.reader([text], delimiter=mark, strict=True), []) for mark in DELIMITERS}
        except (UnicodeDecodeError, csv.Error):
            raise BadFile("the first line must name the columns, in UTF-8: save it as CSV in UTF-8") from None
        delimiter = max(tables, key=lambda mark: len(tables[mark]))
        names = [name.strip() for name in tables[delimiter]]
        if too_long or not any(names) or len(names) > MOST_COLUMNS:
            raise BadFile(f"the first line must name the columns, at most {MOST_COLUMNS:,}")
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise BadFile(f'two columns have the name "{twice[0][:100]}": give each a name of its own')
        return names, delimiter

    def __iter__(self) -> "_Table":
        return self

    def __next__(self) -> str:
        line, too_long = next(self.lines)
        if too_long or self.offset - self.begin > LONGEST:
            raise csv.Error(TOO_LONG)
        return line.decode(errors="surrogateescape") + "\n"


def _is_utf8(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json(record: dict[str, Any]) -> bytes:
    """The record as a line of JSON, with what is not UTF-8 spelt out."""
    readable = {
        name: cell.encode(errors="surrogateescape").decode(errors="backslashreplace") for name, cell in record.items()
    }
    return msgspec.json.encode(readable)
