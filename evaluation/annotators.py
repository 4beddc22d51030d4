"""Simulated annotators: a stated taste, and the manners of people. Imports no Django.

What they say is marked as simulated for ever, and trains nothing unless somebody asks for it.

Each answer is perceived with noise of Gumbel's distribution on its worth, and all that is said follows from that. So
two answers are ordered as by Bradley and Terry (1952) and more as by Plackett (1975), of whose rankings any two answers
are ordered as if they had been asked about alone (Luce 1959, "Individual Choice Behavior"; Yellott 1977, J. Math.
Psychol. 15, on the noise). How much better the best seems than the next falls into the degrees of strength as in a
cumulative logit model (Agresti 1992, "Analysis of Ordinal Paired Comparison Data").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ranking(NamedTuple):
    """Ranks run over the answers as shown, left first, 1 is best; how much better the best is than the next, from 1,
    or None where several are best."""

    ranks: list[int]
    strength: int | None


@dataclass(frozen=True)
class Manner:
    """How a taste becomes a ranking. Values and biases are in log-odds: 1 makes an even pair one of 73 to 27."""

    clarity: float = 1.0  # how far answers seem apart, times their difference in value
    slips: float = 0.03  # share of labels that fall any way, whatever the answers are
    tie_within: float = 0.1  # log-odds that are called a tie, of two answers that stand next to each other
    to_the_left: float = 0.0
    to_the_longer: float = 0.0
    fatigue: float = 0.0  # share of clarity that is lost in a hundred labels

    def ranking(
        self,
        values: Sequence[float],
        lengths: Sequence[float],
        *,
        done: int,
        random: np.random.Generator,
        ties: bool = True,
        levels: int = 1,
    ) -> Ranking:
        """What is said of two answers or more. `done`: labels given before without a rest; `ties`: whether they may be
        said; `levels`: degrees of strength, none of which is said if there is none."""
        if random.random() < self.slips:
            ranks = [int(rank) for rank in 1 + random.permutation(len(values))]
            return Ranking(ranks, int(random.integers(levels)) + 1 if levels else None)
        worth = np.array(values, float) * self.clarity * (1 - self.fatigue) ** (done / 100)
        worth[0] += self.to_the_left
        worth += self.to_the_longer * (np.array(lengths) == max(lengths))
        perceived = worth + random.gumbel(size=len(worth))
        order = np.argsort(-perceived)
        ranks = _ranks(worth, order, self.tie_within if ties else 0.0)
        best, second = order[:2]
        if not levels or ranks.count(1) > 1:
            return Ranking(ranks, None)
        return Ranking(ranks, strength_of(float(perceived[best] - perceived[second]), levels))


def _ranks(worth: NDArray[np.float64], order: NDArray[np.intp], tie_within: float) -> list[int]:
    """Neighbours in the order are tied while their worth is that close to the first of them. What lies further apart
    is never tied, and so keeps the chances that it has as a pair."""
    ranks, rank, first = [1] * len(order), 1, order[0]
    for place in order[1:]:
        if abs(worth[place] - worth[first]) >= tie_within:
            rank, first = rank + 1, place
        ranks[place] = rank
    return ranks


def begins(strength: int, levels: int) -> float:
    """The log-odds from which a difference has this degree: the degrees share evenly what lies between an even chance
    and certainty.

    >>> begins(1, 4), round(begins(3, 4), 3)
    (0.0, 1.099)
    """
    sure = 0.5 + (strength - 1) / (2 * levels)
    return math.log(sure / (1 - sure))


def strength_of(apart: float, levels: int) -> int:
    """The degree of a difference in log-odds, from 1 to `levels`.

    >>> [strength_of(apart, 4) for apart in (0.0, 1.0, 1.2, 50.0)]
    [1, 2, 3, 4]
    """
    return max(strength for strength in range(1, levels + 1) if begins(strength, levels) <= apart)
