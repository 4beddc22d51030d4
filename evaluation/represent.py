"""Answers as rows of numbers that one weight for each number can be learnt of. Imports no Django.

Raw features have tails: one answer in a thousand is ten times as long as the others, or a hidden state lies far out. A
Bayesian design asks about just those first and learns nothing about the rest. So what is seen of an answer is brought
to the quantiles of a normal distribution, and hidden states are cut off where they leave the others. They are rotated
to their principal directions within prompts and keep their scale by `POWER`: whitened, noise would have as much say.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.posterior import Array

DIRECTIONS = 64
POWER = 0.5  # 0 keeps the directions' own scale, 1 whitens them
FURTHEST = 2.5  # standard deviations along a direction
LONGEST = 2.5  # times the median distance from the prompt's mean
SURFACE, STATES = 0, 1  # groups of features, which share a precision


@dataclass(frozen=True)
class Represented:
    """`values` (n, d), one row for each answer, and `groups` (d,), for `posterior.fit`."""

    values: Array
    groups: NDArray[np.intp]


def represent(surface: Array, states: Array | None, prompts: NDArray[np.intp]) -> Represented:
    """`surface` (n, s); `states` (n, m), rows of NaN where there are none yet, or None; `prompts` (n,) whose answers
    they are. Only differences within a prompt mean anything. Raises ValueError without an answer."""
    if not len(surface):
        raise ValueError("no answers")
    parts = [_unit(to_normal(np.asarray(surface, float)))]
    if states is not None and not np.isnan(states).all():
        parts.append(_unit(directions(np.asarray(states, float), prompts)))
    groups = np.concatenate([np.full(part.shape[1], group) for group, part in enumerate(parts)])
    return Represented(np.hstack(parts), groups)


def to_normal(values: Array) -> Array:
    """Each column by the normal quantiles of its ranks, equal values alike (Conover and Iman 1981); constants are 0.

    >>> to_normal(np.array([[1.0], [2.0], [1000.0]])).round(2).ravel().tolist()
    [-0.97, 0.0, 0.97]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri((rankdata(values, axis=0) - 0.5) / len(values))


def directions(states: Array, prompts: NDArray[np.intp]) -> Array:
    """The principal directions of states about their prompt's mean, cut off at `FURTHEST`; 0 where there are none."""
    there = np.asarray(np.isfinite(states).all(axis=1))
    _, prompt = np.unique(prompts, return_inverse=True)
    known = np.where(there[:, None], states, 0.0)
    order = np.argsort(prompt, kind="stable")
    sums = np.add.reduceat(known[order], np.searchsorted(prompt[order], np.arange(prompt.max() + 1)))
    means = sums / np.maximum(np.bincount(prompt, there), 1)[:, None]
    centred = np.where(there[:, None], known - means[prompt], 0.0)
    lengths = np.linalg.norm(centred, axis=1)
    usual = float(np.median(lengths[there]))
    centred *= np.minimum(1.0, LONGEST * usual / np.maximum(lengths, 1e-12))[:, None]  # else a few make the directions
    spread, axes = np.linalg.eigh(centred.T @ centred / max(1, there.sum()))
    kept = np.argsort(-spread)[:DIRECTIONS]
    kept = kept[spread[kept] > 1e-9 * max(spread.max(), 1e-12)]
    turned = centred @ axes[:, kept] / spread[kept] ** (POWER / 2)
    limits = FURTHEST * turned[there].std(axis=0)
    return np.clip(turned, -limits, limits)


def _unit(part: Array) -> Array:
    """Rows of length 2 on average, so that a weight of 1 is much in any part, however many numbers it has."""
    length = np.sqrt(np.mean(np.sum(part**2, axis=1)))
    return 2 * part / length if length > 0 else part
