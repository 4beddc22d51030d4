"""Intervals and rates: pure functions, numbers in, numbers out. Imports no Django."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval and the number of observations behind it."""

    value: float
    lower: float
    upper: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.lower:.0%} to {self.upper:.0%}, n {self.n})"


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
