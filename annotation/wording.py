"""What a label says, in a few words, as somebody sees the answers: left and right, or by letter if there are more."""

from collections.abc import Sequence
from string import ascii_uppercase

from annotation.models import Label
from annotation.models.labels import Verdict


def in_words(label: Label, order: Sequence[int] = ()) -> str:
    """What is said of the answers in `order` (response ids, the first left); by default as its author saw them."""
    if label.verdict:
        return {Verdict.ACCEPT: "Accepted as it is", Verdict.EDIT: "Edited", Verdict.REJECT: "Rejected"}[
            Verdict(label.verdict)
        ]
    judged = sorted(label.judgements.all(), key=lambda one: _place(one.response_id, order, one.position))
    names = names_of(len(judged))
    ranks, bad = [one.rank for one in judged], [one.unacceptable for one in judged]
    if len(set(ranks)) == 1:
        said = "" if all(bad) else "a tie"
    elif len(ranks) == 2:
        said = f"{names[ranks.index(1)]} {_degree(label)}"
    else:
        said = " > ".join(
            " = ".join(name for name, rank in zip(names, ranks, strict=True) if rank == level)
            for level in sorted(set(ranks))
        )
        said += f", {_degree(label)}" if label.strength else ""
    parts = [said, _unacceptable(names, bad), "the best one edited" if label.response_id else ""]
    words = "; ".join(part for part in parts if part)
    return words[:1].upper() + words[1:]


def criteria_in_words(label: Label, order: Sequence[int] = ()) -> dict[str, str]:
    """For each criterion that was judged, which answer is better in it."""
    judged = list(label.judgements.all())
    names = names_of(len(judged))
    places = {one.response_id: _place(one.response_id, order, one.position) for one in judged}
    return {
        criterion: names[places[better]] if better in places else "no difference"
        for criterion, better in label.criteria.items()
    }


def names_of(answers: int) -> list[str]:
    """What answers are called on the page, in their order.

    >>> names_of(2), names_of(3)
    (['left', 'right'], ['A', 'B', 'C'])
    """
    return ["left", "right"] if answers == 2 else list(ascii_uppercase[:answers])


def _place(response: int, order: Sequence[int], otherwise: int) -> int:
    return order.index(response) if response in order else otherwise


def _degree(label: Label) -> str:
    """How much better, in the words of the project: "slightly better"."""
    levels = label.project.strength_levels
    if not label.strength:
        return "better"
    level = str(levels[label.strength - 1]) if label.strength <= len(levels) else f"strength {label.strength}"
    return level if level.endswith("better") else f"better: {level}"


def _unacceptable(names: Sequence[str], bad: Sequence[bool]) -> str:
    if not any(bad):
        return ""
    if all(bad):
        return "both unacceptable" if len(bad) == 2 else "all unacceptable"
    return f"{', '.join(name for name, marked in zip(names, bad, strict=True) if marked)} unacceptable"
