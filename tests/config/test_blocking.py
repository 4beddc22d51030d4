"""Migrations neither keep others waiting for long, nor take away what the release before still uses."""

import inspect
from collections import Counter

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations import Migration, RunPython
from django.db.migrations.loader import MigrationLoader

from tests.config.blocking import Finding, allowed, findings
from tests.config.landed import later

ROWS = "annotation_label"  # a table that holds rows


def rules(*scripts: str, atomic: bool = True) -> list[str]:
    return [finding.rule for finding in findings(scripts, atomic=atomic)]


def refused(migration: Migration) -> tuple[set[Finding], set[Finding]]:
    """What a migration does that it should not, and what it may and does not do."""
    outside = connection.copy()  # of the test's transaction, in which nothing can be made concurrently
    try:
        scripts = MigrationLoader(outside).collect_sql([(migration, False)])
    finally:
        outside.close()
    found = set(findings(scripts, atomic=migration.atomic))
    if any(isinstance(operation, RunPython) for operation in migration.operations):
        found.add(Finding("data", "code", "RunPython: nothing says how long it takes"))
    excused = allowed(inspect.getsource(inspect.getmodule(type(migration))))
    return found - excused, excused - found


def test_every_migration_since_the_rule_lets_others_work_and_keeps_what_they_use(db):
    loader = MigrationLoader(connection)
    for migration in later(loader):
        wrong, idle = refused(migration)
        assert not wrong, f"{migration}:\n" + "\n".join(map(str, wrong))
        assert not idle, f"{migration} allows itself what it does not do: {idle}"


def test_what_landed_before_the_rule_would_have_been_refused(db):
    """The reading is of real SQL: the first weeks' migrations have a good part of the rules against them."""
    loader = MigrationLoader(connection)
    early = {"0003_bench", "0004_guidelines_in_versions", "0009_browse", "0012_keys_and_webhooks"}
    found = Counter(
        finding.rule
        for (app, name), migration in loader.disk_migrations.items()
        if app == "annotation" and name in early
        for finding in refused(migration)[0]
    )
    assert {"check", "column", "data", "drop", "index"} <= found.keys()


def test_the_first_migrations_make_tables_of_their_own_and_block_nobody(db):
    loader = MigrationLoader(connection)
    assert refused(loader.disk_migrations["annotation", "0001_initial"])[0] == set()


def test_every_app_of_ours_is_held_to_it():
    ours = {
        config.label for config in apps.get_app_configs() if config.name in ("annotation", "training", "evaluation")
    }
    assert {migration.app_label for migration in later(MigrationLoader(None), since={})} == ours


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        (f'CREATE INDEX "a" ON "{ROWS}" ("b")', "index"),
        (f"CREATE UNIQUE INDEX a ON {ROWS} USING gin (b) WHERE c", "index"),
        (f'ALTER TABLE "{ROWS}" ADD COLUMN "a" bigint NULL UNIQUE', "index"),
        (f"ALTER TABLE {ROWS} ADD CONSTRAINT a UNIQUE (b, c)", "index"),
        (f"ALTER TABLE {ROWS} ADD CONSTRAINT a EXCLUDE USING gist (b WITH =)", "index"),
        (f"ALTER TABLE {ROWS} ADD COLUMN a integer NOT NULL", "column"),
        (f"ALTER TABLE {ROWS} ALTER COLUMN a DROP DEFAULT", "column"),
        (f"ALTER TABLE {ROWS} ALTER COLUMN a SET NOT NULL", "not null"),
        (f"ALTER TABLE {ROWS} ADD COLUMN a uuid DEFAULT gen_random_uuid() NOT NULL", "rewrite"),
        (f"ALTER TABLE {ROWS} ADD COLUMN a integer GENERATED ALWAYS AS (b + 1) STORED", "rewrite"),
        (f'ALTER TABLE "{ROWS}" ALTER COLUMN "a" TYPE bigint USING "a"::bigint', "rewrite"),
        (f"ALTER TABLE {ROWS} ALTER a SET DATA TYPE bigint", "rewrite"),
        (f"CLUSTER {ROWS}", "rewrite"),
        (f"ALTER TABLE {ROWS} ADD COLUMN a integer NULL CHECK (a >= 0)", "check"),
        (f"ALTER TABLE {ROWS} ADD CONSTRAINT a CHECK (b IN ('NOT VALID', 'x'))", "check"),
        (f"ALTER TABLE {ROWS} ADD CONSTRAINT a FOREIGN KEY (b) REFERENCES c (id)", "foreign key"),
        (f"ALTER TABLE {ROWS} ADD COLUMN a bigint DEFAULT 1 NOT NULL CONSTRAINT b REFERENCES c (id)", "foreign key"),
        (f"ALTER TABLE {ROWS} RENAME COLUMN a TO b", "rename"),
        (f"ALTER TABLE {ROWS} RENAME TO b", "rename"),
        (f"ALTER TABLE {ROWS} DROP COLUMN a CASCADE", "drop"),
        (f"DROP TABLE {ROWS}", "drop"),
        (f"UPDATE {ROWS} SET a = 1", "data"),
        (f"DELETE FROM {ROWS}", "data"),
        (f"INSERT INTO {ROWS} SELECT 1", "data"),
    ],
)
def test_each_rule_refuses_what_it_is_for(sql, rule):
    assert rules(sql) == [rule]
    made = rules(f"CREATE TABLE {ROWS} (id bigint)", sql)
    assert made == [], "a table that the migration made itself holds no rows"


