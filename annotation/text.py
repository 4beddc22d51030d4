"""Text: canonical forms and hashes, what can be stored, and which side a prompt is on. Imports no Django."""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

DEEPEST = 100  # levels of nesting in JSON that comes from outside
NUL = "\0"
INVISIBLE = {"Cc", "Cf", "Cn"}  # controls, format characters such as the zero-width space, what is no character yet
UNSTORABLE = re.compile(f"[{NUL}\ud800-\udfff]")


def why_unstorable(value: Any, depth: int = 0) -> str:
    """Why PostgreSQL cannot keep a text or a JSON value, in words; empty if it can.

    >>> why_unstorable({"note": ["fine", 1.5, None]}), why_unstorable({"note": "a\\0b"})
    ('', 'contains a NUL character')
    """
    if isinstance(value, str):
        if NUL in value:
            return "contains a NUL character"
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return "contains half of a surrogate pair"
    elif isinstance(value, float) and not math.isfinite(value):
        return "contains a number that is not finite"
    elif isinstance(value, Mapping | list | tuple):
        if depth == DEEPEST:
            return f"is nested more than {DEEPEST} levels deep"
        parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        return next(filter(None, (why_unstorable(part, depth + 1) for part in parts)), "")
    return ""


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot keep replaced.

    >>> storable("a\\0b")
    'a\ufffdb'
    """
    return UNSTORABLE.sub("\ufffd", text)


def canonical(value: Any) -> str:
    """One spelling for equal JSON values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(value: Any) -> str:
    """Hash of a string, or of the canonical JSON of any other value, as 64 hex digits."""
    data = value if isinstance(value, str) else canonical(value)
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_of_json(value: list[Any]) -> str:
    """The same as `sha256`, ten times as fast, of JSON that has texts alone and can be stored.

    >>> sha256_of_json([{"role": "user", "content": "?"}]) == sha256([{"content": "?", "role": "user"}])
    True
    """
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def as_seen(text: str) -> str:
    """What is left of a text for the eye: invisible characters dropped, runs of white space one space, one spelling
    for each accented letter. Texts that are equal in this are one and the same answer to a reader.

    >>> as_seen("Good\u200b  day,\\r\\n Zoe\u0308 ") == as_seen("Good day, Zo\u00eb")
    True
    """
    spaced = " ".join(unicodedata.normalize("NFC", text).split())
    if spaced.isprintable():
        return spaced
    return " ".join("".join(mark for mark in spaced if unicodedata.category(mark) not in INVISIBLE).split())


def is_heldout(prompt_sha256: str, share: float) -> bool:
    """Whether a prompt belongs to the held-out split: decided by its hash alone, so the same everywhere.

    >>> is_heldout("00000000" + "f" * 56, 0.2), is_heldout("ffffffff" + "0" * 56, 0.2)
    (True, False)
    """
    return int(prompt_sha256[:8], 16) / 2**32 < share
