"""Up to where everything is there: which rows can be called seen when their ids have been passed.

Ids are given in order, but rows appear when their transactions end. Whoever remembers the newest id they saw would miss
a row with a lower one that was still being written. So: look at the newest id, then wait until nobody is at work
who was so at that moment; what they wrote up to there is visible then, and what comes later has higher ids.
"""

import time

from django.db import connection

PATIENCE = 2.0  # seconds; a long import is left to the next time
PAUSE = 0.05

WRITING = """
SELECT array_agg(pid || ' ' || backend_xid::text) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
"""


def newest(*tables: str) -> list[int] | None:
    """For each of these tables, an id up to which all rows are visible that ever will be; None if somebody who writes
    does not end soon."""
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {connection.ops.quote_name(table)}")  # noqa: S608
            found.append(int(cursor.fetchone()[0]))
        cursor.execute(WRITING)
        before = set(cursor.fetchone()[0] or ())
        deadline = time.monotonic() + PATIENCE
        while before:
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE)
            cursor.execute(WRITING)
            before &= set(cursor.fetchone()[0] or ())
    return found
