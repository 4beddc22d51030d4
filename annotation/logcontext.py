"""What every line of the log says besides its message: which request, task or run it belongs to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Value = str | int | None
_bound: ContextVar[dict[str, Value | Callable[[], Value]]] = ContextVar("log context")


@contextmanager
def bind(**values: Value | Callable[[], Value]) -> Iterator[None]:
    """Lines that are written within say this, too. A function is asked for its value at each line.

    >>> with bind(run_id=5), bind(task="work", user_id=lambda: None):
    ...     bound()
    {'run_id': 5, 'task': 'work'}
    >>> bound()
    {}
    """
    token = _bound.set({**_bound.get({}), **values})
    try:
        yield
    finally:
        _bound.reset(token)


def begin(**values: Value) -> None:
    """From here on this and nothing of before, for a process that does one thing after another."""
    _bound.set({**values})


def bound() -> dict[str, str | int]:
    """What a line says now, without what is not known."""
    known = {name: value() if callable(value) else value for name, value in _bound.get({}).items()}
    return {name: value for name, value in known.items() if value is not None}
