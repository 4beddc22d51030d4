"""How well people agree, and how sure that is: numbers in, numbers out. Imports no Django.

Ratings are a table of counts with a row for each unit (what is judged) and a column for each value: how many people
gave this value. Who did not judge a unit is simply not counted, so missing ratings need no care.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
NOMINAL, ORDINAL, INTERVAL = "nominal", "ordinal", "interval"
REPLICATES = 1000  # of a bootstrap: enough for a 95 % interval to two digits


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval and the number of observations behind it."""

    value: float
    lower: float
    upper: float
    n: int

    def __str__(self) -> str:
        return self.words(counted=True)

    def words(self, form: str = ".0f", *, counted: bool = False) -> str:
        """An interval of a share or a growth, in percent; `form` is how its three numbers are written.

        >>> Interval(0.71, 0.6, 0.8, 54).words(), Interval(0.02, -0.01, 0.05, 54).words("+.1f", counted=True)
        ('71 % (60 to 80 %)', '+2.0 % (-1.0 to +5.0 %, n 54)')
        """
        ends = f"{100 * self.lower:{form}} to {percent(self.upper, form)}"
        return f"{percent(self.value, form)} ({ends}{f', n {self.n}' if counted else ''})"


def percent(share: float, form: str = ".0f") -> str:
    """
    >>> percent(0.706), percent(0.145, "g")
    ('71 %', '14.5 %')
    """
    return f"{100 * share:{form}} %"


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927, JASA 22:209; Newcombe 1998, method 3).

    `successes` may hold halves (a tie counts half to either side). Raises ValueError if n is 0 or the successes
    are out of range.

    >>> found = wilson(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.2553, 0.3662)
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"no proportion: {successes} of {n}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n)


def counts(ratings: Sequence[Sequence[Any]]) -> tuple[Array, list[Any]]:
    """The table of counts from each unit's ratings (None where somebody did not judge it), and its values in order.

    >>> counts([["a", "b"], ["b", None]])
    (array([[1., 1.],
           [0., 1.]]), ['a', 'b'])
    """
    values = sorted({value for unit in ratings for value in unit if value is not None})
    place = {value: column for column, value in enumerate(values)}
    table = np.zeros((len(ratings), len(values)))
    for row, unit in enumerate(ratings):
        for value in unit:
            if value is not None:
                table[row, place[value]] += 1
    return table, values


def agreed(table: ArrayLike) -> tuple[Array, Array]:
    """For each unit, how many pairs of people gave the same value, and how many pairs there are.

    >>> agreed([[2, 1], [0, 2], [1, 0]])
    (array([1., 1., 0.]), array([3., 1., 0.]))
    """
    ratings = np.asarray(table, float)
    people = ratings.sum(axis=1)
    return (ratings * (ratings - 1)).sum(axis=1) / 2, people * (people - 1) / 2


def coincidences(table: ArrayLike) -> Array:
    """Krippendorff's coincidence matrix of each unit: its pairs of values, each unit weighing as many as judged it.

    Units that fewer than two people judged say nothing, and are zero.
    """
    ratings = np.asarray(table, float)
    people = ratings.sum(axis=1)
    pairs = ratings[:, :, None] * ratings[:, None, :]
    diagonal = np.arange(ratings.shape[1])
    pairs[:, diagonal, diagonal] -= ratings
    others = np.where(people > 1, people - 1, np.inf)
    return pairs / others[:, None, None]


def alphas(matrices: ArrayLike, level: str = NOMINAL, values: ArrayLike | None = None) -> Array:
    """Krippendorff's alpha of each coincidence matrix in an array of them; NaN where it is undefined."""
    seen = np.asarray(matrices, float)
    margins = seen.sum(axis=-1)
    total = margins.sum(axis=-1)
    distance = _distance(margins, level, values)
    observed = (seen * distance).sum(axis=(-2, -1))
    expected = (margins[..., :, None] * margins[..., None, :] * distance).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)


def _distance(margins: Array, level: str, values: ArrayLike | None) -> Array:
    """How far apart two values are, squared (Krippendorff 2011, section C)."""
    size = margins.shape[-1]
    if level == ORDINAL:  # as many ranks as there are ratings between the two
        middle = np.cumsum(margins, axis=-1) - margins / 2
        return (middle[..., :, None] - middle[..., None, :]) ** 2
    if level == INTERVAL:
        number = np.arange(size, dtype=float) if values is None else np.asarray(values, float)
        return (number[:, None] - number[None, :]) ** 2
    return 1 - np.eye(size)


