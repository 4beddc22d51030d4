"""What was said steers what is asked next: a posterior over people's preferences, and the open queue in its order.

A clock looks every minute whether enough is new (`refresh_if_due`). Then the posterior is fitted to all labels that
could be trained on, and the open training comparisons are put in order. Gold, head-to-head and held-out items keep
their places, and so do items whose priority a lead has set outside of 0 to 2.

One item in ten is in the random slice for ever: which, is drawn before anybody knows anything about it, and it waits as
long as any other. So the slice says what random questions would have taught (evaluation/savings.py). Where it shows for
certain that choosing cost labels instead of saving them, all are asked at random.

A project that asks to tune its model (`Aim`) is asked for wide margins instead. What that saves the slice cannot say,
which tells what is known; and no second opinions are asked for, as labels on wide margins are seldom wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from annotation import overlap
from annotation.models import Item, ItemResponse, Judgement, Label, Project, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose
from evaluation import features, relabelling, savings
from evaluation.features import Answers
from evaluation.models import Aim, Steering
from evaluation.posterior import Posterior, fit
from evaluation.selectors import DEFAULT, HEAD, Pool, in_order
from evaluation.surface import LOOKING, READ_PER_SECOND
from training.models import ModelVersion

RANDOM_SHARE = 0.1
FEWEST_PAIRS = 40  # judged, before what they say orders anything
NEW_LABELS = 5  # and a fiftieth of those that were there
PATIENCE = timedelta(minutes=10)  # after which somebody who took this on is taken for lost
LOOKED_AT = 5_000  # answers whose surface is stored in one go; they take a millisecond each
CHUNK = 500  # items that are locked together, for milliseconds
STEPS = 20  # of priority, behind the head of the queue
SELECTOR = {Aim.KNOWING: DEFAULT, Aim.TUNING: "power_margin"}


# By item: its answers, its fingerprint, how it was chosen.
Waiting = dict[int, tuple[list[int], str, dict[str, Any]]]


@dataclass(frozen=True)
class Judged:
    """One pair of a label: answers (ids), 1 if the first is preferred, a half for a tie, 0 otherwise; and how much it
    counts, since the pairs of one ranking say less than as many of one each."""

    item: int
    prompt: int
    first: int
    second: int
    outcome: float
    weight: float


@dataclass(frozen=True)
class Knowledge:
    """What a project's labels say of its answers."""

    answers: Answers
    posterior: Posterior
    judged: list[Judged]

    def differences(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """Features of the first answers less those of the second (n, d); all must be known."""
        values = self.answers.seen.values
        return (
            values[self.answers.places(pair[0] for pair in pairs)]
            - values[self.answers.places(pair[1] for pair in pairs)]
        )

    def pool(self, pairs: Sequence[tuple[int, int]], costs: Sequence[float], items: Sequence[int] = ()) -> Pool:
        """Pairs to choose among, with the seconds that each takes, and of which items they are, if they are of any.
        What is asked again is worth no less for its own label."""
        prompts = self.answers.prompts[self.answers.places(pair[0] for pair in pairs)]
        of_prompts = Counter(prompt for _, prompt in {(one.item, one.prompt) for one in self.judged})
        of_answers = Counter(pk for _, pk in {(one.item, pk) for one in self.judged for pk in (one.first, one.second)})
        labels = np.array(
            [
                (of_prompts[prompt], of_answers[first] + of_answers[second])
                for (first, second), prompt in zip(pairs, prompts.tolist(), strict=True)
            ]
        ).reshape(-1, 2)
        own = {one.item for one in self.judged}.intersection(items)
        labels -= np.outer([item in own for item in items] or np.zeros(len(pairs), bool), (1, 2))
        known = np.maximum(labels, 0)
        return Pool(self.differences(pairs), prompts, np.asarray(costs, float), self.posterior, labels=known)


def judged_pairs(project: Project, *, simulated: bool) -> list[Judged]:
    """What the trainable labels say of each two answers; two unacceptable answers say nothing."""
    return pairs_of(Label.objects.trainable(simulated=simulated).filter(project=project, item__kind=Kind.COMPARISON))


def pairs_of(labels: QuerySet[Label]) -> list[Judged]:
    """The same of these labels, all of which are on comparisons."""
    rows = Judgement.objects.filter(label__in=labels.order_by(), response__excluded_at__isnull=True).order_by(
        "label_id", "response_id"
    )
    by_label: dict[tuple[int, int, int], list[Any]] = defaultdict(list)
    names = ("label_id", "label__item_id", "response__prompt_id", "response_id", "rank", "unacceptable")
    for label, item, prompt, *said in rows.values_list(*names):
        by_label[label, item, prompt].append(said)
    return [
        Judged(item, prompt, a, b, 0.5 if rank_a == rank_b else float(rank_a < rank_b), 2 / len(said))
        for (_, item, prompt), said in by_label.items()
        for (a, rank_a, bad_a), (b, rank_b, bad_b) in combinations(said, 2)
        if not (bad_a and bad_b)
    ]


def know(
    project: Project, *, also: Sequence[int] = (), simulated: bool = False, reader: ModelVersion | None = None
) -> Knowledge | None:
    """Fit the posterior; it knows the judged answers and `also` these (ids), with the states of this `reader`, or of
    the usual one. None while too little is said."""
    judged = judged_pairs(project, simulated=simulated)
    if len(judged) < FEWEST_PAIRS:
        return None
    responses = {pk for one in judged for pk in (one.first, one.second)}
    features.look_at(responses)
    answers = features.load([*responses, *also], reader=reader or features.reader_of(project))
    assert answers is not None
    values = answers.seen.values
    first, second = (answers.places(getattr(one, side) for one in judged) for side in ("first", "second"))
    posterior = fit(
        values[first] - values[second],
        np.array([one.outcome for one in judged]),
        weights=np.array([one.weight for one in judged]),
        groups=answers.seen.groups,
    )
    return Knowledge(answers, posterior, judged)


def in_slice(fingerprint: str, selection: dict[str, Any]) -> bool:
    """Whether an item is in the random slice. A round draws its own when it chooses; of all others the fingerprint
    decides, which knows nothing of what they are worth."""
    if "round" in selection:
        return bool(selection.get("selector") == "random")
    return int(fingerprint[:8], 16) / 2**32 < RANDOM_SHARE


def aim_of(project: Project) -> Aim:
    """What comparisons are chosen for."""
    found = Steering.objects.filter(project=project).values_list("aim", flat=True).first()
    return Aim(found or Aim.KNOWING)


def set_aim(*, project: Project, aim: Aim, actor: User | None = None) -> bool:
    """Choose comparisons for this from now on; the clock puts the queue in order anew. False if it was so already."""
    if aim_of(project) == aim:
        return False
    Steering.objects.update_or_create(project=project, defaults={"aim": aim, "seen": 0, "report": {}})
    record("round aim set", project, project=project, actor=actor, aim=aim)
    return True


def refresh_if_due(project: Project) -> bool:
    """Put a project's queue in order if enough labels are new, and nobody else is at it; whether it was done."""
    row, _ = Steering.objects.get_or_create(project=project)
    newest = Label.objects.filter(project=project, item__kind=Kind.COMPARISON).order_by("-pk")
    enough = _enough(row.report.get("labels", 0))
    if newest.filter(pk__gt=row.seen)[:enough].count() < enough:
        return False
    now = timezone.now()
    free = Q(started_at=None) | Q(started_at__lt=now - PATIENCE) | Q(made_at__gte=F("started_at"))
    if not Steering.objects.filter(free, pk=row.pk).update(started_at=now):
        return False
    seen = newest.values_list("pk", flat=True)[0]
    report = refresh(project)
    Steering.objects.filter(pk=row.pk).update(seen=seen, made_at=timezone.now(), report=report)
    return True


def refresh(project: Project) -> dict[str, Any]:
    """Fit the posterior and put the open training comparisons in its order; what was found."""
    simulated = not Label.objects.trainable().filter(project=project, item__kind=Kind.COMPARISON).exists()
    waiting = _waiting(project)
    answers = {pk for responses, _, _ in waiting.values() for pk in responses}
    features.look_at(answers, most=LOOKED_AT)
    found = know(project, also=sorted(answers), simulated=simulated)
    labels = Label.objects.filter(project=project, item__kind=Kind.COMPARISON).count()
    if found is None:
        return {"labels": labels, "ordered": 0}
    told: dict[str, Any] = {
        "labels": labels,
        "simulated": simulated,
        "pairs": len(found.judged),
        "read": int(found.answers.read.sum()),
    }
    aim = aim_of(project)
    saved = _saved(found) if aim == Aim.KNOWING else None
    told |= {"aim": aim, "saved": saved, "at_random": saved is not None and saved[2] < 0}
    if aim == Aim.TUNING:
        order = _order(found, waiting, Random(project.pk), selector=SELECTOR[aim])
    elif told["at_random"]:
        order = sorted(waiting, key=lambda item: waiting[item][1])
    else:
        order, asked = _with_doubted(project, found, waiting, simulated=simulated, most=_enough(labels))
        told["doubted"] = asked
    _store(order)
    return {**told, "ordered": len(order)}


def _enough(labels: int) -> int:
    """New labels until a queue is put in order anew."""
    return max(NEW_LABELS, labels // 50)


def _with_doubted(
    project: Project, known: Knowledge, waiting: Waiting, *, simulated: bool, most: int
) -> tuple[list[int], int]:
    """The order in which to ask, and how many items wait for another opinion because their labels are doubted.

    One is asked for where an item without room stands among the first `most` of the order, which may be asked before
    the next; no more than as many wait at a time, so that they cannot crowd out what is new.
    """
    slip = relabelling.slips(project, simulated=simulated)
    again = relabelling.candidates(project, known.judged, simulated=simulated) if slip is not None else {}
    again = {item: row for item, row in again.items() if not in_slice(row[1], row[2])}
    order = _order(
        known, {**waiting, **again}, Random(project.pk), selector=SELECTOR[Aim.KNOWING], again=again, slip=slip
    )
    waits = sum(relabelling.DOUBTED in selection for _, _, selection in waiting.values())
    doubted = [item for item in order[:most] if item in again][: max(0, most - waits)]
    asked = overlap.ask_another(project=project, items=doubted, simulated=simulated) if doubted else set()
    return [item for item in order if item not in again or item in asked], waits + len(asked)


def _waiting(project: Project) -> Waiting:
    open_items = Item.objects.open().filter(
        project=project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN, priority__gte=0, priority__lte=2
    )
    found: Waiting = {
        pk: ([], fingerprint, selection)
        for pk, fingerprint, selection in open_items.values_list("pk", "fingerprint", "selection")
    }
    shown = ItemResponse.objects.filter(item__in=open_items).order_by("item_id", "order")
    for item, response in shown.values_list("item_id", "response_id"):
        if item in found:  # or it came between the two questions
            found[item][0].append(response)
    return found


def waiting_answers(project: Project) -> list[int]:
    """Answers (ids) of the open training comparisons, those to be asked first foremost."""
    waiting = Item.objects.open().filter(project=project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN)
    shown = ItemResponse.objects.filter(item__in=waiting).order_by("-item__priority", "item_id", "order")
    return list(dict.fromkeys(shown.values_list("response_id", flat=True)))


def _order(
    known: Knowledge,
    waiting: Waiting,
    random: Random,
    *,
    selector: str,
    again: Collection[int] = (),
    slip: float | None = None,
) -> list[int]:
    """Items in the order in which they are to be asked: the selector's first, the random slice spread among them.

    A ranking of more than two stands for its two answers that lie furthest apart, and costs the time to read all. Of
    those to ask `again`, and that are asked again already, what was said of the very pair counts with the chance of a
    `slip`.
    """
    slice_, pairs, costs, items = [], [], [], []
    values = known.answers.seen.values
    for item, (responses, fingerprint, selection) in waiting.items():
        if in_slice(fingerprint, selection):
            slice_.append(item)
            continue
        places = known.answers.places(responses)
        if len(places) < 2 or (places < 0).any():
            continue
        furthest = max(combinations(range(len(places)), 2), key=lambda two: _apart(values, places, two))
        pairs.append((responses[furthest[0]], responses[furthest[1]]))
        costs.append(LOOKING + float(known.answers.characters[places].sum()) / READ_PER_SECOND)
        items.append(item)
    ordered: list[int] = []
    if items:
        pool = known.pool(pairs, costs, items)
        if slip is not None:
            doubted = {item for item in items if item in again or relabelling.DOUBTED in waiting[item][2]}
            judged = [one for one in known.judged if one.item in doubted]
            pool = relabelling.believed(pool, judged, items, pairs, slip=slip)
        ordered = [items[place] for place in in_order(pool, np.random.default_rng(len(known.judged)), selector)]
    slice_.sort(key=lambda item: waiting[item][1])  # by fingerprint: as good as drawn, and the same next time
    return interleaved(ordered, slice_, random)


def _apart(values: np.ndarray, places: np.ndarray, two: tuple[int, int]) -> float:
    return float(np.linalg.norm(values[places[two[0]]] - values[places[two[1]]]))


def interleaved(ordered: list[int], slice_: list[int], random: Random) -> list[int]:
    """Both lists as one: in each block of ten the slice has one place, drawn by lot, until one of them is used up."""
    size = round(1 / RANDOM_SHARE)
    found: list[int] = []
    first, second = list(ordered)[::-1], list(slice_)[::-1]
    while first and second:
        block = [first.pop() for _ in range(min(size - 1, len(first)))]
        block.insert(random.randrange(len(block) + 1), second.pop())
        found += block
    return found + first[::-1] + second[::-1]


STORE = """
WITH wanted (id, priority) AS (SELECT * FROM unnest(%(items)s::bigint[], %(priorities)s::float8[])),
free AS (
    SELECT item.id, wanted.priority FROM annotation_item item JOIN wanted ON wanted.id = item.id
    WHERE NOT item.dropped AND item.taken < item.wanted AND item.priority BETWEEN 0 AND 2
      AND item.priority <> wanted.priority
    ORDER BY item.id FOR NO KEY UPDATE OF item SKIP LOCKED
)
UPDATE annotation_item SET priority = free.priority FROM free WHERE annotation_item.id = free.id
"""


def _store(order: list[int]) -> None:
    """Priorities from 2 down to 0. Only the head is ranked one by one; what stands behind has one of a few steps, so
    that most rows stay as they are. An item that is being given to somebody is left as it is, and a chunk's locks are
    gone in milliseconds."""
    behind = max(1, len(order) - HEAD)
    priorities = [
        1 + (HEAD - place) / HEAD if place < HEAD else 1 - (STEPS * (place - HEAD) // behind) / STEPS
        for place in range(len(order))
    ]
    for start in range(0, len(order), CHUNK):
        part = slice(start, start + CHUNK)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(STORE, {"items": order[part], "priorities": priorities[part]})


def _saved(known: Knowledge) -> list[float] | None:
    """Share of labels saved with its interval, or None while the slice is too small to say."""
    items = Item.objects.in_bulk({one.item for one in known.judged})
    drawn = [in_slice(items[one.item].fingerprint, items[one.item].selection) for one in known.judged]
    pairs = [(one.first, one.second) for one in known.judged]
    found = savings.estimate(
        known.differences(pairs),
        np.array([one.outcome for one in known.judged]),
        prompts=known.answers.prompts[known.answers.places(pair[0] for pair in pairs)],
        drawn=np.array(drawn),
        groups=known.answers.seen.groups,
    )
    return None if found is None else [round(value, 4) for value in (found.value, found.lower, found.upper)]
