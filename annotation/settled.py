"""Up to where everything is there: which rows can be called seen when their ids have been passed.

Ids are given in order, but rows appear when their transactions end. Whoever remembers the newest id they saw would miss
a row with a lower one that was still being written. So: look at the newest id, then wait until nobody who was writing
into that table at that moment still is; what they wrote up to there is visible then, and what comes later has higher
ids. Whoever inserts locks the table before they are given an id, until their transaction ends. Other transactions say
nothing: PostgreSQL's own vacuum has one for five seconds when it waits for a table.
"""

import time

from django.db import connection

PATIENCE = 2.0  # seconds; a long import is left to the next time
PAUSE = 0.05

WRITING = """
SELECT array_agg(DISTINCT virtualtransaction) FROM pg_locks
WHERE locktype = 'relation' AND relation = ANY(%s::text[]::regclass[]) AND mode = 'RowExclusiveLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid IS DISTINCT FROM pg_backend_pid()
"""


def newest(*tables: str) -> list[int] | None:
    """For each of these tables, an id up to which all rows are visible that ever will be; None if somebody who writes
    into them does not end soon."""
    quoted = [connection.ops.quote_name(table) for table in tables]
    with connection.cursor() as cursor:
        found = []
        for table in quoted:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
            found.append(int(cursor.fetchone()[0]))
        cursor.execute(WRITING, [quoted])
        before = set(cursor.fetchone()[0] or ())
        deadline = time.monotonic() + PATIENCE
        while before:
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE)
            cursor.execute(WRITING, [quoted])
            before &= set(cursor.fetchone()[0] or ())
    return found
