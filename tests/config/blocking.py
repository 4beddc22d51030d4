"""What a migration does to tables that hold rows already, read from its SQL.

Two things are refused: what keeps others waiting for as long as a big table takes to read or write, and what the code
of the release before cannot work with, which serves beside the new one during a deploy. A migration that must, or that
may because the table is small, says so in a comment of its own:

    # allowed: index on annotation_project: nobody has thousands of projects

The rules are PostgreSQL's (15 and newer); INSTEAD says what to do in place of what each refuses.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import sqlparse

INSTEAD = {
    "check": "AddConstraintNotValid, and ValidateConstraint in the next migration; an IntegerField has no check",
    "column": "a db_default, or null=True: the release before does not fill it",
    "data": "small batches, each in a transaction of its own, by the queue or a command",
    "drop": "stop using it in one release, with a db_default or null=True, and drop it in the next",
    "foreign key": "a column with null=True and no default; or ADD CONSTRAINT … NOT VALID, and VALIDATE in the next",
    "index": "AddIndexConcurrently with atomic = False; db_index=False for a foreign key; UNIQUE USING INDEX",
    "not null": "a check constraint that is not valid at first, validated in the next migration",
    "rename": "a new column or table beside the old one, both written in one release, the old one dropped in the next",
    "rewrite": "a new column beside the old one, filled in batches",
    "validate": "a migration of its own: until this one ends, nobody reads the table",
}
ALLOWED = re.compile(r"^\s*# allowed: (?P<rule>[a-z ]+) on (?P<table>\w+): (?P<reason>\S.{14,})$", re.MULTILINE)
STEADY = r"(?:now|statement_timestamp|transaction_timestamp)\(\)"  # asked once for the statement, not once a row


@dataclass(frozen=True)
class Finding:
    rule: str
    table: str
    sql: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.rule} on {self.table}: {self.sql}\n    Instead: {INSTEAD[self.rule]}."


def allowed(source: str) -> set[Finding]:
    """What a migration's own comments allow it."""
    return {Finding(found["rule"], found["table"], "") for found in ALLOWED.finditer(source)}


def findings(scripts: Iterable[str], *, atomic: bool = True) -> list[Finding]:
    """What is refused in a migration's SQL, in order; tables that it makes itself are free."""
    return list(_Migration(atomic).read(scripts))


class _Migration:
    """Reads statements one after another, and remembers what the ones before did."""

    def __init__(self, atomic: bool) -> None:
        self.atomic = atomic
        self.made: set[str] = set()
        self.locked: set[str] = set()  # no reader gets in until the transaction ends
        self.nullable: set[tuple[str, str]] = set()  # columns added here

    def read(self, scripts: Iterable[str]) -> Iterator[Finding]:
        for script in scripts:
            for statement in sqlparse.split(sqlparse.format(script, strip_comments=True)):
                sql = re.sub(r"\s+", " ", statement).strip().rstrip(";")
                plain = sql.replace('"', "")
                if made := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", plain, re.I):
                    self.made.add(made[1])
                yield from (Finding(rule, table, sql) for rule, table in self.rules(plain) if table not in self.made)

    def rules(self, sql: str) -> Iterator[tuple[str, str]]:
        if alter := re.match(r"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(\w+) (.*)", sql, re.I):
            table, actions = alter[1], alter[2]
            for action in _split(actions):
                yield from ((rule, table) for rule in self.action(table, action))
            self.locked.add(table)
        elif index := re.match(r"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?.*? ?ON (?:ONLY )?(\w+)", sql, re.I):
            if not index[1]:
                yield "index", index[2]
        elif dropped := re.match(r"DROP (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF EXISTS )?(\w+)", sql, re.I):
            yield "drop", dropped[1]
        elif changed := re.match(r"(?:UPDATE|DELETE FROM|INSERT INTO) (?:ONLY )?(\w+)", sql, re.I):
            yield "data", changed[1]
        elif re.match(r"DO\b", sql, re.I):
            yield "data", "code"  # whatever it does
        elif whole := re.match(r"(?:TRUNCATE|CLUSTER|VACUUM FULL|REINDEX TABLE)(?: TABLE)? (\w+)", sql, re.I):
            yield "rewrite", whole[1]

    def action(self, table: str, action: str) -> Iterator[str]:
        """One of the changes of an ALTER TABLE."""
        if column := re.match(r"ADD COLUMN (?:IF NOT EXISTS )?(\w+) (.*)", action, re.I):
            if not re.search(r"\bNOT NULL\b|\bPRIMARY KEY\b", column[2], re.I):
                self.nullable.add((table, column[1]))
            yield from _column(column[2])
        elif constraint := re.match(
            r"ADD (?:CONSTRAINT \w+ )?(CHECK|FOREIGN KEY|UNIQUE|EXCLUDE|PRIMARY KEY)\b", action, re.I
        ):
            if not re.search(r"\bNOT VALID$|\bUSING INDEX\b", action, re.I):
                kind = constraint[1].lower()
                yield kind if kind in ("check", "foreign key") else "index"
        elif default := re.match(r"ALTER (?:COLUMN )?(\w+) DROP DEFAULT", action, re.I):
            if (table, default[1]) not in self.nullable:
                yield "column"
        elif re.match(r"ALTER (?:COLUMN )?\w+ SET NOT NULL", action, re.I):
            yield "not null"
        elif re.match(
            r"ALTER (?:COLUMN )?\w+ (?:SET DATA )?TYPE|SET (?:UN)?LOGGED|SET TABLESPACE|SET ACCESS", action, re.I
        ):
            yield "rewrite"
        elif re.match(r"VALIDATE CONSTRAINT", action, re.I) and self.atomic and table in self.locked:
            yield "validate"
        elif re.match(r"RENAME (?!CONSTRAINT)", action, re.I):
            yield "rename"
        elif re.match(r"DROP (?!CONSTRAINT)", action, re.I):
            yield "drop"


def _column(definition: str) -> Iterator[str]:
    """What is wrong with a new column of a table with rows: its type and all that follows."""
    value = re.search(r"\bDEFAULT (.*?)(?= NOT NULL| NULL| UNIQUE| CHECK| CONSTRAINT| REFERENCES|$)", definition, re.I)
    if re.search(r"\bNOT NULL\b", definition, re.I) and not value:
        yield "column"
    if re.search(r"\bGENERATED\b|^(?:big|small)?serial\b", definition, re.I) or (
        value and re.search(r"\w\(", re.sub(STEADY, "", value[1], flags=re.I))
    ):
        yield "rewrite"
    if re.search(r"\b(?:UNIQUE|PRIMARY KEY)\b", definition, re.I):
        yield "index"
    if re.search(r"\bCHECK\b", definition, re.I):
        yield "check"
    if re.search(r"\bREFERENCES\b", definition, re.I) and value:
        yield "foreign key"


def _split(actions: str) -> Iterator[str]:
    """An ALTER TABLE's changes: at commas that stand neither in brackets nor in quotes."""
    depth, quoted, start = 0, False, 0
    for place, letter in enumerate(actions):
        quoted ^= letter == "'"
        if quoted:
            continue
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield actions[start:place].strip()
            start = place + 1
    yield actions[start:].strip()
