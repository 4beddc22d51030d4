"""Simulated annotators: a stated taste, and the manners of people. Imports no Django.

What they say is marked as simulated for ever, and trains nothing unless somebody asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Manner:
    """How a taste becomes a ranking. Values and biases are in log-odds: 1 makes an even pair one of 73 to 27."""

    clarity: float = 1.0  # how far answers seem apart, times their difference in value
    slips: float = 0.03  # share of labels that fall any way, whatever the answers are
    tie_within: float = 0.1  # log-odds that are called a tie, of two answers
    to_the_left: float = 0.0
    to_the_longer: float = 0.0
    fatigue: float = 0.0  # share of clarity that is lost in a hundred labels

    def ranks(
        self, values: Sequence[float], lengths: Sequence[float], *, done: int, random: np.random.Generator
    ) -> list[int]:
        """The rank of each answer as shown, left first; 1 is best. `done`: labels given before without a rest.

        Two answers are ordered as by Bradley and Terry (1952), more as by Plackett (1975): noise with Gumbel's
        distribution on every value does both.
        """
        if random.random() < self.slips:
            return [int(rank) for rank in 1 + random.permutation(len(values))]
        worth = np.array(values, float) * self.clarity * (1 - self.fatigue) ** (done / 100)
        worth[0] += self.to_the_left
        worth += self.to_the_longer * (np.array(lengths) == max(lengths))
        if len(values) == 2 and abs(worth[0] - worth[1]) < self.tie_within:
            return [1, 1]
        order = np.argsort(-(worth + random.gumbel(size=len(values))))
        return [int(rank) for rank in 1 + np.argsort(order)]
