"""Rates of models: pure functions, numbers in, numbers out. Imports no Django."""

from collections.abc import Sequence
from math import exp

from annotation.statistics import Interval, wilson


def pair_accuracy(chosen: Sequence[float], rejected: Sequence[float]) -> Interval:
    """Share of pairs whose chosen answer scores higher; equal scores count half. One entry per pair, exact.

    >>> pair_accuracy([1.0, 2.0, 0.5, 3.0], [0.0, 2.0, 1.0, 1.0]).value
    0.625
    """
    if len(chosen) != len(rejected):
        raise ValueError("a score is missing")
    right = sum(1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen, rejected, strict=True))
    return wilson(right, len(chosen))


def preference(first: float, second: float) -> float:
    """Probability that the first of two answers is preferred, from their rewards (Bradley and Terry 1952).

    >>> preference(1.0, 1.0), round(preference(2.0, 1.0), 3)
    (0.5, 0.731)
    """
    difference = first - second
    if difference >= 0:
        return 1 / (1 + exp(-difference))
    return exp(difference) / (1 + exp(difference))


def uncertainty(first: float, second: float) -> float:
    """How little two rewards say about which answer is preferred: 1 for a coin toss, 0 for certainty.

    >>> uncertainty(0.0, 0.0), round(uncertainty(0.0, 4.0), 3)
    (1.0, 0.036)
    """
    return 1 - abs(2 * preference(first, second) - 1)
