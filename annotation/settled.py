"""Up to where everything is there: which rows can be called seen when their ids have been passed.

Ids are given in order, but rows appear when their transactions end. Whoever remembers the newest id they saw would miss
a row with a lower one that was still being written. So: look at the newest id, then wait until nobody who had been
given an id at that moment still writes; what they wrote up to there is visible then, and what comes later has higher
ids. Whoever is given an id holds a lock on the sequence it comes from until their transaction ends, whether they insert
at once or, as an import does, draw ids first. Other transactions say nothing: PostgreSQL's own vacuum has one for five
seconds when it waits for a table.
"""

import time

from django.db import connection

PATIENCE = 2.0  # seconds; a long import is left to the next time
PAUSE = 0.05

WRITING = """
SELECT array_agg(virtualtransaction) FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
  AND relation IN (SELECT pg_get_serial_sequence(name, 'id')::regclass FROM unnest(%s::text[]) name)
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def newest(*tables: str, patience: float = PATIENCE) -> list[int] | None:
    """For each of these tables, an id up to which all rows are visible that ever will be; None if somebody who writes
    into them does not end within `patience` seconds."""
    quoted = [connection.ops.quote_name(table) for table in tables]
    with connection.cursor() as cursor:
        found = []
        for table in quoted:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
            found.append(int(cursor.fetchone()[0]))
        cursor.execute(WRITING, [quoted])
        before = set(cursor.fetchone()[0] or ())
        deadline = time.monotonic() + patience
        while before:
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE)
            cursor.execute(WRITING, [quoted])
            before &= set(cursor.fetchone()[0] or ())
    return found
