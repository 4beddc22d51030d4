"""Label or relabel? Pairs whose labels are doubted, in one order with those that nobody judged yet.

Only in projects that allow more labels for an item than it was to have, and only once enough pairs were judged by two
people to know how often they slip: second opinions that doubt itself has asked for do not count for that. The random
slice is left alone, since it says what choosing is worth.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from django.db.models import Count, F, Q

from annotation import overlap, votes
from annotation.models import Item, ItemResponse, Project
from annotation.models.items import Kind, Purpose
from evaluation import doubt
from evaluation.selectors import Pool

if TYPE_CHECKING:
    from evaluation.steering import Judged, Waiting

DOUBTED = "doubted_after"  # in an item's selection (annotation/overlap.py)


def slips(project: Project, *, simulated: bool) -> float | None:
    """The chance that somebody names the worse answer; None while that is not known, or where nobody may be asked
    again. Ties are left out: they are no slips."""
    if project.most_labels_per_item < 2:
        return None
    said = votes.comparisons(project, simulated=simulated).asked_anyway().counted()
    said = said.where(said.value != 0)
    unit = said.unit()
    first = np.bincount(unit, said.value > 0)
    people = np.bincount(unit)
    second = people - first
    agreed = (first * (first - 1) + second * (second - 1)).sum() / 2
    return doubt.slips(round(agreed), round((people * (people - 1)).sum() / 2))


def candidates(project: Project, judged: Sequence["Judged"], *, simulated: bool) -> "Waiting":
    """Comparisons that have all labels they wanted and could have one more, of somebody who has labelled here and was
    not asked about them. A tie is taken at its word, and a label that trains nothing is not doubted."""
    pairs = Counter(one.item for one in judged)
    tied = {one.item for one in judged if one.outcome == 0.5}
    rows = Item.objects.filter(
        project=project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN, dropped=False, reviews=None, taken=F("wanted"),
        wanted__lt=project.most_labels_per_item, priority__gte=0, priority__lte=2,
    )  # fmt: skip
    people = list(overlap.could_be_asked(project, simulated=simulated))
    met = Count("assignments", filter=Q(assignments__person__in=people))
    rows = rows.annotate(met=met).filter(met__lt=len(people)).order_by("pk")
    names = ("pk", "fingerprint", "selection", "taken")
    full = {pk: rest for pk, *rest in rows.values_list(*names) if pk in pairs and pk not in tied}
    shown: dict[int, list[int]] = defaultdict(list)
    answers = ItemResponse.objects.filter(item__in=list(full)).order_by("item_id", "order")
    for item, response in answers.values_list("item_id", "response_id"):
        shown[item].append(response)
    return {
        pk: (shown[pk], fingerprint, selection)
        for pk, (fingerprint, selection, taken) in full.items()
        if pairs[pk] == taken * comb(len(shown[pk]), 2)
    }


def believed(
    pool: Pool, judged: Sequence["Judged"], items: Sequence[int], pairs: Sequence[tuple[int, int]], *, slip: float
) -> Pool:
    """The pool of these pairs, one of each item, with what people said of the items among them that are doubted."""
    place = {(item, *sorted(pair)): n for n, (item, pair) in enumerate(zip(items, pairs, strict=True))}
    on = [(place[key], one) for one in judged if (key := (one.item, one.first, one.second)) in place]
    turned = [pairs[n][0] != one.first for n, one in on]
    found = doubt.believed(
        pool.posterior,
        pool.differences,
        of=np.array([n for n, _ in on], np.intp),
        outcomes=np.abs(np.array([one.outcome for _, one in on], float) - turned),
        weights=np.array([one.weight for _, one in on], float),
        slip=slip,
    )
    return replace(pool, believed=found)
