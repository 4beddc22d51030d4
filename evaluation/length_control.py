"""A win rate with length taken out: what it would be if both answers were as long. Imports no Django.

Dubois et al. 2024, "Length-controlled AlpacaEval" (arXiv 2404.04475): a logistic model of who is preferred, with the
difference in length as a covariate, asked at a difference of zero. Theirs also has a term for each instruction, fitted
over many models, which a single comparison has not.
"""

from math import exp

import numpy as np
from numpy.typing import ArrayLike

from annotation.statistics import Array, Interval
from evaluation.bradley_terry import quantile

PRIOR_SD = 3.0  # of log odds: wide for a win rate (5 to 95 %), and proper where all longer answers win
STEPS = 100


def win_rate(score: ArrayLike, longer: ArrayLike) -> Interval:
    """The share of wins at equal length, with its 95 % interval.

    `score` has one number from 0 to 1 for each item (ties and several votes averaged: items are independent, votes on
    one are not); `longer` by how much the winner-to-be was longer, best as log of the ratio of words. It enters as
    tanh(longer / its root mean square), as in the paper, so that one giant answer does not decide. Where one model is
    always longer by as much, length and quality cannot be told apart, and the interval is wide.

    Raises ValueError for no items.

    >>> str(win_rate([1, 1, 1, 0] * 10, [0.0] * 40))
    '75 % (59 to 86 %, n 40)'
    """
    said, difference = np.asarray(score, float), np.asarray(longer, float)
    if not len(said) or len(said) != len(difference):
        raise ValueError("each item has a score and a difference in length")
    size = float(np.sqrt((difference**2).mean()))
    design = np.column_stack([np.ones(len(said)), np.tanh(difference / size) if size else difference])
    precision = np.eye(2) / PRIOR_SD**2
    weights = np.zeros(2)
    for _ in range(STEPS):
        chance = _chance(design @ weights)
        bend = design.T @ (design * (chance * (1 - chance))[:, None]) + precision
        step = np.linalg.solve(bend, design.T @ (said - chance) - precision @ weights)
        weights += step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-10:
            break
    # The curvature at the maximum. Where items have ties their scores vary less than a coin's, and this is too wide.
    half = quantile(len(said)) * float(np.sqrt(np.linalg.inv(bend)[0, 0]))
    middle = float(weights[0])
    value, lower, upper = (1 / (1 + exp(-one)) for one in (middle, middle - half, middle + half))
    return Interval(value, lower, upper, len(said))


def rates(scores: Array, longer: Array, counts: Array) -> Array:
    """The same share without its interval, of many replicates at once: `scores` and `counts` (replicates, n), how often
    each item is in it, `longer` (n,)."""
    size = float(np.sqrt((longer**2).mean()))
    design = np.column_stack([np.ones(len(longer)), np.tanh(longer / size) if size else longer])
    precision = np.eye(2) / PRIOR_SD**2
    weights = np.zeros((len(scores), 2))
    for _ in range(STEPS):
        chance = _chance(weights @ design.T)
        bend = np.einsum("rn,ni,nj->rij", counts * chance * (1 - chance), design, design) + precision
        slope = (counts * (scores - chance)) @ design - weights @ precision
        step = np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
        step *= np.minimum(1.0, 2.0 / np.maximum(1e-12, np.abs(step).max(axis=1, keepdims=True)))
        weights += step
        if np.abs(step).max() < 1e-6:
            break
    return _chance(weights[:, 0])


def _chance(eta: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(eta, -500, 500)))
