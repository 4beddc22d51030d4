"""Records: one line of JSON, read. Imports no Django.

What JSON leaves open is decided here: of a key given twice the last value stands, as nearly every reader has it.
Numbers that are not finite, texts with half a surrogate pair and nesting beyond all reason may stand where nothing is
stored of them; where it would be, annotation/shapes/reading.py refuses them.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from annotation.shapes.rows import BadLine

LONGEST_LINE = 2_000_000  # characters

_decode = msgspec.json.Decoder().decode


def record_of(line: bytes | str) -> dict[str, Any]:
    """Read one line; raises BadLine with the reason if it is no JSON object.

    >>> record_of(b'{"prompt": "Hello?"}')
    {'prompt': 'Hello?'}
    """
    if len(line) > LONGEST_LINE and len(as_text(line)) > LONGEST_LINE:
        raise BadLine(f"longer than {LONGEST_LINE:,} characters")
    try:
        record = _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        record = _slowly(as_text(line))
    if not isinstance(record, dict):
        raise BadLine("not a JSON object")
    return record


def as_text(line: bytes | str) -> str:
    """The line as text; raises BadLine if it is not UTF-8."""
    if isinstance(line, str):
        return line
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BadLine("not UTF-8 text") from None


def _slowly(line: str) -> Any:
    """The same by Python's own reader: it knows more that is not quite JSON, and says better what is wrong."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(why_no_json(error)) from None


def why_no_json(error: ValueError | RecursionError) -> str:
    """What Python's reader says, without its line 1: of a file with many lines each is read by itself.

    >>> try:
    ...     json.loads('{"prompt": }')
    ... except ValueError as error:
    ...     why_no_json(error)
    'not JSON: Expecting value at character 12'
    """
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    return f"not JSON: {error}"


@dataclass(slots=True)
class Found:
    """One record of a file, or why it is none. Who reads again from its `number` and `offset` finds the next."""

    number: int  # of the line, or of the record where records are not lines; the first is 1
    record: dict[str, Any] | BadLine
    offset: int
    line: bytes = b""  # as it stood in the file, if that was JSON; of one that is too long the beginning

    @property
    def raw(self) -> str:
        """The record as a line of JSON, or what stood there where it is none: to be mended, and tried again."""
        if self.line or isinstance(self.record, BadLine):
            return self.line.decode(errors="backslashreplace").strip("\r\n")
        return msgspec.json.encode(self.record).decode()


def found(number: int, line: bytes, offset: int) -> Found:
    """What one line of JSON is."""
    try:
        return Found(number, record_of(line), offset, line)
    except BadLine as error:
        return Found(number, error, offset, line)
