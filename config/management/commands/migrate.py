import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

ONE_AT_A_TIME = 0x6D696772  # an advisory lock's number, that nobody else uses
# How long a lock is waited for; whoever wants the same table meanwhile waits as long. Less than the second after which
# PostgreSQL looks for a deadlock, so that others, who wait for us while we wait for them, are seldom the ones it ends.
PATIENCE = "900ms"
GAVE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
TRIES = 40


class Command(migrate.Command):
    """Django's own, fit to run while people work, and from many machines at once.

    A change that waits for a table keeps all others waiting behind it. After PATIENCE, or when each has what the other
    waits for, it gives way, and is tried again: its migration was taken back whole, those before it stay. Of two at
    once, the second waits, and finds nothing to do.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with _our_turn(connection), connection.execute_wrapper(_impatient):
            for tried in range(1, TRIES + 1):
                try:
                    super().handle(*args, **options)
                    return
                except OperationalError as error:
                    if not isinstance(error.__cause__, GAVE_WAY) or tried == TRIES:
                        raise
                    self.stderr.write("A table is in use: its users go first, then it is tried again.")
                    time.sleep(min(tried, 10) / 2)


@contextmanager
def _our_turn(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Nobody else migrates this database meanwhile; the lock ends with its connection, however that ends."""
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])
    finally:
        holder.close()


def _impatient(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Limits how long a change of a table waits, in a transaction; what is done concurrently keeps nobody waiting."""
    connection = context["connection"]
    if connection.in_atomic_block and str(sql).lstrip().upper().startswith(("ALTER ", "CREATE ", "DROP ")):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    return execute(sql, params, many, context)
