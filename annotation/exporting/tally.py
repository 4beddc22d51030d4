"""How far a file is."""

from dataclasses import dataclass


@dataclass
class Tally:
    """`done` of `total` items, prompts or answers were read, and that is what came of them."""

    total: int = 0
    done: int = 0
    rows: int = 0
    left_out: int = 0  # what the shape cannot carry

    def step(self, count: int) -> None:
        self.done += count
