"""How strong each of several models is, from comparisons of two: numbers in, numbers out. Imports no Django.

The model is Bradley and Terry's (1952, Biometrika 39:324) with ties as Davidson (1970, JASA 65:317) has them, and with
what else may sway a vote as covariates: which answer stood left, and which was longer. With strengths θ,

    η = θ_first - θ_second + γ·left + δ·longer
    P(first) : P(tie) : P(second) = exp(η/2) : ν : exp(-η/2)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annotation.statistics import Array, Interval

# Strengths are drawn towards their middle as if by a prior this wide. It says nothing as long as there is anything to
# tell them by: a difference of 10 is a chance of 1 in 20,000. It keeps a model that never lost from being infinite.
PRIOR_SD = 10.0
# Of what else sways a vote: a standing left that makes the odds 2.7 times as good would be a lot. It keeps strengths
# told apart from sides where one model's answers happened to stand left most of the time.
COVARIATE_SD = 1.0
STEPS = 100


@dataclass(frozen=True)
class Fit:
    """`strengths` add up to 0; `covariance` is of all that was fitted, in the order strengths, left, longer, ties."""

    strengths: Array
    covariance: Array
    left: Interval | None  # what standing left adds to the log odds; None where that was not fitted
    longer: Interval | None
    tie: float  # ν: 0 without ties
    n: int
    clusters: int

    def strength(self, one: int) -> Interval:
        """A strength with its 95 % interval, against the mean of all."""
        contrast = -np.ones(len(self.strengths)) / len(self.strengths)
        contrast[one] += 1
        return self._interval(contrast)

    def difference(self, one: int, other: int) -> Interval:
        """By how much `one` is stronger, in log odds, with its 95 % interval."""
        contrast = np.zeros(len(self.strengths))
        contrast[one] += 1
        contrast[other] -= 1
        return self._interval(contrast)

    def _interval(self, contrast: Array) -> Interval:
        k = len(contrast)
        value = float(contrast @ self.strengths)
        half = quantile(self.clusters) * sqrt(max(0.0, float(contrast @ self.covariance[:k, :k] @ contrast)))
        return Interval(value, value - half, value + half, self.n)


def fit(
    first: ArrayLike,
    second: ArrayLike,
    score: ArrayLike,
    *,
    left: ArrayLike | None = None,
    longer: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    prior_sd: float = PRIOR_SD,
    covariate_sd: float = COVARIATE_SD,
) -> Fit:
    """Strengths by maximum likelihood (Newton's method; the likelihood has one maximum).

    `first` and `second` are models as numbers from 0 on, `score` is 1 where the first was preferred, 0 where the second
    was, 0.5 for a tie. `left` is 1 where the first stood left, -1 where the second did; `longer` any measure of how
    much longer the first was. Intervals are by the sandwich estimate over `clusters` (votes on one item are one
    cluster; Liang and Zeger 1986), with Student's t for few of them.

    Raises ValueError for columns of different lengths, for none, and for scores other than 0, 0.5 and 1.
    """
    one, other, said = np.asarray(first, np.int64), np.asarray(second, np.int64), np.asarray(score, float)
    if not len(said) or not len(one) == len(other) == len(said):
        raise ValueError("a comparison has two models and a score")
    if not np.isin(said, (0.0, 0.5, 1.0)).all():
        raise ValueError("a score is 1, 0.5 or 0")
    count = int(max(one.max(), other.max())) + 1
    rows = np.arange(len(said))
    design = np.zeros((len(said), count))
    design[rows, one] += 1
    design[rows, other] -= 1
    covariates = {name: column for name, column in (("left", left), ("longer", longer)) if column is not None}
    design = np.column_stack([design, *(np.asarray(column, float) for column in covariates.values())])
    ties = bool((said == 0.5).any())
    wide = design.shape[1]
    precision = np.full(wide + ties, prior_sd**-2)
    precision[count:wide] = covariate_sd**-2
    parameters = np.zeros(wide + ties)
    for _ in range(STEPS):
        gradient, information, _ = _derivatives(parameters, design, said, ties)
        step = np.linalg.solve(information + np.diag(precision), gradient - precision * parameters)
        parameters += step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))  # a long way in small steps
        if np.abs(step).max() < 1e-10:
            break
    _, information, scores = _derivatives(parameters, design, said, ties)
    together = np.arange(len(said)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    groups = int(together.max()) + 1
    summed = np.zeros((groups, wide + ties))
    np.add.at(summed, together, scores)
    bread = np.linalg.inv(information + np.diag(precision))
    meat = summed.T @ summed * (groups / max(1, groups - 1))
    covariance = bread @ (meat + np.diag(precision)) @ bread
    found = {
        name: _around(parameters[count + place], covariance[count + place, count + place], len(said), groups)
        for place, name in enumerate(covariates)
    }
    strengths = parameters[:count] - parameters[:count].mean()
    return Fit(
        strengths=strengths,
        covariance=covariance,
        left=found.get("left"),
        longer=found.get("longer"),
        tie=float(np.exp(parameters[-1])) if ties else 0.0,
        n=len(said),
        clusters=groups,
    )


def _derivatives(parameters: Array, design: Array, said: Array, ties: bool) -> tuple[Array, Array, Array]:
    """Of the log likelihood: the gradient, minus the second derivative, and each row's part of the gradient."""
    eta = design @ (parameters[:-1] if ties else parameters)
    nu = np.exp(parameters[-1]) if ties else 0.0
    up, down = np.exp(eta / 2 - np.abs(eta) / 2), np.exp(-eta / 2 - np.abs(eta) / 2)
    tie = nu * np.exp(-np.abs(eta) / 2)
    total = up + down + tie
    up, down, tie = up / total, down / total, tie / total
    lead = (up - down) / 2
    scores = design * (said - 0.5 - lead)[:, None]
    bend = (up + down) / 4 - lead**2
    information = (design * bend[:, None]).T @ design
    if ties:
        scores = np.column_stack([scores, (said == 0.5) - tie])
        cross = -(design * (lead * tie)[:, None]).sum(axis=0)
        information = np.block(
            [[information, cross[:, None]], [cross[None, :], np.array([[float((tie * (1 - tie)).sum())]])]]
        )
    return scores.sum(axis=0), information, scores


def _around(value: float, variance: float, n: int, groups: int) -> Interval:
    half = quantile(groups) * sqrt(max(0.0, variance))
    return Interval(float(value), float(value - half), float(value + half), n)


def quantile(groups: int) -> float:
    """Student's 97.5 % point, by which a standard error from so many clusters is multiplied (Abramowitz and Stegun
    1964, 26.7.5; to 1 % from five clusters on, and fewer are taken for five).

    >>> round(quantile(11), 3), round(quantile(31), 3)  # their table 26.10: 2.228, 2.042
    (2.228, 2.042)
    """
    z, free = NormalDist().inv_cdf(0.975), max(4, groups - 1)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / free ** (power + 1) for power, term in enumerate(terms))


def components(count: int, pairs: Sequence[tuple[int, int]] | NDArray[np.int64]) -> list[list[int]]:
    """The groups of models that are linked by comparisons; strengths of different groups cannot be compared.

    >>> components(5, [(0, 1), (3, 4), (1, 0)])
    [[0, 1], [2], [3, 4]]
    """
    group = list(range(count))

    def root(one: int) -> int:
        while group[one] != one:
            group[one] = group[group[one]]
            one = group[one]
        return one

    for one, other in pairs:
        group[root(int(other))] = root(int(one))
    found: dict[int, list[int]] = {}
    for one in range(count):
        found.setdefault(root(one), []).append(one)
    return sorted(found.values())
