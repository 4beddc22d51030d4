"""Statements that are put together by hand, and how long PostgreSQL may think about one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled


@dataclass(frozen=True)
class Statement:
    sql: str
    values: tuple[Any, ...] = ()

    def run(self) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.values)
            return cursor.fetchall()


def within(milliseconds: int, ask: Callable[[], Any]) -> Any:
    """What is found in so much time for each statement; None if that is not enough."""
    inside = connection.in_atomic_block
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
                [str(milliseconds)],
            )
            before = cursor.fetchone()[0]
            found = ask()
            if inside:  # else it ends with the transaction
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
            return found
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise
