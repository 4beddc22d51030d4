"""Whether a reward model knows how sure it may be: numbers in, numbers out. Imports no Django."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from annotation.statistics import Interval, bootstrapped

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Pairs of like confidence: how sure the model was on average, and how often it was right."""

    confidence: float
    right: float
    n: int


def chances(differences: ArrayLike) -> np.ndarray:
    """The chance that the preferred answer is preferred, from the differences of its reward to the other's (Bradley
    and Terry 1952)."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(differences, float), -500, 500)))


def brier(differences: ArrayLike) -> Interval:
    """Brier's score (1950, Monthly Weather Review 78:1): the mean of the squared distance of a chance to what came. 0
    is perfect, 0.25 what tossing a coin gets. With a bootstrap interval over pairs. Raises ValueError for no pairs.

    >>> round(brier([0.0, 0.0, 0.0]).value, 3)
    0.25
    """
    missed = (1 - chances(differences)) ** 2
    if not len(missed):
        raise ValueError("no pairs")
    found = float(missed.mean())
    rows = np.column_stack([missed, np.ones(len(missed))])
    lower, upper = bootstrapped(rows, lambda sums: sums[:, 0] / sums[:, 1]) or (0.0, 1.0)
    return Interval(found, lower, upper, len(missed))


def bins(differences: ArrayLike, *, most: int = BINS) -> list[Bin]:
    """Pairs in order of confidence, cut into at most so many groups of like size. Equal scores count half as right."""
    found = np.asarray(differences, float)
    sure = chances(np.abs(found))
    right = np.where(found > 0, 1.0, np.where(found == 0, 0.5, 0.0))
    order = np.argsort(sure, kind="stable")
    groups = np.array_split(order, min(most, max(1, len(found) // 5)))
    return [Bin(float(sure[one].mean()), float(right[one].mean()), len(one)) for one in groups if len(one)]


def error(differences: ArrayLike, *, most: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015; groups of like size): how far confidence and rightness are apart
    on average, from 0 to 1.

    Confidences of 0.9 that are right in 7 of 10 cases are off by 0.2:
    >>> from math import log
    >>> sure = log(0.9 / 0.1)
    >>> round(error([sure] * 7 + [-sure] * 3, most=1), 3)
    0.2
    """
    found = bins(differences, most=most)
    total = sum(one.n for one in found)
    return sum(abs(one.confidence - one.right) * one.n for one in found) / total if total else 0.0
