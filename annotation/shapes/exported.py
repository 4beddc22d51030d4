"""The labels in a row of this product's own export. Imports no Django."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.shapes.making import moved, name_of
from annotation.shapes.reading import messages_of, moment_of, seconds_of, text_of
from annotation.shapes.rows import ACCEPT, COMPARISON, DEMONSTRATION, EDIT, VERDICTS, BadLine, Said, ranked

LEVELS = range(1, 100)
NOBODY = 0  # in a criterion, where the better answer's id stands otherwise


def labels_of(value: Any, kind: str, answers: Any, places: Sequence[int]) -> list[Said]:
    """What people said, from the value under `labels`: of `answers` as the row has them, each of which now has one of
    these places."""
    if not isinstance(value, list) or kind not in (DEMONSTRATION, COMPARISON):
        raise BadLine('"labels" must be a list, of a row with answers')
    if kind == COMPARISON and len(answers) < 2:
        raise BadLine('"labels" of a comparison need its "answers"')
    ids = {
        one["id"]: place
        for place, one in enumerate(answers)
        if isinstance(one, dict) and isinstance(one.get("id"), int | str)
    }
    said = []
    for number, label in enumerate(value, start=1):
        if not isinstance(label, dict):
            raise BadLine(f"label {number} must be an object")
        try:
            one = (
                _comparison(label, ids, len(answers))
                if kind == COMPARISON
                else _demonstration(label, drafted=bool(answers))
            )
        except BadLine as error:
            raise BadLine(f"label {number}: {error}") from None
        said.append(
            moved(one, places, max(places) + 1) if kind == COMPARISON and len(set(places)) < len(places) else one
        )
    return said


def _both(label: dict[str, Any]) -> dict[str, Any]:
    flags = label.get("flags") or []
    if not isinstance(flags, list):
        raise BadLine('"flags" must be a list')
    return {
        "rater": name_of(label.get("person")),
        "comment": text_of(label.get("comment") or "", "comment"),
        "flags": [text_of(flag, "flags") for flag in flags],
        "seconds": seconds_of(label.get("seconds")),
        "created_at": moment_of(label.get("created_at")),
        "simulated": label.get("simulated") is True,
        "decision": label.get("decision") is True,
    }


def _demonstration(label: dict[str, Any], *, drafted: bool) -> Said:
    verdict = label.get("verdict")
    if verdict not in VERDICTS:
        raise BadLine('"verdict" must be accept, edit or reject')
    text = _text(label)
    if verdict == EDIT and text is None:
        raise BadLine('an edit needs "text"')
    if verdict == ACCEPT and not drafted:
        raise BadLine("there is no answer to accept")
    messages = label.get("prompt")
    return Said(
        **_both(label),
        verdict=verdict,
        text=text if verdict == EDIT else None,
        messages=messages_of(messages, "prompt") if messages is not None and verdict != ACCEPT else None,
    )


def _comparison(label: dict[str, Any], ids: Mapping[Any, int], count: int) -> Said:
    votes = label.get("votes")
    if not isinstance(votes, list) or not all(isinstance(vote, dict) for vote in votes):
        raise BadLine('"votes" must be a list')
    by_place = {_place(vote.get("answer"), ids): vote for vote in votes}
    if len(by_place) != count or len(votes) != count:
        raise BadLine('"votes" must have one vote on each answer')
    ordered = [by_place[place] for place in range(count)]
    ranks = [vote.get("rank") for vote in ordered]
    if not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks):
        raise BadLine('"rank" must be a whole number')
    bad = [vote.get("unacceptable") is True for vote in ordered]
    positions = [vote.get("position") for vote in ordered]
    strength = label.get("strength")
    criteria = _criteria(label.get("criteria") or {})
    return Said(
        **_both(label),
        ranks=ranks if all(1 <= rank <= count for rank in ranks) and 1 in ranks else ranked(ranks),
        unacceptable=bad,
        strength=strength if isinstance(strength, int) and strength in LEVELS and strength is not True else None,
        text=_text(label),
        criteria={
            text_of(name, "criteria"): None if better in (NOBODY, None) else _place(better, ids)
            for name, better in criteria.items()
        },
        positions=positions if sorted(map(str, positions)) == sorted(map(str, range(count))) else None,
    )


def _criteria(value: Any) -> dict[str, Any]:
    """An object, or in Parquet a list of objects with `name` and `answer`."""
    if isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in value):
        return {one["name"]: one.get("answer") for one in value}
    if not isinstance(value, dict):
        raise BadLine('"criteria" must be an object')
    return value


def _place(answer: Any, ids: Mapping[Any, int]) -> int:
    if not isinstance(answer, int | str) or answer not in ids:
        raise BadLine("speaks of an answer that the row does not have")
    return ids[answer]


def _text(label: dict[str, Any]) -> str | None:
    text = label.get("text")
    return text_of(text, "text").strip() or None if text is not None else None
