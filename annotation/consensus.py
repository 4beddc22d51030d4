"""What the people who labelled an item say together, stored for each item and worked out anew when labels change.

A verdict is one choice; a ranking is a choice for each pair of its answers, put together by expected wins. Dawid and
Skene's model (or MACE) learns how much each person's word is worth and weighs them by it; a reviewer's decision settles
an item whatever the votes. Which of two answers is called the first is arbitrary: it changes from item to item here, so
that nobody is taken to have a liking for it.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone
from django_q.tasks import async_task

from annotation import votes
from annotation.models import Consensus, Event, Item, Label, Membership, Project, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.statistics import Array
from annotation.votes import VERDICTS, Integers, Votes

MAJORITY, DAWID_SKENE, MACE, DECISION = "majority", "dawid-skene", "mace", "decision"
METHODS = {MAJORITY: "Majority", DAWID_SKENE: "Dawid-Skene", MACE: "MACE"}
ENOUGH = 50  # units that two people judged; with fewer, what each word is worth cannot be learnt, and votes are counted
SURE = 0.9
TASK = "annotation.tasks.consensus"
COMPUTED = "consensus computed"
AT_ONCE_SHARE, AT_LATEST = 0.01, timedelta(minutes=10)
BATCH = 2000


@dataclass(frozen=True)
class Summary:
    """What working it out anew has come to."""

    method: str
    items: int
    changed: int


@transaction.atomic
def recompute(*, project: Project, method: str | None = None, actor: User | None = None) -> Summary | None:
    """Work out the consensus on every item of the project, and how reliable each person is; only what has changed is
    written. Without a method, the one of the last time.

    None if another process is at it. Raises ValidationError for a method that is not known.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('consensus'), %s)", [project.pk])
        if not cursor.fetchone()[0]:
            return None
    last = latest(project)
    method = method or (last.data["method"] if last else DAWID_SKENE)
    if method not in METHODS:
        raise ValidationError(f"There is no method {method!r}; there are {', '.join(METHODS)}.")
    seen = Label.objects.filter(project=project).order_by("-id").values_list("pk", flat=True).first() or 0
    sure: defaultdict[int, list[float]] = defaultdict(list)
    rows = {
        **_of_kind(votes.demonstrations(project, everything=True).counted(), Kind.DEMONSTRATION, method, sure),
        **_of_kind(votes.comparisons(project, everything=True).counted(), Kind.COMPARISON, method, sure),
    }
    _settle(project, rows)
    changed = _store(project, rows)
    _rate(project, sure)
    record(COMPUTED, project, project=project, actor=actor, method=method, items=len(rows), changed=changed, seen=seen)
    return Summary(method, len(rows), changed)


def ask(*, project: Project, method: str | None = None, actor: User | None = None) -> None:
    """Have a queue process work it out anew: it takes seconds, and packages that web processes do without."""
    if method is not None and method not in METHODS:
        raise ValidationError(f"There is no method {method!r}; there are {', '.join(METHODS)}.")
    task = partial(async_task, TASK, project.pk, method, actor.pk if actor else None, cluster="default")
    transaction.on_commit(task)


def figures(project: Project) -> dict[str, int]:
    """How many items have a consensus, and of how many it is sure or decided."""
    rows = Consensus.objects.filter(item__project=project)
    return rows.aggregate(
        items=Count("id"),
        sure=Count("id", filter=Q(confidence__gte=SURE)),
        decided=Count("id", filter=Q(method=DECISION)),
        several=Count("id", filter=Q(labels__len__gte=2)),
    )


def latest(project: Project) -> Event | None:
    """When and how it was worked out the last time."""
    return Event.objects.filter(project=project, verb=COMPUTED).order_by("-id").first()


def is_due(project: Project, now: datetime | None = None) -> bool:
    """Whether enough has been said since the last time: 1 % of it, or anything at all ten minutes ago or earlier."""
    last = latest(project)
    labels = Label.objects.filter(project=project)
    if last is None:
        return labels.exists()
    new = labels.filter(pk__gt=last.data["seen"]).count()
    new += Event.objects.filter(project=project, pk__gt=last.pk, verb="label retracted").count()
    if not new:
        return False
    waited = (now or timezone.now()) - last.created_at
    return new >= max(1, AT_ONCE_SHARE * last.data["items"]) or waited >= AT_LATEST


# Working it out


def _of_kind(said: Votes, kind: str, method: str, sure: defaultdict[int, list[float]]) -> dict[int, Consensus]:
    """A row, not stored yet, for each item; to `sure` is added how sure the consensus is of what each person said."""
    if not len(said):
        return {}
    unit = said.unit()
    size = 3
    if kind == Kind.COMPARISON:
        turn = np.where(said.item % 2 == 0, 1, -1)
        value = said.value * turn + 1
    else:
        turn, value, size = np.ones(len(said), np.int64), said.value, len(VERDICTS)
    people = np.bincount(unit)
    if (people > 1).sum() < ENOUGH:
        method = MAJORITY
    chances = METHOD[method](unit, said.person, value, size)
    for person, chance in zip(said.person[people[unit] > 1], chances[unit, value][people[unit] > 1], strict=True):
        sure[int(person)].append(float(chance))
    starts = np.unique(unit, return_index=True)[1]
    chances = np.where(turn[starts][:, None] == 1, chances, chances[:, ::-1])
    labels = _labels(said)
    outcome = _verdicts if kind == Kind.DEMONSTRATION else _rankings
    return {
        item: Consensus(item_id=item, method=method, outcome=found, confidence=confidence, labels=labels[item])
        for item, found, confidence in outcome(said, starts, chances)
    }


