"""Statements of the hot path, written by hand: put together once, planned by PostgreSQL once for each connection.

The ORM puts its statement together anew each time, with the values inside, so that PostgreSQL plans it anew as well.
Between a label and the next item that was most of the work. What is asked here still comes back as models.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connection, connections, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import Model
from django.db.models.base import ModelState

M = TypeVar("M", bound=Model)
P = ParamSpec("P")
R = TypeVar("R")


def through_migrations(verb: Callable[P, R]) -> Callable[P, R]:
    """Decorator: where a migration changes the type of a column while we run, PostgreSQL refuses the plans that it kept
    for this connection, from then on. They are forgotten and the verb is done again: it has stored nothing, as it is
    one statement or one transaction. Inside a transaction that is for whoever began it."""

    @wraps(verb)
    def done(*args: P.args, **named: P.kwargs) -> R:
        try:
            return verb(*args, **named)
        except NotSupportedError:
            if connection.in_atomic_block:
                raise
            _forget_plans()
            return verb(*args, **named)

    return done


def _forget_plans() -> None:
    """As psycopg does with a transaction that is rolled back."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT")  # which is when it begins
        transaction.set_rollback(True)


@through_migrations
def ask(sql: str, values: Mapping[str, Any], *, anew: bool = False) -> list[tuple[Any, ...]]:
    """The rows of one statement, whose values go to the server beside it, as `prepare_threshold` needs
    (config/database.py). Values that no column gives a type are cast within it, as in `%(now)s::timestamptz`.

    A plan that is kept is one for the average project. Where the way to go depends on which project it is, let the
    statement be planned `anew` for its values."""
    with connection.cursor() if anew else _cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _cursor() -> Any:
    current: Any = connections[DEFAULT_DB_ALIAS]  # which `connection` would look up for each attribute
    current.close_if_health_check_failed()  # as `connection.cursor()` does, once in a request
    current.ensure_connection()
    if current.queries_logged:  # whoever looks at statements wants to see them with their values
        return current.cursor()
    cursor: Any = ServerBindingCursor
    return current.make_cursor(cursor(current.connection))


class Columns(Generic[M]):
    """The columns of a model in a SELECT, and the way back from their values to an instance; `left_out` are read when
    somebody asks for them, as with `defer`."""

    def __init__(self, model: type[M], alias: str, *, left_out: Sequence[str] = ()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.name not in left_out]
        self.model = model
        self.sql = ", ".join(f'{alias}."{field.column}"' for field in fields)
        self.names = [field.attname for field in fields]
        self.converted = [(one.attname, one.from_db_value) for one in fields if hasattr(one, "from_db_value")]

    def __len__(self) -> int:
        return len(self.names)

    def instance(self, row: Sequence[Any]) -> M:
        """What `from_db` makes, without setting one field after the other."""
        made = self.model.__new__(self.model)
        values = vars(made)
        values.update(zip(self.names, row, strict=True), _state=ModelState())
        made._state.adding, made._state.db = False, DEFAULT_DB_ALIAS
        for name, convert in self.converted:
            values[name] = convert(values[name], None, connection)
        return made


def remember(row: Model, name: str, found: list[Any]) -> None:
    """Let `row.<name>.all()` be these, as if `prefetch_related` had fetched them."""
    rows = getattr(row, name).all()
    rows._result_cache = found
    rows._prefetch_done = True
    vars(row).setdefault("_prefetched_objects_cache", {})[name] = rows
