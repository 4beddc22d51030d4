"""How much people who judged the same thing agree: the raw share, and what is left of it beyond chance.

Which of two answers is called the first is arbitrary, so each pair of answers counts both ways round when the
agreement that chance would give is worked out. Second opinions that were asked for out of doubt do not count. Intervals
are by drawing items anew; of people's pairs, Cohen's own.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation import statistics, votes
from annotation.models import Project, User
from annotation.models.items import Kind
from annotation.statistics import Array, Interval
from annotation.votes import Integers, Votes

FROM_MONDAY = 3  # days to 1 January 1970, a Thursday
WEEKS, TAGS = 26, 20  # at most so many of each are told


@dataclass(frozen=True)
class Agreement:
    """`agreed` of `comparisons`: judgements of two people laid side by side, over `items`.

    What is undefined is None: everything where no item was judged by two people, and what corrects for chance where
    everybody always said the same.
    """

    name: str
    items: int
    comparisons: int
    agreed: int
    interval: Interval | None = None  # of the agreement
    alpha: Interval | None = None  # Krippendorff's, nominal
    graded_alpha: Interval | None = None  # Krippendorff's, ordinal: how much better an answer is counts too
    fleiss: float | None = None  # over the units that as many people judged as most were

    @property
    def agreement(self) -> float | None:
        """None when no item was judged by two people."""
        return self.agreed / self.comparisons if self.comparisons else None


@dataclass(frozen=True)
class Pair:
    """Two people who judged the same things."""

    kind: str
    one: str
    other: str
    comparisons: int
    agreed: int
    kappa: Interval | None

    @property
    def agreement(self) -> float:
        return self.agreed / self.comparisons


@dataclass(frozen=True)
class Report:
    """All there is to say about the agreement on one kind of item. Weeks are named by their Monday."""

    kind: str
    overall: Agreement
    pairs: list[Pair] = field(default_factory=list)
    weeks: list[Agreement] = field(default_factory=list)
    tags: list[Agreement] = field(default_factory=list)
    criteria: list[Agreement] = field(default_factory=list)


@dataclass(frozen=True)
class Ratings:
    """Who gave which value (0 to `size` - 1) to which unit of which item. Turned round, if `both_ways`, a value is
    the one as far from the other end."""

    item: Integers
    unit: Integers
    person: Integers
    day: Integers
    value: Integers
    size: int
    both_ways: bool

    def where(self, wanted: NDArray[np.bool_]) -> "Ratings":
        columns = {name: getattr(self, name)[wanted] for name in ("item", "unit", "person", "day", "value")}
        return replace(self, **columns)

    def shared(self) -> "Ratings":
        """Of units that two people or more judged."""
        return self.where(np.bincount(self.unit)[self.unit] > 1) if len(self.unit) else self

    def turned(self, matrices: Array) -> Array:
        return (matrices + matrices[..., ::-1, ::-1]) / 2 if self.both_ways else matrices


def of_project(project: Project, *, simulated: bool = False) -> dict[str, Agreement]:
    """Agreement by kind of item. Demonstrations agree in their verdict; comparisons pair by pair of answers:
    both people preferred the same one, or both called a tie."""
    return {kind: _overall(kind, found) for kind, found in _votes(project, simulated).items()}


def reports(project: Project, *, simulated: bool = False) -> dict[str, Report]:
    """All there is to say about agreement, by kind of item."""
    tagged = votes.tags(project)
    found = {}
    for kind, said in _votes(project, simulated).items():
        ratings = _ratings(kind, said).shared()
        found[kind] = Report(
            kind=kind,
            overall=_overall(kind, said),
            pairs=pairs(kind, ratings),
            weeks=_weeks(ratings),
            tags=_tags(ratings, tagged),
            criteria=_criteria(project, simulated) if kind == Kind.COMPARISON else [],
        )
    return found


def _votes(project: Project, simulated: bool) -> dict[str, Votes]:
    return {
        Kind.DEMONSTRATION: votes.demonstrations(project, simulated=simulated).counted(),
        Kind.COMPARISON: votes.comparisons(project, simulated=simulated).asked_anyway().counted(),
    }


def _ratings(kind: str, said: Votes, *, graded: bool = False) -> Ratings:
    if kind == Kind.DEMONSTRATION:
        size, value = len(votes.VERDICTS), said.value
    elif graded:
        degrees = said.value * np.maximum(said.strength, 1)
        most = int(np.abs(degrees).max(initial=1))
        size, value = 2 * most + 1, degrees + most
    else:
        size, value = 3, said.value + 1
    return Ratings(said.item, said.unit(), said.person, said.day, value, size, kind != Kind.DEMONSTRATION)


def _overall(kind: str, said: Votes) -> Agreement:
    graded = _ratings(kind, said, graded=True) if kind == Kind.COMPARISON and (said.strength > 0).any() else None
    return measure(kind, _ratings(kind, said), graded)


def measure(name: str, ratings: Ratings, graded: Ratings | None = None) -> Agreement:
    """The agreement of these ratings; `graded` are the same with degrees."""
    shared = ratings.shared()
    if not len(shared.unit):
        return Agreement(name, 0, 0, 0)
    table, items = _table(shared)
    same, pairs = statistics.agreed(table)
    agreed, comparisons = int(same.sum()), int(pairs.sum())
    bounds = statistics.bootstrapped(_by_item(np.column_stack([same, pairs]), items), lambda s: s[:, 0] / s[:, 1])
    lower, upper = bounds or (agreed / comparisons, agreed / comparisons)
    if agreed in (0, comparisons):  # drawing anew from what is all alike tells nothing
        wide = statistics.wilson(agreed, comparisons)
        lower, upper = wide.lower, wide.upper
    people = table.sum(axis=1)
    usual = np.bincount(people.astype(int)).argmax()
    return Agreement(
        name=name,
        items=len(np.unique(items)),
        comparisons=comparisons,
        agreed=agreed,
        interval=Interval(agreed / comparisons, lower, upper, comparisons),
        alpha=_alpha(shared, table, items, statistics.NOMINAL),
        graded_alpha=_alpha(graded.shared(), *_table(graded.shared()), statistics.ORDINAL) if graded else None,
        fleiss=_fleiss(shared, table[people == usual]),
    )


def _table(ratings: Ratings) -> tuple[Array, Integers]:
    """The table of counts, and the item of each of its units."""
    _, starts, unit = np.unique(ratings.unit, return_index=True, return_inverse=True)
    places = unit * ratings.size + ratings.value
    table = np.bincount(places, minlength=len(starts) * ratings.size).reshape(-1, ratings.size)
    return table.astype(float), ratings.item[starts]


def _by_item(rows: Array, items: Integers) -> Array:
    """Sums over the units of each item: people who judge a ranking judge its pairs together."""
    _, place = np.unique(items, return_inverse=True)
    if len(np.unique(place)) == len(rows):
        return rows
    return np.column_stack([np.bincount(place, column) for column in rows.T])


def _alpha(ratings: Ratings, table: Array, items: Integers, level: str) -> Interval | None:
    matrices = ratings.turned(statistics.coincidences(table))
    found = statistics.number(statistics.alphas(matrices.sum(axis=0), level))
    if found is None:
        return None
    rows = _by_item(matrices.reshape(len(table), -1), items)
    size = ratings.size
    bounds = statistics.bootstrapped(rows, lambda sums: statistics.alphas(sums.reshape(-1, size, size), level))
    lower, upper = bounds or (found, found)
    return Interval(found, lower, upper, int(table.sum()))


def _fleiss(ratings: Ratings, table: Array) -> float | None:
    return statistics.fleiss(np.concatenate([table, table[:, ::-1]]) if ratings.both_ways else table)


def pairs(kind: str, ratings: Ratings) -> list[Pair]:
    """Every two people who judged the same units, those who share most first."""
    people, who = np.unique(ratings.person, return_inverse=True)
    one, other = _side_by_side(ratings.unit)
    low, high = np.minimum(who[one], who[other]), np.maximum(who[one], who[other])
    swapped = who[one] > who[other]
    said_low = np.where(swapped, ratings.value[other], ratings.value[one])
    said_high = np.where(swapped, ratings.value[one], ratings.value[other])
    met, number = np.unique(low * max(1, len(people)) + high, return_inverse=True)
    size = ratings.size
    cells = np.bincount((number * size + said_low) * size + said_high, minlength=len(met) * size * size)
    names = User.objects.in_bulk([int(pk) for pk in people])
    found = []
    for code, table in zip(met, ratings.turned(cells.reshape(-1, size, size).astype(float)), strict=True):
        one_name, other_name = sorted(names[int(people[place])].username for place in divmod(int(code), len(people)))
        agreed, n = round(float(np.trace(table))), round(float(table.sum()))
        found.append(Pair(kind, one_name, other_name, n, agreed, statistics.cohen(table)))
    return sorted(found, key=lambda pair: (-pair.comparisons, pair.one, pair.other))


def _side_by_side(unit: Integers) -> tuple[Integers, Integers]:
    """All pairs of rows of the same unit; rows of a unit follow each other."""
    starts, how_many = np.unique(unit, return_index=True, return_counts=True)[1:]
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for people in np.unique(how_many):
        first, second = np.triu_indices(people, 1)
        begin = starts[how_many == people][:, None]
        left.append((begin + first).ravel())
        right.append((begin + second).ravel())
    return np.concatenate(left), np.concatenate(right)


def _weeks(ratings: Ratings) -> list[Agreement]:
    """Agreement by the week in which the last of an item's people judged it, oldest first."""
    if not len(ratings.item):
        return []
    items, place = np.unique(ratings.item, return_inverse=True)
    last = np.zeros(len(items), np.int64)
    np.maximum.at(last, place, ratings.day)
    week = ((last + FROM_MONDAY) // 7)[place]
    found = []
    for number in np.unique(week)[-WEEKS:]:
        monday = date(1970, 1, 1) + timedelta(days=int(number) * 7 - FROM_MONDAY)
        found.append(measure(monday.isoformat(), ratings.where(week == number)))
    return found


def _tags(ratings: Ratings, tagged: dict[str, Integers]) -> list[Agreement]:
    """Agreement by tag of the prompt, for the tags that most shared items have."""
    found = (measure(tag, ratings.where(np.isin(ratings.item, items))) for tag, items in tagged.items())
    known = sorted((one for one in found if one.comparisons), key=lambda one: (-one.items, one.name))
    return known[:TAGS]


def _criteria(project: Project, simulated: bool) -> list[Agreement]:
    found = votes.criteria(project, simulated=simulated)
    return [measure(name, _ratings(Kind.COMPARISON, said.asked_anyway().counted())) for name, said in found.items()]


def words(alpha: float | None) -> str:
    """What an alpha (or kappa) is good for: 0.8 and 0.667 are Krippendorff's own limits (Content Analysis, 2004, page
    241), 0.4 is where Fleiss' "fair to good" begins (Statistical Methods for Rates and Proportions, 1981, page 218)."""
    if alpha is None:
        return "not to be told from chance: everybody always said the same"
    if alpha >= 0.8:
        return "reliable"
    if alpha >= 2 / 3:
        return "good"
    if alpha >= 0.4:
        return "usable"
    return "weak: look at the guidelines" if alpha >= 0.2 else "hardly better than chance"


def plain(found: Agreement) -> dict[str, Any]:
    """An agreement as the API tells it."""
    return {
        **{"name": found.name, "items": found.items, "comparisons": found.comparisons, "agreed": found.agreed},
        "agreement": found.agreement,
        **_bounds("", found.interval),
        "alpha": found.alpha.value if found.alpha else None,
        **_bounds("alpha_", found.alpha),
        "graded_alpha": found.graded_alpha.value if found.graded_alpha else None,
        "fleiss": found.fleiss,
        "words": words(found.alpha.value if found.alpha else None) if found.comparisons else "",
    }


def _bounds(prefix: str, interval: Interval | None) -> dict[str, float | None]:
    ends = (interval.lower, interval.upper) if interval else (None, None)
    return {f"{prefix}lower": ends[0], f"{prefix}upper": ends[1]}
