"""When may one stop asking? An interval for a win rate that holds at every moment, however often one looks.

An ordinary interval looked at after each vote, until it leaves one half, is wrong far more often than 1 time in 20.
This one is a confidence sequence by betting (Waudby-Smith and Ramdas 2024, JRSS B 86:1, section 4): against each rate m
one bets on the next vote, with stakes of fixed sizes on either side at once (their "diversified bets"). If m is the
truth, the fortune is a martingale and exceeds 20 with a chance of at most 1 in 20, ever (Ville 1939); rates against
which it did are out. Imports no Django.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from annotation.statistics import Array, Interval

ALPHA = 0.05
RATES = np.linspace(0.0, 1.0, 201)
STAKES = np.linspace(0.05, 0.95, 10)  # shares of what may be staked without ruin; a mixture of all


@dataclass(frozen=True)
class Sequence:
    """`interval` holds at this moment and at all others together; `decided` is 1 if the new model is better, -1 if it
    is worse, 0 while that is open."""

    interval: Interval
    decided: int


def win_rate(scores: ArrayLike) -> Sequence:
    """Scores from 0 to 1 in the order in which they came, one for each item; a tie is 0.5.

    Raises ValueError for scores beyond 0 and 1.

    >>> win_rate([1, 1, 1, 1, 1, 1, 1, 1, 1]).decided, win_rate([1, 0, 1, 1, 0.5]).decided
    (1, 0)
    """
    said = np.asarray(scores, float)
    if ((said < 0) | (said > 1)).any():
        raise ValueError("a score is between 0 and 1")
    out = _fortunes(said, RATES).max(axis=0, initial=-np.inf) >= np.log(1 / ALPHA)
    left = RATES[~out]
    value = float(said.mean()) if len(said) else 0.5
    # Rates in play are an interval up to the grid; if noise has shut all out, the last word is the mean.
    step = float(RATES[1])
    lower, upper = (float(left.min()), float(left.max())) if len(left) else (value, value)
    if lower > 0:
        lower -= step  # what lies between the last rate that is out and the first that is in is in, too
    if upper < 1:
        upper += step
    decided = 0
    if bool(out[len(RATES) // 2]) and len(said):
        decided = 1 if value > 0.5 else -1
    return Sequence(Interval(value, min(lower, value), max(upper, value), len(said)), decided)


def fortunes_against_half(scores: ArrayLike) -> Array:
    """The logarithm of what a fortune of 1 that was bet against one half has become, after each score."""
    return _fortunes(np.asarray(scores, float), np.array([0.5]))[:, 0]


def _fortunes(said: Array, against: Array) -> Array:
    """The same against several rates, a column for each."""
    rates = against[None, :, None]
    moves = said[:, None, None] - rates
    with np.errstate(divide="ignore", invalid="ignore"):
        upwards = STAKES / np.maximum(rates, 1e-9)  # that the rate is higher than m
        downwards = -STAKES / np.maximum(1 - rates, 1e-9)
        logs = np.log1p(moves * np.concatenate([upwards, downwards], axis=2)).cumsum(axis=0)
    top = logs.max(axis=2)
    return top + np.log(np.exp(logs - top[:, :, None]).mean(axis=2))
