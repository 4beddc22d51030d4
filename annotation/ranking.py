"""What a person may say of several answers to one prompt, and how it is kept."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from annotation.asking import add_response
from annotation.models import Item, Label, Project, Response
from annotation.models.prompts import Origin
from annotation.text import as_seen

if TYPE_CHECKING:
    from annotation.labelling import Said

NO_DIFFERENCE = 0  # in `Label.criteria`, where the better answer's id stands otherwise


def best(ranks: Sequence[int]) -> int | None:
    """The place of the one best answer; None when several share the first rank.

    >>> best([2, 1, 3]), best([1, 1, 2]), best([])
    (1, None, None)
    """
    return list(ranks).index(1) if list(ranks).count(1) == 1 else None


def problems_of(said: "Said", project: Project, shown: Sequence[Response]) -> list[str]:
    """Why what was said does not fit the answers, in sentences for the person; empty if it does."""
    problems = []
    if said.verdict:
        problems.append("A comparison has ranks, not a verdict.")
    if len(said.ranks) != len(shown):
        problems.append("Give each answer a rank.")
    elif any(not 1 <= rank <= len(shown) for rank in said.ranks) or 1 not in said.ranks:
        problems.append("Ranks run from 1, the best, to the number of answers.")
    if said.unacceptable and len(said.unacceptable) != len(shown):
        problems.append("Say of each answer whether it is unacceptable, or of none.")
    levels = len(project.strength_levels)
    if said.strength is not None and not 1 <= said.strength <= levels:
        problems.append(f"Strength runs from 1 to {levels}.")
    if any(place is not None and not 0 <= place < len(shown) for place in said.criteria.values()):
        problems.append("A criterion names the place of the better answer, counted from 0, or none.")
    if problems:
        return problems
    bad = list(said.unacceptable) or [False] * len(shown)
    for (one, one_bad), (other, other_bad) in combinations(zip(said.ranks, bad, strict=True), 2):
        if one != other and one_bad != other_bad and (one < other) == one_bad:
            problems.append("An unacceptable answer stands above one that will do: rank it lower, or unmark it.")
            break
    tied = any(a[0] == b[0] and not (a[1] and b[1]) for a, b in combinations(zip(said.ranks, bad, strict=True), 2))
    if tied and not project.ties_allowed:
        problems.append("This project allows no ties: choose the better answer.")
    if said.text.strip():
        problems += _problems_of_edit(said, shown)
    return problems


def _problems_of_edit(said: "Said", shown: Sequence[Response]) -> list[str]:
    place = best(said.ranks)
    if place is None:
        return ["An edit makes the best answer better: say first which one that is."]
    if said.text.strip() == shown[place].text.strip():
        return ["Your edit changes nothing: change the answer, or leave the edit out."]
    others = {as_seen(response.text) for response in shown if response != shown[place]}
    if as_seen(said.text) in others:
        return ["Your edit reads like another of the answers: rank that one best instead."]
    return []


def edit(item: Item, shown: Sequence[Response], said: "Said") -> Response | None:
    """The best answer made better, as an answer of its own; None if nobody edited it."""
    place, text = best(said.ranks), said.text.strip()
    if place is None or not text:
        return None
    return add_response(prompt=item.prompt, text=text, origin=Origin.EDIT, edited_from=shown[place])[0]


def by_response(criteria: Mapping[str, int | None], shown: Sequence[Response]) -> dict[str, int]:
    """Places as shown become the answers that stood there, as they are kept."""
    return {name: NO_DIFFERENCE if place is None else shown[place].pk for name, place in criteria.items()}


def by_position(criteria: Mapping[str, int], places: Mapping[int, int]) -> dict[str, int | None]:
    """The way back, for whoever saw them so; `places` goes from an answer's id to where it stood."""
    return {name: places.get(pk) for name, pk in criteria.items() if pk in places or pk == NO_DIFFERENCE}


def fields_of(label: Label) -> dict[str, str]:
    """What a label says of its answers, as the fields of the page it was said on."""
    judged = list(label.judgements.all())
    ranks = [one.rank for one in judged]
    place = best(ranks)
    if len(judged) > 2:
        fields = {f"rank_{one.position}": str(one.rank) for one in judged}
    elif place is not None:
        fields = {"choice": ("left", "right")[place]}
    else:
        fields = {"choice": "unacceptable" if all(one.unacceptable for one in judged) else "tie"}
    fields |= {f"unacceptable_{one.position}": "on" for one in judged if one.unacceptable}
    better = by_position(label.criteria, {one.response_id: one.position for one in judged})
    fields |= {f"criterion_{name}": "equal" if at is None else str(at) for name, at in better.items()}
    if label.strength:
        fields["strength"] = str(label.strength)
    if label.response:
        fields |= {"text": label.response.text, "text_of": str(place)}
    return fields
