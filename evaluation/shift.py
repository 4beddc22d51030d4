"""Whether two samples come from one source: permutation tests, numbers in, numbers out. Imports no Django.

A permutation test is exact at any size (Fisher 1935): were there no difference, which rows are called new would be an
accident, so that what is seen is compared with the same rows called new by lot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from annotation.statistics import Array

PERMUTATIONS = 999
MOST = 1000  # rows of each sample that are looked at: distances grow with the square


@dataclass(frozen=True)
class Shift:
    """How far apart two samples are, and how often chance alone would set them so far apart."""

    distance: float
    p: float
    old: int
    new: int


def energy(old: ArrayLike, new: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 17) -> Shift:
    """The energy distance of two samples of rows (Székely and Rizzo 2004, 2013), each column in units of its spread.

    It is 2·E|X-Y| - E|X-X'| - E|Y-Y'|: zero only where the distributions are the same. Raises ValueError for fewer than
    two rows on either side.
    """
    one, other = _rows(old), _rows(new)
    if min(len(one), len(other)) < 2:
        raise ValueError("each side needs two rows")
    random = np.random.default_rng(seed)
    one, other = (
        rows if len(rows) <= MOST else rows[random.choice(len(rows), MOST, replace=False)] for rows in (one, other)
    )
    both = np.concatenate([one, other])
    spread = both.std(axis=0)
    both = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    square = (both**2).sum(axis=1)
    distances = np.sqrt(np.maximum(0.0, square[:, None] + square[None, :] - 2 * both @ both.T))
    n, m = len(one), len(other)

    def statistic(is_new: Array) -> Array:
        """For each column of zeros and ones that says which rows are new."""
        to_new = distances @ is_new
        within_new = (is_new * to_new).sum(axis=0)
        across = ((1 - is_new) * to_new).sum(axis=0)
        within_old = distances.sum() - within_new - 2 * across
        return 2 * across / (n * m) - within_old / n**2 - within_new / m**2

    real = np.concatenate([np.zeros(n), np.ones(m)])
    drawn = np.stack([random.permutation(real) for _ in range(permutations)], axis=1)
    found = float(statistic(real[:, None])[0])
    return Shift(found, _p(found, statistic(drawn)), n, m)


def kolmogorov_smirnov(old: ArrayLike, new: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 17) -> Shift:
    """The largest distance between the two samples' distribution functions (Smirnov 1939), its chance by permutation.

    Raises ValueError for an empty side.

    >>> kolmogorov_smirnov([1, 2, 3, 4], [3, 4, 5, 6], permutations=9).distance
    0.5
    """
    one, other = np.asarray(old, float).ravel(), np.asarray(new, float).ravel()
    if not len(one) or not len(other):
        raise ValueError("each side needs a row")
    both = np.concatenate([one, other])
    order = np.argsort(both, kind="stable")
    last = np.append(np.diff(both[order]) > 0, True)  # equal values are one step
    n, m = len(one), len(other)

    def statistic(is_new: Array) -> Array:
        ahead = (is_new[order] / m - (1 - is_new[order]) / n).cumsum(axis=0)
        return np.abs(ahead[last]).max(axis=0)

    random = np.random.default_rng(seed)
    real = np.concatenate([np.zeros(n), np.ones(m)])
    drawn = np.stack([random.permutation(real) for _ in range(permutations)], axis=1)
    found = float(statistic(real[:, None])[0])
    return Shift(found, _p(found, statistic(drawn)), n, m)


def _p(found: float, by_chance: Array) -> float:
    return (1 + int((by_chance >= found - 1e-12).sum())) / (1 + len(by_chance))


def _rows(sample: ArrayLike) -> Array:
    rows = np.asarray(sample, float)
    return rows[:, None] if rows.ndim == 1 else rows
