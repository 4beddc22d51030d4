"""Model versions by how often people preferred their answers to those of other versions."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations, permutations
from math import exp, log

import numpy as np
from django.db.models import Exists, OuterRef

from annotation.models import Judgement, Label, Project
from annotation.models.items import Kind
from annotation.statistics import Interval
from evaluation import bradley_terry, winrate
from evaluation.winrate import Compared, Verdict, WinRate
from training.models import ModelVersion, Sample

FEWEST = 20  # comparisons before strengths are fitted: with fewer the intervals would say nothing


@dataclass(frozen=True)
class Standing:
    """A version's record against all other versions it met, counted as a win rate between two is; and its strength: the
    share it would win against the average of the board, if sides and lengths were even (None with few comparisons)."""

    version: ModelVersion
    record: WinRate
    strength: Interval | None = None


@dataclass(frozen=True)
class Board:
    """All versions, the strongest first. `left` and `longer` are how much standing left, and twice as many words, sway
    a vote between equals: 0.5 is not at all. `warnings` say what may not be read from the board."""

    standings: list[Standing] = field(default_factory=list)
    left: Interval | None = None
    longer: Interval | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class Rows:
    """A row for each time one version's answer was laid beside another's."""

    first: list[int] = field(default_factory=list)
    second: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    longer: list[float] = field(default_factory=list)
    item: list[int] = field(default_factory=list)


def standings(project: Project, *, simulated: bool = False) -> list[Standing]:
    """Every version that met another in a judged item, best first."""
    return board(project, simulated=simulated).standings


def board(project: Project, *, simulated: bool = False) -> Board:
    """Every version that met another in a judged item, by strength: Bradley and Terry's model with ties as Davidson has
    them, which side an answer stood on, and its length (evaluation/bradley_terry.py).

    Items count, as in `winrate`: the votes on one are averaged first, and are one cluster of the intervals. An answer
    that both versions gave speaks for neither. Items were chosen to be asked, not drawn at random, so the rates
    describe these items and not the models in general; strengths less so, as they know whom each one met.
    """
    authors: defaultdict[int, set[int]] = defaultdict(set)
    samples = Sample.objects.filter(generation__project=project)
    judged = samples.filter(response__judgements__isnull=False).distinct()
    for response, version in judged.values_list("response_id", "generation__model_version_id"):
        authors[response].add(version)
    of_models = Judgement.objects.filter(label=OuterRef("pk"), response__in=samples.values("response"))
    labels = Label.objects.counted().decisive().filter(Exists(of_models), project=project)
    labels = labels.filter(item__kind=Kind.COMPARISON)
    if not simulated:
        labels = labels.filter(simulated=False)
    said: defaultdict[int, list[Verdict]] = defaultdict(list)
    rows = Rows()
    for label in winrate.compared(labels):
        gave: defaultdict[int, set[int]] = defaultdict(set)  # by version, of the answers judged here
        for one in label.answers:
            for version in authors[one.response]:
                gave[version].add(one.response)
        for version, other in permutations(sorted(gave), 2):
            verdict = winrate.verdict_of(label, gave[version] - gave[other], gave[other] - gave[version])
            if verdict is not None:
                said[version].append(verdict)
        for version, other in combinations(sorted(gave), 2):
            _add(rows, label, version, other, gave[version] - gave[other], gave[other] - gave[version])
    versions = ModelVersion.objects.in_bulk(said)
    records = {version: winrate.rate(verdicts) for version, verdicts in said.items()}
    strengths, left, longer, warnings = _strengths(rows, versions)
    found = [
        Standing(versions[version], record, strengths.get(version))
        for version, record in records.items()
        if record is not None
    ]
    found.sort(key=lambda one: (-(one.strength or one.record.interval).value, one.version.pk))
    return Board(found, left, longer, warnings)


def _add(rows: Rows, label: Compared, version: int, other: int, mine: set[int], theirs: set[int]) -> None:
    for one in label.answers:
        for against in label.answers:
            if one.response in mine and against.response in theirs:
                rows.first.append(version)
                rows.second.append(other)
                rows.score.append(0.5 if one.rank == against.rank else float(one.rank < against.rank))
                rows.left.append(1.0 if one.position < against.position else -1.0)
                rows.longer.append(log(one.words / against.words, 2))
                rows.item.append(label.item)


def _strengths(
    rows: Rows, versions: dict[int, ModelVersion]
) -> tuple[dict[int, Interval], Interval | None, Interval | None, list[str]]:
    if len(rows.score) < FEWEST:
        judged = "1 comparison" if len(rows.score) == 1 else f"{len(rows.score)} comparisons"
        return {}, None, None, [f"Only {judged} so far: too few for strengths."] if rows.score else []
    numbers = {version: place for place, version in enumerate(sorted(versions))}
    first, second = ([numbers[version] for version in side] for side in (rows.first, rows.second))
    fitted = bradley_terry.fit(
        first, second, rows.score, left=rows.left, longer=np.tanh(rows.longer), clusters=rows.item
    )
    warnings = []
    groups = bradley_terry.components(len(numbers), sorted({*zip(first, second, strict=True)}))
    if len(groups) > 1:
        names = sorted(numbers, key=numbers.__getitem__)
        listed = "; ".join(", ".join(str(versions[names[place]]) for place in group) for group in groups)
        warnings.append(
            f"These versions never met, not even through others, so their strengths cannot be compared: {listed}. "
            "Compare one of each head to head."
        )
    strengths = {version: _chance(fitted.strength(place)) for version, place in numbers.items()}
    left = _chance(fitted.left) if fitted.left else None
    longer = _chance(_times(fitted.longer, float(np.tanh(1.0)))) if fitted.longer else None
    return strengths, left, longer, warnings


def _times(found: Interval, factor: float) -> Interval:
    return Interval(factor * found.value, factor * found.lower, factor * found.upper, found.n)


def _chance(found: Interval) -> Interval:
    """Log odds as a share of wins."""
    odds = (found.value, found.lower, found.upper)
    value, lower, upper = (1 / (1 + exp(-max(-500.0, min(500.0, one)))) for one in odds)
    return Interval(value, lower, upper, found.n)