def _labels(said: Votes) -> dict[int, list[int]]:
    order = np.lexsort((said.label, said.item))
    item, label = said.item[order], said.label[order]
    once = np.concatenate([[True], np.diff(label) != 0])
    items, starts = np.unique(item[once], return_index=True)
    parts = np.split(label[once], starts[1:])
    return {int(pk): part.tolist() for pk, part in zip(items, parts, strict=True)}


def majority(unit: Integers, person: Integers, value: Integers, size: int) -> Array:
    """For each unit the share of the votes that each value has."""
    table = np.bincount(unit * size + value, minlength=(unit.max() + 1) * size).reshape(-1, size)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def dawid_skene(unit: Integers, person: Integers, value: Integers, size: int) -> Array:
    """For each unit the chance of each value (Dawid and Skene 1979, Applied Statistics 28:20)."""
    from crowdkit.aggregation import DawidSkene

    return _crowd(DawidSkene(n_iter=100), unit, person, value, size)


def mace(unit: Integers, person: Integers, value: Integers, size: int) -> Array:
    """For each unit the chance of each value (Hovy et al. 2013, NAACL: "Learning Whom to Trust with MACE")."""
    from crowdkit.aggregation import MACE

    return _crowd(MACE(n_restarts=1), unit, person, value, size)  # its restarts all begin at the same place


def _crowd(model: Any, unit: Integers, person: Integers, value: Integers, size: int) -> Array:
    import pandas

    frame = pandas.DataFrame({"task": unit, "worker": person, "label": value})
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # crowd-kit uses words that pandas will drop one day
        found = model.fit_predict_proba(frame)
    return np.asarray(found.reindex(index=range(int(unit.max()) + 1), columns=range(size)).fillna(0.0), float)


METHOD: dict[str, Callable[[Integers, Integers, Integers, int], Array]] = {
    MAJORITY: majority,
    DAWID_SKENE: dawid_skene,
    MACE: mace,
}


def _verdicts(said: Votes, starts: Integers, chances: Array) -> list[tuple[int, str, float]]:
    best = chances.argmax(axis=1)
    return [
        (int(item), VERDICTS[place], round(float(chance[place]), 3))
        for item, place, chance in zip(said.item[starts], best, chances, strict=True)
    ]


def _rankings(said: Votes, starts: Integers, chances: Array) -> list[tuple[int, dict[str, int], float]]:
    """Answers by expected wins over the others, a tie being half a win; where a tie is the likeliest of two, they share
    a rank. As sure as the least sure pair."""
    rows = zip(said.item[starts], said.first[starts], said.second[starts], chances, strict=True)
    by_item: defaultdict[int, list[tuple[int, int, Array]]] = defaultdict(list)
    for item, first, second, chance in rows:
        by_item[int(item)].append((int(first), int(second), chance))
    return [(item, *_ranking(pairs)) for item, pairs in by_item.items()]


def _ranking(pairs: list[tuple[int, int, Array]]) -> tuple[dict[str, int], float]:
    wins: defaultdict[int, float] = defaultdict(float)
    level = set()
    for first, second, (loses, ties, wins_it) in pairs:
        wins[first] += wins_it + ties / 2
        wins[second] += loses + ties / 2
        if ties >= max(loses, wins_it):
            level |= {(first, second), (second, first)}
    ranks: dict[str, int] = {}
    before = None
    for place, answer in enumerate(sorted(wins, key=lambda pk: (-wins[pk], pk)), start=1):
        ranks[str(answer)] = ranks[str(before)] if (before, answer) in level else place
        before = answer
    return ranks, round(min(float(chance.max()) for _, _, chance in pairs), 3)


# Storing it


def _settle(project: Project, rows: dict[int, Consensus]) -> None:
    """Let reviewers' decisions stand above the votes."""
    decisions = Label.objects.counted().filter(project=project, decision=True).order_by("id")
    for label in decisions.prefetch_related("judgements"):
        outcome = label.verdict or {str(one.response_id): one.rank for one in label.judgements.all()}
        voted = rows[label.item_id].labels if label.item_id in rows else []
        rows[label.item_id] = Consensus(
            item_id=label.item_id, method=DECISION, outcome=outcome, confidence=1.0, labels=[*voted, label.pk]
        )


def _store(project: Project, rows: dict[int, Consensus]) -> int:
    known = {row.item_id: row for row in Consensus.objects.filter(item__project=project)}
    now = timezone.now()
    changed = [row for item, row in rows.items() if item not in known or _told(row) != _told(known[item])]
    for row in changed:
        row.computed_at = now
    Consensus.objects.bulk_create(
        changed,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["item"],
        update_fields=["method", "outcome", "confidence", "labels", "computed_at"],
    )
    gone = [item for item in known if item not in rows]
    Consensus.objects.filter(item__in=Item.objects.filter(pk__in=gone)).delete()
    return len(changed) + len(gone)


def _told(row: Consensus) -> tuple[Any, ...]:
    return row.method, row.outcome, row.confidence, row.labels


def _rate(project: Project, sure: dict[int, list[float]]) -> None:
    """Keep of each person how sure the consensus is, on average, of what they said where others said something too."""
    members = list(Membership.objects.filter(project=project))
    changed = []
    for member in members:
        told = sure.get(member.person_id)
        reliability = round(float(np.mean(told)), 3) if told else None
        if reliability != member.reliability:
            member.reliability = reliability
            changed.append(member)
    Membership.objects.bulk_update(changed, ["reliability"])
