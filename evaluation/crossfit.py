"""One model's answers against another's by a reward model that has seen nothing of the prompts it judges. Imports no
Django.

The labels are split by prompt into folds, and answers to a prompt are judged by the posterior over preferences
(evaluation/posterior.py) that was fitted to the labels of the other folds. Its doubt is in the intervals: each
replicate draws a taste from what is known, and prompts anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.statistics import Array, Interval
from evaluation import length_control
from evaluation.posterior import fit
from evaluation.statistics import pair_accuracy

FOLDS = 5
REPLICATES = 400


@dataclass(frozen=True)
class Labels:
    """Pairs that were judged: `differences` of features (n, d), `outcomes`, `weights` and `prompts` (n,), and the
    features' `groups` (d,), all as for `posterior.fit`."""

    differences: Array
    outcomes: Array
    weights: Array
    prompts: NDArray[np.intp]
    groups: NDArray[np.intp]


@dataclass(frozen=True)
class Judged:
    """The share that the new model wins, that at equal length, and how often judges of other folds are right on pairs
    that people decided."""

    wins: Interval
    at_equal_length: Interval
    accuracy: Interval


def win_rate(
    labels: Labels,
    differences: Array,
    longer: Array,
    prompts: NDArray[np.intp],
    *,
    settled: Sequence[float] = (),
    folds: int = FOLDS,
    seed: int = 17,
) -> Judged:
    """`differences` (m, d): features of the new model's answers less the old one's; `longer` (m,): logarithm of how
    many times as many words they have; `prompts` (m,), one answer of either to each; `settled`: the new model's scores
    on further prompts, which need no judge, as where one of them said nothing. Raises ValueError for fewer prompts with
    labels than folds, for ties alone, or without an answer."""
    known = np.unique(labels.prompts)
    decided = labels.outcomes != 0.5
    if len(known) < folds or not len(differences) or not decided.any():
        raise ValueError("as many prompts with labels as folds, one that is no tie, and an answer of either are needed")
    random = np.random.default_rng(seed)
    names = random.permutation(known)
    place = {name: number % folds for number, name in enumerate(names)}
    fold = np.array([place[name] for name in labels.prompts])
    # Prompts without a label belong to no fold by themselves; any judge knows nothing of them.
    asked = np.array([place.get(name, number % folds) for number, name in enumerate(prompts)])
    taste = random.standard_normal((labels.differences.shape[1], REPLICATES))
    margins = np.empty((REPLICATES, len(differences)))
    guesses = np.empty(len(labels.outcomes))
    for number in range(folds):
        learnt = fold != number
        judge = fit(
            labels.differences[learnt], labels.outcomes[learnt], weights=labels.weights[learnt], groups=labels.groups
        )
        drawn = judge.mean[:, None] + np.linalg.cholesky(judge.covariance) @ taste
        margins[:, asked == number] = (differences[asked == number] @ drawn).T
        guesses[~learnt] = labels.differences[~learnt] @ judge.mean
    wins = np.where(margins == 0, 0.5, margins > 0)
    m = len(differences)
    again = random.multinomial(m, np.full(m, 1 / m), size=REPLICATES).astype(float)
    even = length_control.rates(wins, longer, again)
    if len(settled):
        wins = np.hstack([wins, np.tile(np.asarray(settled, float), (REPLICATES, 1))])
        n = wins.shape[1]
        again = random.multinomial(n, np.full(n, 1 / n), size=REPLICATES).astype(float)
    side = np.where(labels.outcomes > 0.5, 1.0, -1.0)[decided]
    right = (guesses[decided] * side).tolist()
    return Judged(
        _interval((wins * again).mean(axis=1), wins.shape[1]),
        _interval(even, m),
        pair_accuracy(right, [0.0] * len(right), labels.prompts[decided].tolist()),
    )


def _interval(drawn: Array, n: int) -> Interval:
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(drawn.mean()), float(lower), float(upper), n)
