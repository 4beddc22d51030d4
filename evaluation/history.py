"""How a project's models came along, round by round, and what a round's labels and minutes gained."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.db.models import Q, QuerySet, Sum

from annotation.models import Item, Label, Project
from annotation.models.items import Kind
from annotation.statistics import Interval
from evaluation import blind, lengths, scoring
from evaluation.models import Round, Score, Step
from training.models import ModelVersion
from training.models.registry import Stage

WIDTH, HEIGHT = 720.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 12.0, 34.0  # room for what is written along the axes
WIDEST = 84.0  # of a round: the first ones stand on the left, where a phone shows them
NAMED = 8  # of many rounds so many have their names below


@dataclass(frozen=True)
class Turn:
    """One round in figures; what was not measured is None."""

    round: Round
    labels: int  # behind it that were behind no round before
    minutes: float | None  # that these labels took; None where no time was recorded
    accuracy: Interval | None  # of the reward model on held-out pairs
    own_accuracy: Interval | None  # of the new model
    ceiling: float | None  # how often two people agree
    won: Interval | None  # blind comparisons with the champion
    by_people: bool
    length: Interval | None
    forgetting: Interval | None
    outcome: str  # of the gate, as it was; empty if the round did not get there
    in_production: bool

    @property
    def gained(self) -> float | None:
        """Points above a coin toss that the comparisons won are worth; what labels and minutes are divided into."""
        return None if self.won is None else 100 * (self.won.value - 0.5)

    @property
    def per_hundred_labels(self) -> float | None:
        return None if self.gained is None or not self.labels else 100 * self.gained / self.labels

    @property
    def per_hour(self) -> float | None:
        return None if self.gained is None or not self.minutes else 60 * self.gained / self.minutes


def turns(project: Project) -> list[Turn]:
    """All rounds that made a model, the oldest first."""
    rows = Round.objects.filter(project=project, challenger__isnull=False).order_by("number")
    return [turn(one) for one in rows.select_related("champion", "challenger", "reward_model", "project")]


def turn(current: Round) -> Turn:
    new = new_labels(current)
    seconds = new.aggregate(total=Sum("seconds"))["total"]
    challenger, judge = current.challenger, current.reward_model
    said = blind.Blind()
    if challenger is not None and current.champion is not None and challenger != current.champion:
        said = blind.of(challenger, current.champion, simulated=True)
    step = current.steps.filter(name=Step.GATED).first()
    ceiling = scoring.score_of(judge, "agreement of people") if judge else None
    return Turn(
        round=current,
        labels=new.count(),
        minutes=seconds / 60 if seconds else None,
        accuracy=_of(judge, "reward accuracy"),
        own_accuracy=_of(challenger, "preference accuracy"),
        ceiling=ceiling.value if ceiling else None,
        won=said.interval,
        by_people=said.by_people,
        length=lengths.growth(challenger, current.champion) if challenger and current.champion else None,
        forgetting=_of(challenger, "forgetting"),
        outcome=step.detail.get("outcome", "") if step else "",
        in_production=bool(challenger and challenger.stage == Stage.PRODUCTION),
    )


def new_labels(current: Round) -> "QuerySet[Label]":
    """What the round learned from that no round before it did."""
    before = Round.objects.filter(project_id=current.project_id, number__lt=current.number)
    known = Label.objects.filter(snapshots__rounds__in=before).values("pk")
    own = Label.objects.filter(snapshots__rounds=current).values("pk")
    return Label.objects.filter(Q(pk__in=own) & ~Q(pk__in=known))


def asked(current: Round) -> list[tuple[str, int, int]]:
    """What the round's new labels were about: (words, items, labels)."""
    new = new_labels(current)
    kinds = (
        ("drafts to clean", new.filter(item__kind=Kind.DEMONSTRATION)),
        ("comparisons", new.filter(item__kind=Kind.COMPARISON)),
    )
    found = [(name, rows.values("item").distinct().count(), rows.count()) for name, rows in kinds]
    waits = Item.objects.filter(project_id=current.project_id, selection__round=current.number)
    judged = Label.objects.live().filter(item__in=waits)
    return [*found, ("of the comparisons this round asked for", waits.count(), judged.count())]


def _of(version: ModelVersion | None, name: str) -> Interval | None:
    found: Score | None = scoring.score_of(version, name) if version else None
    if found is None:
        return None
    lower = found.value if found.lower is None else found.lower
    upper = found.value if found.upper is None else found.upper
    return Interval(found.value, lower, upper, found.n)


@dataclass(frozen=True)
class Mark:
    """A figure in the chart: its place and that of its interval's ends, in the units of the drawing."""

    x: float
    y: float
    lower: float
    upper: float
    words: str


@dataclass(frozen=True)
class Series:
    name: str
    kind: str  # what the style sheet calls it
    marks: list[Mark]

    @property
    def line(self) -> str:
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


def chart(found: Sequence[Turn]) -> dict[str, Any] | None:
    """The history as one drawing of shares from 0 to 100 %; None where there is nothing to draw."""
    series = [
        _series(found, "Blind comparisons won", "won", lambda one: one.won),
        _series(found, "Reward model agrees with people", "accuracy", lambda one: one.accuracy),
    ]
    series = [one for one in series if one.marks]
    if not series:
        return None
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "lines": [{"y": _y(share / 100), "label": f"{share} %", "half": share == 50} for share in (0, 25, 50, 75, 100)],
        "rounds": [
            {"x": _x(place, len(found)), "label": f"Round {one.round.number}"}
            for place, one in enumerate(found)
            if place % ceil(len(found) / NAMED) == 0
        ],
        "series": series,
    }


def _series(found: Sequence[Turn], name: str, kind: str, figure: Any) -> Series:
    shift = -5.0 if kind == "won" else 5.0  # intervals of one round stand side by side
    marks = []
    for place, one in enumerate(found):
        share = figure(one)
        if share is not None:
            x = _x(place, len(found)) + shift
            words = f"{name}, round {one.round.number}: {share}"
            marks.append(Mark(x, _y(share.value), _y(share.lower), _y(share.upper), words))
    return Series(name, kind, marks)


def _x(place: int, count: int) -> float:
    return LEFT + min(WIDEST, (WIDTH - LEFT - RIGHT) / count) * (place + 0.5)


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, share)))
