"""Rates of models: pure functions, numbers in, numbers out. Imports no Django."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from math import exp

from annotation.statistics import Interval, wilson


def pair_accuracy(
    chosen: Sequence[float], rejected: Sequence[float], prompts: Sequence[Hashable] | None = None
) -> Interval:
    """Share of pairs whose chosen answer scores higher; equal scores count half. One entry per pair, exact.

    With `prompts`, one for each pair, the interval is as wide as pairs of one prompt depend on each other: six of one
    ranking are not six.

    >>> pair_accuracy([1.0, 2.0, 0.5, 3.0], [0.0, 2.0, 1.0, 1.0]).value
    0.625
    """
    if len(chosen) != len(rejected):
        raise ValueError("a score is missing")
    right = [1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen, rejected, strict=True)]
    if prompts is None:
        return wilson(sum(right), len(right))
    share, pairs = _independent(right, prompts)
    return replace(wilson(share * pairs, pairs), n=len(right))


def _independent(right: Sequence[float], prompts: Sequence[Hashable]) -> tuple[float, int]:
    """The share, and of how many independent pairs it would vary as much (Kish 1965, "Survey Sampling", section 8.2);
    where all are right or all are wrong, nothing tells, and a prompt counts once."""
    n, share = len(right), sum(right) / len(right)
    apart: dict[Hashable, float] = defaultdict(float)
    for one, prompt in zip(right, prompts, strict=True):
        apart[prompt] += one - share
    groups, alone = len(apart), n * share * (1 - share)
    if groups < 2 or groups == n or not alone:
        return share, groups
    together = sum(one * one for one in apart.values()) * groups / (groups - 1)
    return share, min(n, max(1, int(n * alone / together))) if together else n


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
