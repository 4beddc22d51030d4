"""How often each person picks the better of two answers, when nobody knows which is better: numbers in, numbers out.

Of each pair one answer is better, either with the same chance; a person picks it with a chance of their own (Dawid and
Skene 1979 with one parameter a person: which answer is called the first is arbitrary, so nobody can be better at one
than at the other). What a person is measured against is always what the *others* say of the pair, each weighing as
much as they are worth. Ties say nothing here. Imports no Django.
"""

from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annotation.statistics import Array

Integers = NDArray[np.int64]
ROUNDS = 50  # of expectation and maximisation; it settles in about twenty
GRID = np.linspace(0.01, 0.99, 50)  # chances that are tried
FAITH, DOUBT = 2.0, 1.0  # judgements imagined beforehand: a little faith in people, which tells better from worse
NORMAL = NormalDist()


@dataclass(frozen=True)
class Competence:
    """Of each person, how often they pick the better answer, and how much the data say about it.

    `support` has for each judgement the chance that it is right, as the others have it; a half where they are of no
    help. `chance`, `lower` and `upper` (95 %, by the likelihood) are NaN for those about whom nothing can be said.
    """

    support: Array
    chance: Array
    lower: Array
    upper: Array
    profile: Array  # log-likelihood of each person (row) at each chance of GRID (column)
    informative: Integers  # judgements of pairs that others judged too


def measure(
    unit: ArrayLike, person: ArrayLike, said: ArrayLike, voice: ArrayLike, weight: ArrayLike | None = None
) -> Competence:
    """From one row a judgement: which pair, which person, and 1 or -1 for the first or the second answer of the pair;
    0, a tie, is left out.

    `voice` is 1 for each person who counts, and 0 for one who is measured against the others and not they against
    them. `weight` says how much of a judgement of its own each row is: less than 1 for the pairs of a ranking.
    """
    said, voice = np.asarray(said, float), np.asarray(voice, float)
    heavy = np.ones(len(said)) if weight is None else np.asarray(weight, float)
    told = said != 0
    people = len(voice)
    _, pair = np.unique(np.asarray(unit)[told], return_inverse=True)
    who, sign, heavy = np.asarray(person, np.int64)[told], said[told], heavy[told]
    others = _summed(pair, voice[who]) - voice[who]
    known = others > 0  # of what nobody else judged, one's own word would be all the proof
    informative = np.bincount(who[known], minlength=people)
    trust = voice.copy()  # at first a majority
    for _ in range(ROUNDS):
        odds = _summed(pair, sign * trust[who])
        right = np.bincount(who[known], _chance(sign * odds)[known], minlength=people)
        share = (right + FAITH) / (informative + FAITH + DOUBT)
        trust = voice * np.log(share / (1 - share))
    support = np.full(len(said), 0.5)
    support[told] = _chance(sign * _summed(pair, sign * trust[who]) - trust[who])
    profile = np.zeros((people, len(GRID)))
    for column, chance in enumerate(GRID):
        likelihood = heavy * np.log(chance * support[told] + (1 - chance) * (1 - support[told]))
        profile[:, column] = np.bincount(who[known], likelihood[known], minlength=people)
    return Competence(support, *_best(profile, informative > 0), profile, informative)


def _summed(group: Integers, values: Array) -> Array:
    """For each row, the sum over the rows of its group."""
    return np.asarray(np.bincount(group, values, minlength=1)[group], float) if len(group) else np.zeros(0)


def _chance(log_odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))


