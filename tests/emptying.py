"""The database after a test that committed: rows go from the few tables that have any.

Django truncates all hundred tables and then makes content types, permissions and schedules anew, which takes longer
than most such tests. Where a test has touched those three, or we may not switch off triggers, it still does so.
"""

from typing import Any

from django.db import connection, transaction
from django.test import TransactionTestCase

STAYS = ("django_content_type", "auth_permission", "django_q_schedule")  # what `migrate` writes


def use() -> None:
    """Let tests that commit tidy up in this way from now on; the database is as `migrate` left it."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    as_migrated = _written_by_migrate()

    def tidy_up(test: TransactionTestCase) -> None:
        nonlocal as_migrated
        if _is_superuser() and _written_by_migrate() == as_migrated:
            empty()
        else:
            flush(test)
            as_migrated = _written_by_migrate()

    TransactionTestCase._fixture_teardown = tidy_up  # type: ignore[attr-defined]


def empty() -> None:
    """Delete every row but what `migrate` wrote, also those that triggers and foreign keys hold on to."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers; a superuser's
        for name in filled():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")


def filled() -> list[str]:
    """The tables of models that hold rows, without those that `migrate` fills."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    asked = [
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM {connection.ops.quote_name(name)})"
        for name in names
        if name not in STAYS
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [row[0] for row in cursor.fetchall()]


def _written_by_migrate() -> list[Any]:
    rows = (f"(SELECT md5(string_agg(one::text, '' ORDER BY one.id)) FROM {name} AS one)" for name in STAYS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(rows)}")
        return list(cursor.fetchone())


def _is_superuser() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('is_superuser') = 'on'")
        return bool(cursor.fetchone()[0])
