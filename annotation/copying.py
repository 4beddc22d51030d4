"""Many rows at once, by PostgreSQL's COPY, with ids drawn ahead so that rows can name each other before they are there.

A row is one line of text, its fields between tabs; `line` writes one, and `text` and `whole` are for those who write
lines by the hundred thousand.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from django.db import connection, models

_encoder = msgspec.json.Encoder()
NOTHING = r"\N"
AT_ONCE = 500  # lines
DRAWN = """
SELECT min(id), max(id), CASE WHEN max(id) - min(id) + 1 > count(*) THEN array_agg(id ORDER BY id) END
FROM (
    SELECT nextval((SELECT pg_get_serial_sequence(%s, 'id')::regclass)) AS id FROM generate_series(1, %s)
) drawn
"""


def text(value: str) -> str:
    r"""A text as a field.

    >>> text("a\tb\\N")
    'a\\tb\\\\N'
    """
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def whole(value: object) -> str:
    """A value of a JSON column as a field."""
    written = _encoder.encode(value).decode()
    return written.replace("\\", "\\\\") if "\\" in written else written  # COPY minds no other character of JSON


def texts(values: Sequence[str]) -> str:
    """A list of texts as a field."""
    if not values:
        return "{}"
    quoted = ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return text("{" + quoted + "}")


def line(*values: Any) -> str:
    r"""A row; lists are of numbers, and what is JSON was made a field by `whole` and is passed as a `Field`.

    >>> line(1, None, True, "a\\b", [2, 3])
    '1\t\\N\tt\ta\\\\b\t{2,3}\n'
    """
    return "\t".join(map(_field, values)) + "\n"


class Field(str):
    """A field as it is written, which nothing needs to be done to."""


def _field(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, Field):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return whole(value)
    if isinstance(value, list | tuple):
        return "{" + ",".join(map(str, value)) + "}"
    return text(str(value))


def draw_ids(model: type[models.Model], count: int) -> Sequence[int]:
    """So many new ids of a table, in ascending order; nobody else is given one of them.

    They come as the first and the last of them, unless somebody else drew one in between.
    """
    if not count:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(DRAWN, [model._meta.db_table, count])
        first, last, each = cursor.fetchone()
    return range(first, last + 1) if each is None else each


def copy(model: type[models.Model], columns: Sequence[str], lines: Iterable[str]) -> None:
    """Store rows, given as lines with these columns. Some are sent at a time: PostgreSQL stores them while the next are
    being put together, if `lines` makes them one by one."""
    left = iter(lines)
    some = list(islice(left, AT_ONCE))
    if not some:
        return
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    table = connection.ops.quote_name(model._meta.db_table)
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as stream,
    ):
        while some:
            stream.write("".join(some))
            some = list(islice(left, AT_ONCE))


OURS_ALONE = """
SELECT has_parameter_privilege('session_replication_role', 'SET') AND NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal AND tgenabled = 'O')
"""


@contextmanager
def references_hold(*tables: type[models.Model]) -> Iterator[None]:
    """Rows of these tables are stored meanwhile without looking up, one by one, the rows that they name.

    For whoever knows that those are there and stay: because this transaction made them, or has locked them. It halves
    the time. Every other rule of the database holds as ever. Nothing changes where the server does not let us, or
    where a table has triggers of its own, which would rest too.
    """
    rest = False
    with connection.cursor() as cursor:
        if connection.pg_version >= 150_000:  # type: ignore[attr-defined]
            cursor.execute(OURS_ALONE, [[table._meta.db_table for table in tables]])
            rest = bool(cursor.fetchone()[0])
        if rest:
            cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        if rest:  # after an error the savepoint takes it back
            cursor.execute("SET LOCAL session_replication_role = origin")