def _best(profile: Array, known: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Where each person's likelihood is highest, and between what it is near enough to that (Wilks 1938)."""
    near = profile.max(axis=1, keepdims=True) - profile <= NORMAL.inv_cdf(0.975) ** 2 / 2
    places = (profile.argmax(axis=1), near.argmax(axis=1), len(GRID) - 1 - near[:, ::-1].argmax(axis=1))
    chance, lower, upper = (np.where(known, GRID[place], np.nan) for place in places)
    return chance, lower, upper


def below(found: Competence, limit: float, share: float = 0.05, minimum: int = 1) -> NDArray[np.bool_]:
    """Who is less often right than `limit`, so that at most `share` of those named are expected to be named wrongly.

    Empirical Bayes: how good people are here in general is learnt from all of them (Kiefer and Wolfowitz 1956, by
    expectation and maximisation on a grid, and as if one more person were anywhere above guessing); with that, each
    person's own judgements give the chance that they are not below the limit; and as many are named as keep the mean
    of these chances at `share` (Newton et al. 2004, Biostatistics 5:155). Nobody with fewer than `minimum`
    judgements is.
    """
    tested = found.informative >= minimum
    named = np.zeros(len(tested), bool)
    if not tested.any():
        return named
    likelihood = np.exp(found.profile[tested] - found.profile[tested].max(axis=1, keepdims=True))
    one_more = (GRID >= 0.5) / (GRID >= 0.5).sum()
    prior = np.full(len(GRID), 1 / len(GRID))
    for _ in range(ROUNDS):
        posterior = likelihood * prior
        posterior /= posterior.sum(axis=1, keepdims=True)
        prior = posterior.sum(axis=0) + one_more
        prior /= prior.sum()
    innocent = posterior[:, limit <= GRID].sum(axis=1)
    order = innocent.argsort()
    wrong = np.cumsum(innocent[order]) / np.arange(1, len(order) + 1)
    named[np.nonzero(tested)[0][order[: (wrong <= share).sum()]]] = True
    return named


def drift(own: ArrayLike, others: ArrayLike, person: ArrayLike, people: int, margin: float) -> tuple[Array, Array]:
    """How much more often each person does a thing than the others do it on the same items, on average; and the p-value
    against "by no more than `margin`", from the normal approximation to the mean of the differences.

    >>> more, p = drift([1] * 9 + [0] * 9, [0.5] * 18, [0] * 9 + [1] * 9, 2, margin=0.1)
    >>> more.tolist(), (p < 0.05).tolist()
    ([0.5, -0.5], [True, False])
    """
    difference = np.asarray(own, float) - np.asarray(others, float)
    who = np.asarray(person, np.int64)
    n = np.bincount(who, minlength=people)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(who, difference, minlength=people) / n
        spread = np.bincount(who, (difference - mean[who]) ** 2, minlength=people) / np.maximum(1, n - 1)
        # Somebody who always does the same shows no spread; they may still have done otherwise once.
        error = np.sqrt(np.maximum(spread, 1 / (n + 2)) / n)
        z = (mean - margin) / error
    return mean, np.array([np.nan if np.isnan(one) else NORMAL.cdf(-one) for one in z])


def others_mean(value: ArrayLike, unit: Integers, person: Integers, voice: ArrayLike) -> Array:
    """For each row, the mean over the other people's rows of the same unit; NaN where nobody else counts.

    >>> others_mean([1, 0, 0], [7, 7, 7], [0, 1, 2], [1, 1, 0]).tolist()
    [0.0, 1.0, 0.5]
    """
    weight = np.asarray(voice, float)[person]
    _, place = np.unique(unit, return_inverse=True)
    own = weight * np.asarray(value, float)
    if not len(place):
        return own
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.bincount(place, weight)[place] - weight
        return np.where(count > 0, (np.bincount(place, own)[place] - own) / count, np.nan)


def tail(n: int, at_least: int, chance: float) -> float:
    """Chance of so many or more of n, each with `chance`: exact up to a thousand, then the normal approximation.

    >>> round(tail(10, 8, 0.5), 4)
    0.0547
    """
    if at_least <= 0:
        return 1.0
    if n > 1000:
        return NORMAL.cdf((n * chance - at_least + 0.5) / sqrt(n * chance * (1 - chance)))
    k = np.arange(n + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((n - k[:-1]) / (k[:-1] + 1)))])  # log of n over k
    return float(min(1.0, np.exp(ways + k * log(chance) + (n - k) * log(1 - chance))[at_least:].sum()))