def alpha(table: ArrayLike, level: str = NOMINAL, values: ArrayLike | None = None) -> float | None:
    """Krippendorff's alpha (2011, "Computing Krippendorff's Alpha-Reliability"): 1 is full agreement, 0 what chance
    would give, below 0 worse than chance. The columns of the table are the values in order.

    None if no unit was judged twice, and also if everybody gave one and the same value: nothing was to be expected
    to differ, so alpha is 0/0, and data that do not vary are no evidence that people can tell things apart.

    >>> alpha([[2, 0], [0, 2], [1, 1]])  # 1 - (6 - 1) * 2 / (2 * 3 * 3)
    0.4444444444444444
    >>> alpha([[2, 0], [0, 2]]), alpha([[2, 0], [2, 0]])
    (1.0, None)
    """
    return number(alphas(coincidences(table).sum(axis=0), level, values))


def number(value: ArrayLike) -> float | None:
    """A figure, or None where there is none."""
    found = float(np.asarray(value))
    return None if np.isnan(found) else found


def fleiss(table: ArrayLike) -> float | None:
    """Fleiss' kappa (1971, Psychological Bulletin 76:378), for units that were all judged by as many people.

    None if there are no such units or all ratings are the same. Raises ValueError if the numbers differ.
    """
    ratings = np.asarray(table, float)
    if not ratings.size:
        return None
    people = ratings.sum(axis=1)
    if (people != people[0]).any() or people[0] < 2:
        raise ValueError("Fleiss' kappa wants each unit judged by the same number of people, two or more")
    same, pairs = agreed(ratings)
    by_chance = float(((ratings.sum(axis=0) / ratings.sum()) ** 2).sum())
    if by_chance == 1:
        return None
    return (float((same / pairs).mean()) - by_chance) / (1 - by_chance)


def cohen(table: ArrayLike) -> Interval | None:
    """Cohen's kappa (1960, Educational and Psychological Measurement 20:37) with his 95 % interval, from the counts of
    what one person said (row) and another (column) about the same units. None if it is undefined.

    >>> str(cohen([[20, 5], [10, 15]]))
    '40 % (15 to 65 %, n 50)'
    """
    both = np.asarray(table, float)
    n = both.sum()
    if not n:
        return None
    same = float(np.trace(both) / n)
    by_chance = float((both.sum(axis=0) * both.sum(axis=1)).sum() / n**2)
    if by_chance == 1:
        return None
    kappa = (same - by_chance) / (1 - by_chance)
    half = NormalDist().inv_cdf(0.975) * sqrt(same * (1 - same) / n) / (1 - by_chance)
    return Interval(kappa, max(-1.0, kappa - half), min(1.0, kappa + half), int(n))


def bootstrapped(
    units: ArrayLike, statistic: Callable[[Array], Array], *, replicates: int = REPLICATES, seed: int = 17
) -> tuple[float, float] | None:
    """The 95 % percentile interval of a statistic of sums over units, by drawing units anew (Efron 1979).

    `units` has a row of numbers for each; `statistic` takes an array of sums of such rows, one a replicate. Units
    whose rows are equal are drawn together, so a hundred thousand cost no more than their different kinds. None
    for fewer than two units, or if the statistic is undefined for most replicates.
    """
    rows = np.asarray(units, float)
    if len(rows) < 2:
        return None
    kinds, how_many = _kinds(rows)
    drawn = np.random.default_rng(seed).multinomial(len(rows), how_many / len(rows), size=replicates)
    found = statistic(drawn @ kinds)
    found = found[~np.isnan(found)]
    if len(found) < replicates / 2:
        return None
    lower, upper = np.percentile(found, [2.5, 97.5])
    return float(lower), float(upper)


def _kinds(rows: Array) -> tuple[Array, NDArray[np.int64]]:
    """The different rows, and how many there are of each; told apart by one number each, which is quicker to sort."""
    marks = np.random.default_rng(1).random(rows.shape[1])
    _, first, how_many = np.unique((rows * marks).sum(axis=1), return_index=True, return_counts=True)
    return rows[first], how_many


def benjamini_hochberg(p_values: ArrayLike, share: float = 0.05) -> NDArray[np.bool_]:
    """Which of these to reject so that at most `share` of the rejections are false, on average (Benjamini and
    Hochberg 1995, JRSS B 57:289). NaN is never rejected, and does not count as a test.

    >>> benjamini_hochberg([0.01, 0.9, 0.02, 0.04]).tolist()
    [True, False, True, False]
    """
    p = np.asarray(p_values, float)
    tested = ~np.isnan(p)
    ordered = np.sort(p[tested])
    below = np.nonzero(ordered <= share * np.arange(1, len(ordered) + 1) / max(1, len(ordered)))[0]
    if not len(below):
        return np.zeros(p.shape, bool)
    return tested & (np.nan_to_num(p, nan=2.0) <= ordered[below[-1]])
