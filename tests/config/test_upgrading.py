"""Every migration runs on a database that is in use: nothing is lost, and the code of before goes on working."""

import inspect
import json
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from tests.config import rows
from tests.config.blocking import allowed
from tests.config.landed import LANDED, later

Rows = dict[str, list[dict[str, Any]]]  # by table

# What a migration takes away or changes on purpose, and a query by which all of it is found again.
MOVED = {
    "annotation.0004_guidelines_in_versions": (
        {"annotation_project.guidelines"},
        "SELECT count(*) = 2 FROM annotation_guidelines WHERE number = 1 AND text LIKE 'guidelines%'",
    ),
    "annotation.0012_keys_and_webhooks": (
        {"authtoken_token"},
        "SELECT count(*) = 2 FROM annotation_accesskey",
    ),
}
# What releases of before had from apps that are gone.
BEFORE = {
    "annotation.0012_keys_and_webhooks": """
        CREATE TABLE authtoken_token (key varchar(40) PRIMARY KEY, created timestamptz NOT NULL,
            user_id bigint NOT NULL UNIQUE REFERENCES annotation_user (id) DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO authtoken_token SELECT md5(username), now(), id FROM annotation_user
    """,
}


@pytest.fixture
def empty(django_db_blocker: Any) -> Iterator[None]:
    """A database of its own, without a table, in place of the one of the other tests."""
    name = f"upgraded_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    with django_db_blocker.unblock():
        usual = connections["default"]
        where = {key: usual.get_connection_params()[key] for key in ("host", "port", "user")}
        with psycopg.connect(dbname="postgres", autocommit=True, **where) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name}")
            connections["default"] = usual.copy()
            connections["default"].settings_dict = {**usual.settings_dict, "NAME": name}
            try:
                yield
            finally:
                connections["default"].close()
                connections["default"] = usual
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def everything() -> Rows:
    with connection.cursor() as cursor:
        held: Rows = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT to_jsonb(t) FROM "{table}" t')
            held[table] = [json.loads(row) if isinstance(row, str) else row for (row,) in cursor.fetchall()]
        return held


def lost(before: Rows, after: Rows) -> set[str]:
    """Tables and columns of which a row or a value is gone; new tables, rows and columns are no loss.

    >>> lost({"a": [{"id": 1, "b": 2}], "c": [{"id": 1}]}, {"a": [{"id": 1, "b": 3, "d": 4}]})
    {'a.b', 'c'}
    """
    gone = set()
    for table, old in before.items():
        for column in {column for row in old for column in row}:
            left = [json.dumps([row.get("id"), row[column]]) for row in after.get(table, []) if column in row]
            if any(json.dumps([row.get("id"), row[column]]) not in left for row in old):
                gone.add(f"{table}.{column}" if table in after else table)
    return gone


def answer(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [value for (value,) in cursor.fetchall()]


def files() -> dict[str, int]:
    """The file that each table is in: a table that is written anew gets another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_relation_filenode(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return dict(cursor.fetchall())


def rewritten(migration: Migration, before: dict[str, int]) -> set[str]:
    after = files()
    excused = {finding.table for finding in allowed(inspect.getsource(inspect.getmodule(type(migration))))}
    return {table for table, file in before.items() if after.get(table, file) != file} - excused


def fill_new(state: ProjectState, filled: set[str], ahead: set[str]) -> None:
    """Two rows in each table that has none yet, but for the apps that have migrations ahead of them."""
    tables = [model for model in rows.tables(state.apps) if model._meta.app_label not in ahead]
    rows.fill([model for model in tables if model._meta.db_table not in filled], more=2)
    filled.update(model._meta.db_table for model in tables)


def prepare(migration: Migration) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BEFORE.get(str(migration), ""))


def both_releases_write(old: ProjectState, new: ProjectState) -> None:
    """The code of before adds a row to each of its tables that is still there, and reads it."""
    still = {model._meta.db_table for model in rows.tables(new.apps)}
    kept = [model for model in rows.tables(old.apps) if model._meta.db_table in still]
    rows.fill(kept)
    for model in kept:
        assert model._base_manager.count() == len(list(model._base_manager.all()))


@pytest.mark.process
def test_every_migration_runs_on_a_database_in_use(empty: None) -> None:
    """Ours step by step; an app of others gets its rows once it is whole, and its migrations are its own business."""
    executor = MigrationExecutor(connection)
    plan = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)]
    under_the_rule = {str(migration) for migration in later(executor.loader)}
    state = ProjectState()
    filled: set[str] = set()
    for place, migration in enumerate(plan):
        if migration.app_label not in LANDED:
            state = executor.migrate(None, plan=[(migration, False)], state=state)
            continue
        ahead = {each.app_label for each in plan[place:]} - LANDED.keys()
        fill_new(state, filled, ahead)
        prepare(migration)
        held, places = everything(), files()
        old = state.clone() if str(migration) in under_the_rule else None
        state = executor.migrate(None, plan=[(migration, False)], state=state)
        meant, found_again = MOVED.get(str(migration), (set(), "SELECT true"))
        assert lost(held, everything()) == meant, f"after {migration}"
        assert answer(found_again) == [True], f"after {migration}"
        if old:
            assert not rewritten(migration, places), f"by {migration}"
            both_releases_write(old, state)
    fill_new(state, filled, set())
    connection.check_constraints()
    assert answer("SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    assert answer("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
    rows.fill(rows.tables(state.apps))


def test_what_is_lost_is_noticed() -> None:
    row = {"id": 1, "b": {"c": [1]}}
    assert lost({"a": [row]}, {"a": [row, {"id": 2, "b": 1}], "d": []}) == set()
    assert lost({"a": [row]}, {"a": [{**row, "e": 1}]}) == set()
    assert lost({"a": [row]}, {"a": [{"id": 1}]}) == {"a.b"}
    assert lost({"a": [row]}, {"a": [{**row, "b": {}}]}) == {"a.b"}
    assert lost({"a": [row]}, {"a": []}) == {"a.b", "a.id"}
    assert lost({"a": [row]}, {}) == {"a"}
    assert lost({"a": [row, {**row, "id": 2}]}, {"a": [row]}) == {"a.b", "a.id"}
