"""What choosing the questions has saved, estimated from those that were drawn at random. Imports no Django.

The random slice is judged like all else, so its pairs are a fair test: a posterior fitted to the chosen labels, and one
fitted to labels of the slice, both predict pairs of the slice on prompts that neither has seen. If m chosen labels
predict as well as n random ones, they save 1 - m / n.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.posterior import Array, fit

FOLDS = 5
FEWEST_DRAWN = 50  # labels of the slice
SIZES = 7  # numbers of chosen labels that are tried
RESAMPLED = 1000


@dataclass(frozen=True)
class Saved:
    """Share of labels saved, with its 95 % interval; below 0 where choosing did harm."""

    value: float
    lower: float
    upper: float
    drawn: int

    @property
    def is_certain(self) -> bool:
        return self.lower > 0


def estimate(
    differences: Array,
    outcomes: Array,
    *,
    prompts: NDArray[np.intp],
    drawn: NDArray[np.bool_],
    groups: NDArray[np.intp],
    seed: int = 17,
) -> Saved | None:
    """From labels in the order in which they were given; `drawn` (n,) tells those of the random slice.

    None while the slice has fewer than `FEWEST_DRAWN`, or fewer chosen labels are there. The interval resamples the
    prompts of the slice; what another choice of labels would have taught is not in it.
    """
    slice_, chosen = np.flatnonzero(drawn), np.flatnonzero(~drawn)
    if len(slice_) < FEWEST_DRAWN or len(chosen) < FEWEST_DRAWN:
        return None
    random = np.random.default_rng(seed)
    names = random.permutation(np.unique(prompts[slice_]))
    fold_of = {name: place % FOLDS for place, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in prompts[slice_]])
    n = round(len(slice_) * (FOLDS - 1) / FOLDS)  # labels of the slice that were learnt from
    sizes = np.unique(np.geomspace(n / 5, min(len(chosen), 2 * n), SIZES).round().astype(int))
    losses = np.zeros((len(slice_), len(sizes) + 1))
    for number in range(FOLDS):
        tested = slice_[fold == number]
        held_out = np.isin(prompts, prompts[tested])

        def loss(learnt: NDArray[np.intp], tested: NDArray[np.intp] = tested) -> Array:
            found = fit(differences[learnt], outcomes[learnt], groups=groups)
            p = np.clip(found.probability(differences[tested]), 1e-6, 1 - 1e-6)
            return -(outcomes[tested] * np.log(p) + (1 - outcomes[tested]) * np.log(1 - p))

        losses[fold == number, 0] = loss(slice_[fold != number])
        others = chosen[~held_out[chosen]]
        for place, size in enumerate(sizes, start=1):
            losses[fold == number, place] = loss(others[:size])
    of_prompt = np.array([losses[prompts[slice_] == name].sum(axis=0) for name in names])
    drawn_again = of_prompt[random.integers(len(names), size=(RESAMPLED, len(names)))].sum(axis=1)
    shares = [_share(row, sizes, n) for row in drawn_again]
    lower, upper = np.quantile(shares, [0.025, 0.975])
    return Saved(_share(of_prompt.sum(axis=0), sizes, n), float(lower), float(upper), len(slice_))


def _share(losses: Array, sizes: NDArray[np.intp], n: int) -> float:
    """1 - m / n for the fewest chosen labels m that lose no more than the n random ones, between sizes by a line.
    If none do, nothing was saved, and perhaps more was spent."""
    goal, reached = losses[0], np.minimum.accumulate(losses[1:])
    at = int(np.argmax(reached <= goal)) if (reached <= goal).any() else len(sizes)
    if at == 0:
        needed = float(sizes[0])
    elif at == len(sizes):
        needed = float(max(n, sizes[-1]))
    else:
        part = (reached[at - 1] - goal) / (reached[at - 1] - reached[at])
        needed = sizes[at - 1] + part * (sizes[at] - sizes[at - 1])
    return float(1 - needed / n)
