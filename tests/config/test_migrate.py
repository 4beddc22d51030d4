"""`manage.py migrate` gives way to those who use a table, and takes turns with another `migrate`."""

import threading
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management.commands import migrate as of_django
from django.db import OperationalError, connection, transaction

from config.management.commands import migrate


@pytest.fixture
def somebody(db):
    """Another connection to the same database, with a table of its own."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("CREATE TABLE in_use (id bigint)")
        other.commit()
        yield other
        other.rollback()
        connection.connection.rollback()
        other.execute("DROP TABLE in_use")


@pytest.fixture
def change(monkeypatch):
    """Django's command, with one migration ahead of it."""

    def handle(self, *args, **options):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE in_use ADD COLUMN name text")

    monkeypatch.setattr(of_django.Command, "handle", handle)
    monkeypatch.setattr(migrate, "PATIENCE", "10ms")
    return lambda: migrate.Command().handle(database="default")


def columns():
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, "in_use")]


def test_a_change_gives_way_and_is_tried_again(somebody, change, monkeypatch, capsys):
    somebody.execute("SELECT * FROM in_use")  # a report that somebody reads, in a transaction that stays open
    tried = []
    monkeypatch.setattr(migrate.time, "sleep", lambda seconds: (tried.append(seconds), somebody.rollback()))
    change()
    assert columns() == ["id", "name"]
    assert len(tried) == 1
    assert "its users go first" in capsys.readouterr().err


def test_it_gives_up_at_some_time_and_leaves_nothing_half_done(somebody, change, monkeypatch):
    somebody.execute("SELECT * FROM in_use")
    tried = []
    monkeypatch.setattr(migrate, "TRIES", 3)
    monkeypatch.setattr(migrate.time, "sleep", tried.append)
    with pytest.raises(OperationalError, match="lock timeout"):
        change()
    assert tried == [0.5, 1]
    assert columns() == ["id"]


def test_a_deadlock_is_tried_again_too(somebody, change, monkeypatch):
    """We have a table that somebody waits for, and wait for one that they have."""
    somebody.execute("CREATE TABLE theirs (id bigint)")
    somebody.commit()
    somebody.execute("SET LOCAL deadlock_timeout = '1h'; SELECT * FROM theirs")
    reads = threading.Thread(target=lambda: somebody.execute("SELECT * FROM in_use"))
    waits = "SELECT count(*) FROM pg_locks WHERE relation = 'in_use'::regclass AND NOT granted"

    def handle(self, *args, **options):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE in_use ADD COLUMN name text")
            if not reads.ident:
                reads.start()
                while not cursor.execute(waits).fetchone()[0]:  # until they wait for us
                    pass
            cursor.execute("SET LOCAL deadlock_timeout = '1ms'")
            cursor.execute("DROP TABLE theirs")

    def let_them_end(seconds):
        reads.join()
        somebody.rollback()

    monkeypatch.setattr(of_django.Command, "handle", handle)
    monkeypatch.setattr(migrate, "PATIENCE", "1h")
    monkeypatch.setattr(migrate, "time", SimpleNamespace(sleep=let_them_end))
    change()
    assert columns() == ["id", "name"]


def test_another_problem_is_told_at_once(somebody, change, monkeypatch):
    monkeypatch.setattr(migrate.time, "sleep", lambda seconds: pytest.fail("it waits for nothing"))
    somebody.execute("ALTER TABLE in_use ADD COLUMN name text")
    somebody.commit()
    with pytest.raises(Exception, match="already exists"):
        change()


def test_two_take_turns(somebody, change, monkeypatch):
    ours = "SELECT pg_try_advisory_lock(%s)"
    seen = []

    def handle(self, *args, **options):
        seen.append(somebody.execute(ours, [migrate.ONE_AT_A_TIME]).fetchone())

    monkeypatch.setattr(of_django.Command, "handle", handle)
    change()
    assert seen == [(False,)]
    assert somebody.execute(ours, [migrate.ONE_AT_A_TIME]).fetchone() == (True,), "its turn ends with it"
    somebody.execute("SELECT pg_advisory_unlock_all()")


def test_what_is_done_concurrently_may_wait(somebody):
    """Outside a transaction no lock has a limit: an index that is built beside others' work waits for them."""
    with connection.execute_wrapper(migrate._impatient), connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()
        cursor.execute("SELECT 1")
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == before
        cursor.execute("CREATE TEMPORARY TABLE anything (id bigint)")
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == (migrate.PATIENCE,)
