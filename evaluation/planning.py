"""How many labels are needed? Answered by labelling a pool many times over in simulation. Imports no Django."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.posterior import Array, fit
from evaluation.selectors import SELECTORS, Pool, distinct

BATCH = 20  # labels between two orders of the queue
HELD_OUT = 0.25  # of the prompts


@dataclass(frozen=True)
class Labelled:
    """A pool of pairs and what an annotator would say of each: `differences` (n, d), `outcomes` (n,), which of two
    answers is in truth the better (`truth` (n,): 1, 0, or a half where neither is), `prompts` (n,), `costs` (n,), and
    the features' `groups` (d,). `items` (n,), from 0, tells which pairs are of one item, whose ranking says them all in
    one label; without it each pair is one. A pair's cost is that of its item. `answers` (n, 2), from 0: which two they
    are, so that few are asked about often."""

    differences: Array
    outcomes: Array
    truth: Array
    prompts: NDArray[np.intp]
    costs: Array
    groups: NDArray[np.intp]
    items: NDArray[np.intp] | None = None
    answers: NDArray[np.intp] | None = None

    def labels_on(self, pairs: NDArray[np.intp], said: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How many labels there are on the prompts of `pairs` (m,) and on their two answers (m, 2), where all pairs of
        items with a label are `said` (n,)."""
        items = np.arange(len(self.prompts)) if self.items is None else self.items
        found = np.zeros((len(pairs), 2), np.intp)
        _, of_item = np.unique(items[said], return_index=True)
        asked = np.bincount(self.prompts[said][of_item], minlength=self.prompts.max() + 1)
        found[:, 0] = asked[self.prompts[pairs]]
        if self.answers is not None:
            shown = np.unique(np.column_stack([np.tile(items[said], 2), self.answers[said].T.ravel()]), axis=0)[:, 1]
            found[:, 1] = np.bincount(shown, minlength=self.answers.max() + 1)[self.answers[pairs]].sum(axis=1)
        return found


def learning_curve(pool: Labelled, *, selector: str, total: int, seed: int, batch: int = BATCH) -> list[float]:
    """Share of clear pairs on held-out prompts that the posterior puts right, after each batch of labels.

    As in the queue, an item stands for its two answers that lie furthest apart, and the pairs of a ranking of k count
    2/k each. The first batch is random for every selector; equal seeds hold out the same prompts and begin with the
    same batch. Raises ValueError if too few prompts are there to hold any out.
    """
    random = np.random.default_rng(seed)
    prompts = random.permutation(np.unique(pool.prompts))
    held_out = np.isin(pool.prompts, prompts[: int(len(prompts) * HELD_OUT)])
    tested = held_out & (pool.truth != 0.5)
    items = np.arange(len(pool.prompts)) if pool.items is None else pool.items
    stands, weights = _furthest(pool.differences, items), _weights(items)
    free = ~held_out[stands]
    if not tested.any() or not free.any():
        raise ValueError("too few prompts to hold some out")
    asked = random.permutation(np.flatnonzero(free))[:batch]
    posterior, found = None, []
    while True:
        free[asked] = False
        said = np.isin(items, asked)
        posterior = fit(
            pool.differences[said], pool.outcomes[said], groups=pool.groups, weights=weights[said], start=posterior
        )
        guess = pool.differences[tested] @ posterior.mean
        found.append(float(np.mean(np.where(guess == 0, 0.5, (guess > 0) == (pool.truth[tested] > 0.5)))))
        rest = np.flatnonzero(free)
        if len(asked) >= total or not len(rest):
            return found
        pairs = stands[rest]
        waiting = Pool(
            pool.differences[pairs],
            pool.prompts[pairs],
            pool.costs[pairs],
            posterior,
            labels=pool.labels_on(pairs, said),
        )
        order = SELECTORS[selector](waiting, random, 2 * batch)
        chosen = distinct(waiting, order, batch)  # near-duplicates only where there is nothing else
        asked = np.concatenate([asked, rest[np.concatenate([chosen, order[~np.isin(order, chosen)]])[:batch]]])


def _furthest(differences: Array, items: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of each item the place of the pair whose answers lie furthest apart."""
    order = np.lexsort((-np.linalg.norm(differences, axis=1), items))
    first = np.r_[True, np.diff(items[order]) > 0]
    return order[first]


def _weights(items: NDArray[np.intp]) -> Array:
    """2/k for each of the k (k - 1) / 2 pairs of k answers."""
    pairs = np.bincount(items)[items]
    weights: Array = 4 / (1 + np.sqrt(1 + 8 * pairs))
    return weights


def monotone(values: Sequence[float] | Array) -> Array:
    """The nearest curve that never falls (pool adjacent violators; Ayer et al. 1955).

    >>> monotone([1.0, 3.0, 2.0, 4.0]).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.concatenate([np.full(n, value) for value, n in blocks])


def labels_needed(curve: Array, level: float, *, batch: int = BATCH) -> float:
    """At which label a curve that never falls reaches a level, by a line between batches; infinity if it does not.

    >>> labels_needed(np.array([0.5, 0.75, 1.0]), 0.875, batch=10)
    25.0
    """
    at = int(np.searchsorted(curve, level))
    if at == len(curve):
        return float("inf")
    if at == 0:
        return float(batch)
    return batch * (at + float((level - curve[at - 1]) / (curve[at] - curve[at - 1])))


@dataclass(frozen=True)
class Plan:
    """Labels until a level is reached: the median over simulations and where 95 % of them lie; infinity is "not within
    the budget". `best` is the share that was right at the end of the budget, on average."""

    median: float
    lower: float
    upper: float
    best: float


def plan(curves: Sequence[Sequence[float]], level: float) -> Plan:
    """From learning curves of several simulations. Raises ValueError without one."""
    if not curves:
        raise ValueError("nothing was simulated")
    needed = sorted(labels_needed(monotone(curve), level) for curve in curves)
    lower, median, upper = (float(np.quantile(needed, share, method="nearest")) for share in (0.025, 0.5, 0.975))
    return Plan(median, lower, upper, float(np.mean([monotone(curve)[-1] for curve in curves])))
