"""A live posterior over what people prefer: Bayesian logistic regression on differences of features. Imports no Django.

An answer with features x has the value w·x, and the first of two answers is preferred with probability

    p = noise + (1 - 2 noise) σ(w·z),   z = x_first - x_second

(Bradley and Terry 1952, on features; `noise` is the chance of a slip of the hand either way). w has a normal prior
whose precision is fitted to the labels, for each group of features by itself (MacKay 1992, "Bayesian Interpolation",
section 4), and Laplace's approximation is its posterior. So features that say nothing are held down, however many they
are; a fixed weak prior had BALD chase outliers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHAPE, RATE = (
    1.0,
    1.0,
)  # Gamma prior of each precision: about one label's worth of "a unit of feature is a unit of value"
WEAKEST, STRONGEST = 1e-3, 1e6  # of precisions
STEPS = 30
CLOSE = 1e-3  # a step in w shorter than this, relative to w, is the last one


@dataclass(frozen=True)
class Posterior:
    """Normal over w: `mean` (d,), `covariance` (d, d); the prior's `precision` (d,) and the labels' `noise`."""

    mean: Array
    covariance: Array
    precision: Array
    noise: float

    def margins(self, differences: Array) -> tuple[Array, Array]:
        """Mean and variance of w·z for each row of `differences` (n, d)."""
        return differences @ self.mean, np.einsum("nd,nd->n", differences @ self.covariance, differences)

    def probability(self, differences: Array) -> Array:
        """That the first of each pair is preferred (n,), uncertainty about w included (MacKay 1992's approximation)."""
        mean, variance = self.margins(differences)
        return self.noise + (1 - 2 * self.noise) * sigmoid(mean / np.sqrt(1 + np.pi * variance / 8))


def prior(groups: Sequence[int] | NDArray[Any], *, noise: float = 0.05) -> Posterior:
    """What is known before the first label; `groups` as for `fit`."""
    width = len(groups)
    return Posterior(np.zeros(width), np.eye(width), np.ones(width), noise)


def fit(
    differences: Array,
    outcomes: Array,
    *,
    groups: Sequence[int] | NDArray[Any],
    weights: Array | None = None,
    noise: float = 0.05,
    start: Posterior | None = None,
) -> Posterior:
    """The posterior after labels on pairs.

    `differences` (n, d): features of the first answer less those of the second; `outcomes` (n,): 1 where the first is
    preferred, 0 the second, a half for a tie; `weights` (n,): how much each counts, 1 by default; `groups` (d,): which
    features share a precision; `noise`: in [0, 0.5); `start`: the posterior before, from which few steps are left.
    Raises ValueError for shapes that do not fit or numbers that are not finite.
    """
    groups = np.asarray(groups)
    z, y = np.asarray(differences, float), np.asarray(outcomes, float)
    if z.ndim != 2 or y.shape != (len(z),) or groups.shape != (z.shape[1],):
        raise ValueError("one outcome for each pair, and one group for each feature")
    if not (np.isfinite(z).all() and ((y >= 0) & (y <= 1)).all() and 0 <= noise < 0.5):
        raise ValueError("features must be finite, outcomes from 0 to 1, noise from 0 to a half")
    before = start if start is not None and start.mean.shape == (z.shape[1],) else prior(groups, noise=noise)
    if not len(z):
        return prior(groups, noise=noise)
    counts = np.ones(len(z)) if weights is None else np.asarray(weights, float)
    mean, precision = before.mean.copy(), before.precision.copy()
    members = [groups == group for group in np.unique(groups)]
    for _ in range(STEPS):
        slope, curvature = derivatives(z @ mean, y, noise)
        information = (z * (counts * curvature)[:, None]).T @ z
        covariance = np.linalg.inv(information + np.diag(precision))
        gradient = z.T @ (counts * slope) - precision * mean
        step = covariance @ gradient
        step *= min(1.0, 3.0 / max(float(np.abs(z @ step).max()), 1e-12))  # no leap over the curve's bend
        mean = mean + step
        for group in members:
            known = group.sum() - precision[group] @ covariance[group, group]
            fitted = (known + 2 * SHAPE) / (mean[group] @ mean[group] + 2 * RATE)
            precision[group] = np.clip(fitted, WEAKEST, STRONGEST)
        if np.linalg.norm(step) <= CLOSE * (np.linalg.norm(mean) + CLOSE):
            break
    return Posterior(mean, covariance, precision, noise)


def sigmoid(value: Array) -> Array:
    """
    >>> sigmoid(np.array([0.0, -800.0])).tolist()
    [0.5, 0.0]
    """
    return np.exp(-np.logaddexp(0.0, -value))


def likelihood(value: Array, noise: float) -> Array:
    """Probability that the first is preferred, given w·z."""
    return noise + (1 - 2 * noise) * sigmoid(value)


def information(value: Array, noise: float) -> Array:
    """Fisher's information of one label about w·z: (dp/dη)² / p(1 - p); a quarter at most."""
    return derivatives(value, np.full_like(value, 0.5), noise)[1]


def derivatives(value: Array, outcomes: Array, noise: float) -> tuple[Array, Array]:
    """Slope of the log likelihood in w·z, and its expected curvature (Fisher), which is never negative."""
    s = sigmoid(value)
    p = np.clip(noise + (1 - 2 * noise) * s, 1e-9, 1 - 1e-9)
    change = (1 - 2 * noise) * s * (1 - s)
    spread = p * (1 - p)
    return (outcomes - p) * change / spread, change**2 / spread
