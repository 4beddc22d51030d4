"""Reading the values of a record: each function takes a value and the name to call it by, and raises BadLine if it is
not what it should be. Imports no Django."""

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from annotation.shapes.rows import BadLine
from annotation.text import as_seen, why_unstorable

ROLES = ("system", "user", "assistant")
LONGEST_LANGUAGE, LONGEST_TAG = 16, 64
TRUTHS = {
    **dict.fromkeys(("true", "yes", "1", "1.0", "good", "accept", "accepted", "right", "correct", "up"), True),
    **dict.fromkeys(
        ("false", "no", "0", "0.0", "bad", "reject", "rejected", "incorrect", "thumbs_down", "down"), False
    ),
}


def text_of(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadLine(f'"{name}" must be a text')
    if reason := why_unstorable(value):
        raise BadLine(f'"{name}" {reason}')
    return value


def messages_of(value: Any, name: str) -> list[dict[str, str]]:
    """A conversation: at least one message, a system message first if there is one."""
    if not isinstance(value, list) or not value:
        raise BadLine(f'"{name}" must be a list of messages, or a text')
    messages = []
    for place, message in enumerate(value):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise BadLine(f'message {place + 1}: "role" must be system, user or assistant')
        if message["role"] == "system" and place:
            raise BadLine(f"message {place + 1}: a system message may only come first")
        content = text_of(message.get("content"), f"message {place + 1}")
        messages.append({"role": message["role"], "content": content})
    return messages


def asks(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The conversation before an answer, which must end with something the user says."""
    if not messages or messages[-1]["role"] != "user":
        raise BadLine("the conversation before the answer must end with what the user says")
    if not messages[-1]["content"].strip():
        raise BadLine("what the user says last is empty")
    return messages


def answer_of(value: Any, name: str) -> str:
    """An answer: a text, or a list with one assistant message."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("content")
    text = text_of(value, name).strip()
    if not text:
        raise BadLine(f'"{name}": an answer is empty')
    return text


def answers_of(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise BadLine(f'"{name}" must be a list')
    return [answer_of(one.get("text") if isinstance(one, dict) else one, name) for one in value]


def different(texts: list[str]) -> list[str]:
    """Of answers that look the same the first; raises BadLine if fewer than two are left."""
    if _plainly_different(texts):
        return texts
    kept: dict[str, str] = {}  # by what is seen of them
    for text in texts:
        kept.setdefault(as_seen(text), text)
    if len(kept) < 2:
        raise BadLine("a comparison needs at least two different responses")
    return list(kept.values())


def _plainly_different(texts: list[str]) -> bool:
    """Two answers that begin with different words in plain letters look different: no need to read on."""
    if len(texts) != 2:
        return False
    one, other = texts[0][:40], texts[1][:40]
    if not (one.isascii() and other.isascii() and one.isprintable() and other.isprintable()):
        return False
    # The last word may be cut, or be about to be joined by an accent.
    return any(a != b for a, b in zip(one.split()[:-1], other.split()[:-1], strict=False))


def tags_of(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadLine('"tags" must be a list of texts')
    return [text_of(tag, "tags")[:LONGEST_TAG] for tag in value]


def language_of(value: Any) -> str:
    return text_of(value or "", "language")[:LONGEST_LANGUAGE]


def metadata_of(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):  # in Parquet, where an object needs names that all rows share
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadLine('"metadata" must be an object') from None
    if not isinstance(value, dict):
        raise BadLine('"metadata" must be an object')
    if reason := why_unstorable(value):
        raise BadLine(f'"metadata" {reason}')
    return value


def moment_of(value: Any) -> datetime | None:
    """When something was said; None where the value is no date and time, which is no reason to lose the rest."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        return None


def seconds_of(value: Any) -> float | None:
    """How long something took; None where that is not known."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**7:
        return None
    return float(value)


def number_of(value: Any) -> float | None:
    """A number, perhaps written as a text; None where there is none.

    >>> number_of("1.5"), number_of(2), number_of("many"), number_of(True)
    (1.5, 2.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def truth_of(value: Any) -> bool | None:
    """Yes or no, perhaps in a word or a number; None where it is neither.

    >>> truth_of("True"), truth_of(0), truth_of("perhaps")
    (True, False, None)
    """
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None
