"""What can be said of a prompt or an answer by itself. Imports no Django.

The checks of annotation/checks.py, which people meet while they type, and those that need more: refusals, the language,
and letters that ftfy can put right. What is asked may hold anything but secrets, personal data, leftovers and broken
letters; what the assistant says is held to all of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotation import checks, entities
from annotation.languages import differ, language_of, short
from annotation.mends import repaired
from annotation.refusals import refusal

MOST = 20  # findings of a kind in one text
LONGEST = 50_000  # characters of one text that are read
KINDS = {
    checks.SECRET: "secret",
    checks.PERSONAL: "personal",
    checks.PLACEHOLDER: "placeholder",
    checks.ENCODING: "encoding",
    checks.BOILERPLATE: "boilerplate",
    checks.REPETITION: "repetition",
}
OF_WHAT_IS_ASKED = {"secret", "personal", "placeholder", "encoding"}
BAD = {  # how bad each is, where nothing measures it
    **{"secret": 1.0, "personal": 0.9, "placeholder": 0.8, "encoding": 0.7, "boilerplate": 0.6, "refusal": 0.6},
    "repetition": 0.5,
}


@dataclass(frozen=True)
class Found:
    """A finding of one text; `key` tells it from the others of its kind there, and stays the same for ever."""

    kind: str
    key: str
    sentence: str
    score: float
    turn: int | None = None
    start: int | None = None
    end: int | None = None
    language: str = ""


def of_answer(text: str, *, language: str = "") -> list[Found]:
    """What is found in an answer; `language` is that of its prompt."""
    found = list(_of_words(text))
    if span := refusal(text):
        sentence = f"“{checks.short(text[slice(*span)])}”: it refuses."
        found.append(Found("refusal", "", sentence, BAD["refusal"], None, *span))
    told, sure = language_of(text)
    if told and differ(told, language):
        found.append(_other_language("The answer", told, sure, language))
    return found


def of_prompt(messages: Sequence[Mapping[str, str]], *, language: str = "") -> tuple[list[Found], str]:
    """What is found in a conversation, and the language that it is in, if that can be told."""
    found = []
    for turn, message in enumerate(messages):
        held = _of_words(message["content"], turn)
        assistant = message["role"] == "assistant"
        found += [one for one in held if assistant or one.kind in OF_WHAT_IS_ASKED]
    told, sure = language_of("\n".join(one["content"] for one in messages if one["role"] == "user"))
    if told and language and differ(told, language):
        found.append(_other_language("The prompt", told, sure, language))
    return found, told


def _of_words(text: str, turn: int | None = None) -> Iterator[Found]:
    text = text[:LONGEST]
    seen: dict[str, int] = {}
    before = "" if turn is None else f"{turn}:"
    broken = False
    for one in [*checks.findings(text), *entities.names_in(text)]:
        kind = KINDS[one.kind]
        broken = broken or kind == "encoding"
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= MOST:
            key = f"{before}{one.start}:{one.end}"
            yield Found(kind, key, one.sentence[:300], BAD[kind], turn, one.start, one.end)
    if not broken and (place := _first_difference(text, repaired(text))) is not None:
        sentence = "Letters went through a wrong encoding here and can be put right."
        yield Found("encoding", f"{before}ftfy", sentence, BAD["encoding"], turn, place, place + 1)


def _first_difference(text: str, other: str) -> int | None:
    if text == other:
        return None
    return next((place for place, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)


def _other_language(what: str, told: str, sure: float, language: str) -> Found:
    stands = f"not in “{short(language)}”" if what == "The prompt" else f"its prompt in “{short(language)}”"
    sentence = f"{what} is in “{told}”, {stands}."
    return Found("language", "", sentence, round(sure, 3), language=told)
