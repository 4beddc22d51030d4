"""Refusals, in the server's own sentences."""

from typing import Any


class TouchstoneError(Exception):
    """The server refused, or could not be reached. `sentences` is why; `fields` has them by what they are about."""

    def __init__(
        self, sentences: list[str], *, status: int | None = None, fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences
        self.status = status
        self.fields = fields or {}


class Unreachable(TouchstoneError):
    """No answer came, however often it was tried."""


class Invalid(TouchstoneError):
    """What was sent does not fit (400)."""


class NotSignedIn(TouchstoneError):
    """The key is unknown (401)."""


class NotPermitted(TouchstoneError):
    """The person's role in the project, or the key, does not open this (403)."""


class NotFound(TouchstoneError):
    """There is no such thing, or it is in a project of others (404)."""


class Conflict(TouchstoneError):
    """Things have moved on: a lease or a run has ended, or there is nothing to freeze yet (409)."""


class RunFailed(TouchstoneError):
    """A run that was waited for did not succeed; `run` is how it ended."""

    def __init__(self, sentences: list[str], run: Any) -> None:
        super().__init__(sentences)
        self.run = run


BY_STATUS: dict[int, type[TouchstoneError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: NotPermitted,
    404: NotFound,
    409: Conflict,
}


def refusal(status: int, body: Any) -> TouchstoneError:
    """The error for an answer that is a refusal.

    >>> error = refusal(400, {"ranks": ["Give each answer a rank."]})
    >>> type(error).__name__, str(error), error.fields
    ('Invalid', 'ranks: Give each answer a rank.', {'ranks': ['Give each answer a rank.']})
    """
    kind = BY_STATUS.get(status, TouchstoneError)
    if not isinstance(body, dict):
        return kind([f"The server answered with status {status}."], status=status)
    if isinstance(body.get("detail"), str):
        return kind([body["detail"]], status=status)
    return kind(list(_sentences(body)), status=status, fields=body)


def _sentences(problems: Any, path: str = "") -> list[str]:
    if isinstance(problems, dict):
        names = {name: "" if name == "non_field_errors" else f"{path}{name}: " for name in problems}
        return [said for name, one in problems.items() for said in _sentences(one, names[name])]
    if isinstance(problems, list):
        return [said for one in problems for said in _sentences(one, path)]
    return [f"{path}{problems}"]
