"""Making rows of what a shape found in a record. Imports no Django.

What every shape has besides: a `language`, `tags` and `metadata`, where the record has such columns. Other columns are
kept as metadata where they are short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from annotation.shapes.columns import Columns
from annotation.shapes.reading import answer_of, asks, language_of, metadata_of, tags_of, text_of
from annotation.shapes.rows import ACCEPT, COMPARISON, DEMONSTRATION, EDIT, BadLine, Row, Said, ranked
from annotation.text import as_seen

COMMON = {"language": ("language", "lang"), "tags": ("tags",), "metadata": ("metadata",)}
NOTHING: Mapping[str, Any] = {}
WHO = {"rater": ("rater", "annotator"), "comment": ("comment",)}


def prompt_alone(
    columns: Columns, number: int, messages: list[dict[str, str]], extra: Mapping[str, Any] = NOTHING
) -> Row:
    return _row(columns, number, messages, "", [], [], extra)


def demonstration(
    columns: Columns,
    number: int,
    messages: list[dict[str, str]],
    answer: str | None,
    said: Sequence[Said] = (),
    extra: Mapping[str, Any] = NOTHING,
) -> Row:
    """A prompt and an answer to clean; without an answer, one that was written if somebody did, or a prompt alone."""
    if answer is None and not said:
        return prompt_alone(columns, number, messages, extra)
    return _row(columns, number, messages, DEMONSTRATION, [] if answer is None else [answer], said, extra)


def comparison(
    columns: Columns,
    number: int,
    messages: list[dict[str, str]],
    answers: Sequence[str],
    said: Sequence[Said] = (),
    extra: Mapping[str, Any] = NOTHING,
) -> Row:
    """A prompt and answers to rank. Of answers that look the same the first is kept, and it stands as high as any."""
    kept, places = distinct(answers)
    if len(kept) < 2:
        raise BadLine("a comparison needs at least two different responses")
    if len(kept) < len(answers):
        said = [moved(one, places, len(kept)) for one in said]
    return _row(columns, number, messages, COMPARISON, kept, said, extra)


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The texts that look different, and the place among them of each text."""
    seen: dict[str, int] = {}
    kept: list[str] = []
    places = []
    for text in texts:
        place = seen.setdefault(as_seen(text), len(kept))
        if place == len(kept):
            kept.append(text)
        places.append(place)
    return kept, places


def moved(said: Said, places: Sequence[int], count: int) -> Said:
    """What was said of some answers, once those that look the same are one."""
    if said.ranks is None:
        return said
    best: dict[int, int] = {}
    fine: dict[int, bool] = {}
    for place, rank, bad in zip(places, said.ranks, said.unacceptable or [False] * len(places), strict=True):
        best[place] = min(rank, best.get(place, rank))
        fine[place] = fine.get(place, False) or not bad
    return replace(
        said,
        ranks=ranked([best[place] for place in range(count)]),
        unacceptable=said.unacceptable and [not fine[place] for place in range(count)],
        criteria={name: None if better is None else places[better] for name, better in said.criteria.items()},
        positions=None,
    )


def preferred(columns: Columns, place: int | None, count: int = 2) -> Said:
    """That the answer in this place was preferred to the others; None for a tie."""
    ranks = [1] * count if place is None else [1 if one == place else 2 for one in range(count)]
    return said_by(columns, ranks=ranks)


def said_by(columns: Columns, **what: Any) -> Said:
    """Something that the person said who is named in the record."""
    return Said(rater=name_of(columns["rater"]), comment=note_of(columns["comment"]), **what)


def written(text: str, answer: str | None) -> dict[str, Any]:
    """What it means that somebody wrote this text where the answer stood: they accepted it, or edited it."""
    if answer is not None and text.strip() == answer.strip():
        return {"verdict": ACCEPT}
    return {"verdict": EDIT, "text": answer_of(text, "answer")}


def name_of(value: Any) -> str:
    """The name of a person, who may be known by a number; empty where there is none."""
    if value is None or isinstance(value, bool | list | dict | float):
        return ""
    return text_of(str(value), "rater").strip()[:150]


def note_of(value: Any) -> str:
    return text_of(value, "comment").strip() if isinstance(value, str) else ""


def user(text: Any, name: str = "prompt") -> list[dict[str, str]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text_of(text, name)}]


def tags_in(value: Any) -> list[str]:
    """Tags: a list, or one text with commas between."""
    if isinstance(value, str):
        listed = json_in(value)
        value = listed if isinstance(listed, list) else value.split(",")
        value = [one.strip() for one in value if isinstance(one, str) and one.strip()]
    return tags_of(value)


def metadata_in(value: Any) -> dict[str, Any]:
    """Metadata: an object, or a text that is one in JSON."""
    return metadata_of(json_in(value) if isinstance(value, str) else value)


def json_in(text: str) -> Any:
    """The JSON that a text is, where it is a list or an object; else None."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _row(
    columns: Columns,
    number: int,
    messages: list[dict[str, str]],
    kind: str,
    answers: list[str],
    said: Sequence[Said],
    extra: Mapping[str, Any],
) -> Row:
    return Row(
        line=number,
        messages=asks(messages),
        kind=kind,
        answers=answers,
        language=language_of(columns["language"]),
        tags=tags_in(columns["tags"]),
        metadata={**columns.others(), **extra, **metadata_in(columns["metadata"])},
        said=list(said),
    )