@pytest.mark.parametrize(
    "sql",
    [
        f'CREATE INDEX CONCURRENTLY "a" ON "{ROWS}" ("b")',
        f"ALTER TABLE {ROWS} ADD COLUMN a text NULL",
        f"ALTER TABLE {ROWS} ADD COLUMN a varchar(80) DEFAULT '' NOT NULL",
        f"ALTER TABLE {ROWS} ADD COLUMN a jsonb DEFAULT '{{}}'::jsonb NOT NULL, ADD COLUMN b text DEFAULT 'c, d'",
        f"ALTER TABLE {ROWS} ADD COLUMN a timestamp with time zone DEFAULT (STATEMENT_TIMESTAMP()) NOT NULL",
        f"ALTER TABLE {ROWS} ADD COLUMN a bigint NULL CONSTRAINT b REFERENCES c(id); SET CONSTRAINTS b IMMEDIATE",
        f"ALTER TABLE {ROWS} ADD COLUMN a text DEFAULT 'x'; ALTER TABLE {ROWS} ALTER COLUMN a DROP DEFAULT",
        f"ALTER TABLE {ROWS} ADD CONSTRAINT a CHECK (b > 0) NOT VALID",
        f"ALTER TABLE {ROWS} ADD CONSTRAINT a UNIQUE USING INDEX b",
        f"ALTER TABLE {ROWS} ADD CONSTRAINT a FOREIGN KEY (b) REFERENCES c (id) DEFERRABLE NOT VALID",
        f"ALTER TABLE {ROWS} VALIDATE CONSTRAINT a",
        f"ALTER TABLE {ROWS} DROP CONSTRAINT a",
        f"ALTER TABLE {ROWS} ALTER COLUMN a DROP NOT NULL",
        f"DROP INDEX CONCURRENTLY IF EXISTS a; -- DROP TABLE {ROWS}",
        "CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM b; UPDATE c SET d = 1; END $$;",
    ],
)
def test_what_lets_others_work_is_not_refused(sql):
    assert rules(sql) == []


def test_code_is_looked_at_by_a_person():
    """Nothing says what a block does to which tables, so it is allowed by its author or not at all."""
    (finding,) = findings([f"DO $$ BEGIN INSERT INTO {ROWS} SELECT 1; DROP TABLE {ROWS}; END $$;"])
    assert finding == Finding("data", "code", "")


def test_a_constraint_is_validated_when_nobody_waits():
    added = f"ALTER TABLE {ROWS} ADD CONSTRAINT a CHECK (b > 0) NOT VALID"
    validated = f"ALTER TABLE {ROWS} VALIDATE CONSTRAINT a"
    assert rules(added, validated) == ["validate"]
    assert rules(added, validated, atomic=False) == rules(validated) == []


def test_an_exception_names_what_and_where_and_why():
    (finding,) = findings([f"CREATE INDEX a ON {ROWS} (b)"])
    assert "AddIndexConcurrently" in str(finding)
    assert allowed(f"    # allowed: index on {ROWS}: it has a row for each project") == {finding}
    assert allowed(f"# allowed: index on {ROWS}:") == allowed(f"# allowed: index on {ROWS}: why not") == set()
    assert allowed("# allowed: foreign key on other_table: it has a row for each project") == {
        Finding("foreign key", "other_table", "")
    }
