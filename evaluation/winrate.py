"""Blind win rates: which of two models' answers did people prefer, without knowing whose they were?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import log
from typing import NamedTuple

from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Judgement, Label
from annotation.models.items import Kind, Purpose
from annotation.statistics import Interval, wilson
from evaluation import length_control
from training.models import ModelVersion, Sample


@dataclass(frozen=True)
class WinRate:
    """`interval` is over items: what was said of the same item is averaged first, for it is not independent.
    `at_equal_length` is the same once length is taken out (evaluation/length_control.py). The counts below are of
    votes."""

    interval: Interval
    at_equal_length: Interval
    wins: int
    losses: int
    ties: int
    both_unacceptable: int  # of the ties, those in which neither answer would do
    people: int

    @property
    def labels(self) -> int:
        return self.wins + self.losses + self.ties


@dataclass(frozen=True)
class BlindComparison:
    """One model against another, people and simulated annotators apart; None where nobody compared them."""

    human: WinRate | None
    simulated: WinRate | None


@dataclass(frozen=True)
class Verdict:
    """What one label says: 1 if the new model's answer is better, 0 if the old one's is, a half for a tie. `longer` is
    the logarithm of how many times as many words the new answer has."""

    item: int
    person: int
    score: float
    both_unacceptable: bool
    longer: float = 0.0


class Judged(NamedTuple):
    """An answer as one label judges it."""

    response: int
    rank: int
    position: int
    unacceptable: bool
    words: int  # one at least


class Compared(NamedTuple):
    """What one label says, its answers as they stood."""

    label: int
    item: int
    prompt: int
    person: int
    simulated: bool
    answers: list[Judged]


def between(new: ModelVersion, old: ModelVersion) -> BlindComparison:
    """From the live labels on comparisons of an answer that only `new` gave with one that only `old` gave.

    Ties count half to either side, and two unacceptable answers are a tie. Where a round chose the pairs that
    its reward model was least sure of, the rate leans towards a half.
    """
    by_new = set(_answers(new).values_list("response_id", flat=True))
    by_old = set(_answers(old).values_list("response_id", flat=True))
    labels = (
        Label.objects.counted()
        .decisive()
        .filter(_judged(_answers(new)), _judged(_answers(old)), project_id=new.project_id, item__kind=Kind.COMPARISON)
        .exclude(item__purpose=Purpose.GOLD)
    )
    said: dict[bool, list[Verdict]] = {False: [], True: []}
    for one in compared(labels):
        verdict = verdict_of(one, by_new - by_old, by_old - by_new)
        if verdict is not None:
            said[one.simulated].append(verdict)
    return BlindComparison(human=rate(said[False]), simulated=rate(said[True]))


def compared(labels: "QuerySet[Label]") -> Iterator[Compared]:
    """What these labels say of answers, the oldest first, by one query without their objects: ten thousand are read
    for a page."""
    rows = Judgement.objects.filter(label__in=labels.order_by().values("pk")).order_by("label_id", "position")
    about = ("label_id", "label__item_id", "label__item__prompt_id", "label__person_id", "label__simulated")
    found = rows.values_list(*about, "response_id", "rank", "position", "unacceptable", "response__text")
    for (label, item, prompt, person, simulated), group in groupby(
        found.iterator(chunk_size=2000), lambda row: row[:5]
    ):
        answers = [
            Judged(response, rank, position, unacceptable, max(1, len(text.split())))
            for *_, response, rank, position, unacceptable, text in group
        ]
        yield Compared(label, item, prompt, person, simulated, answers)


def verdict_of(said: Compared, new: set[int], old: set[int]) -> Verdict | None:
    """The mean over all pairs of a new answer with an old one; None if the label compares no such pair."""
    pairs = [(a, b) for a in said.answers if a.response in new for b in said.answers if b.response in old]
    if not pairs:
        return None
    score = sum(1.0 if a.rank < b.rank else 0.5 if a.rank == b.rank else 0.0 for a, b in pairs) / len(pairs)
    hopeless = all(a.unacceptable and b.unacceptable for a, b in pairs)
    longer = sum(log(a.words / b.words) for a, b in pairs) / len(pairs)
    return Verdict(said.item, said.person, score, hopeless, longer)


def rate(verdicts: Iterable[Verdict]) -> WinRate | None:
    items: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        items[verdict.item].append(verdict)
    if not items:
        return None
    scores = [sum(one.score for one in group) / len(group) for group in items.values()]
    everything = [one for group in items.values() for one in group]
    return WinRate(
        interval=wilson(min(sum(scores), len(items)), len(items)),
        at_equal_length=length_control.win_rate(scores, [group[0].longer for group in items.values()]),
        wins=sum(one.score > 0.5 for one in everything),
        losses=sum(one.score < 0.5 for one in everything),
        ties=sum(one.score == 0.5 for one in everything),
        both_unacceptable=sum(one.both_unacceptable for one in everything),
        people=len({one.person for one in everything}),
    )


def _answers(version: ModelVersion) -> "QuerySet[Sample]":
    return Sample.objects.filter(generation__model_version=version)


def _judged(answers: "QuerySet[Sample]") -> Exists:
    """That the label judges one of these answers."""
    return Exists(Judgement.objects.filter(label=OuterRef("pk"), response__in=answers.values("response_id")))
