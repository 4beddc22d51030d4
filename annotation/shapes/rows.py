"""What a record of any shape becomes: a prompt, its answers, and what was said of them. Imports no Django."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

from annotation.text import sha256_of_json

if TYPE_CHECKING:
    from annotation.shapes.golden import Known

DEMONSTRATION, COMPARISON = "demonstration", "comparison"  # kinds of items
VERDICTS = ACCEPT, EDIT, REJECT = "accept", "edit", "reject"  # on a demonstration
MOST_ANSWERS = 8  # in one comparison


class BadLine(ValueError):
    """A record that cannot be imported; the message says why."""


@dataclass(kw_only=True)
class Said:
    """One label that came with a row, in terms of the places of the row's answers, counted from 0.

    `ranks` (1 is best, equal ranks are ties) and `unacceptable` run over the answers; `criteria` names the place of the
    better answer, None for no difference; `positions` are where the answers stood on the page, 0 is left. `text` is the
    written answer, or the edited one (of a comparison, the best made better); `messages` is the conversation that it
    answers, where earlier turns were mended too. A `decision` is the word of a reviewer.
    """

    rater: str = ""  # as the file names them; empty where it names nobody
    ranks: list[int] | None = None
    unacceptable: list[bool] | None = None
    strength: int | None = None
    verdict: str = ""
    text: str | None = None
    comment: str = ""
    flags: list[str] = field(default_factory=list)
    criteria: dict[str, int | None] = field(default_factory=dict)
    seconds: float | None = None
    created_at: datetime | None = None
    positions: list[int] | None = None
    messages: list[dict[str, str]] | None = None
    simulated: bool = False
    decision: bool = False

    def among(self, places: Sequence[int]) -> "Said":
        """The same of some of the answers alone, in this order; `text` stays if the answer it betters is there."""
        if self.ranks is None or list(places) == list(range(len(self.ranks))):
            return self
        best = [place for place, rank in enumerate(self.ranks) if rank == 1]
        shown = sorted(self.positions[place] for place in places) if self.positions else []
        return replace(
            self,
            ranks=ranked([self.ranks[place] for place in places]),
            unacceptable=self.unacceptable and [self.unacceptable[place] for place in places],
            strength=self.strength if set(best) <= set(places) else None,
            text=self.text if set(best) <= set(places) else None,
            criteria={
                name: None if better is None else list(places).index(better)
                for name, better in self.criteria.items()
                if better is None or better in places
            },
            positions=[shown.index(self.positions[place]) for place in places] if self.positions else None,
        )


def ranked(values: Sequence[float]) -> list[int]:
    """The rank of each of these values, the smallest of which is the best: one more than how many are better.

    >>> ranked([2, 5, 5, 9])
    [1, 2, 2, 4]
    """
    return [1 + sum(other < value for other in values) for value in values]


@dataclass
class Row:
    """One record, understood: a prompt, the answers that came with it, and what was said of them."""

    line: int
    messages: list[dict[str, str]]
    kind: str = ""  # of the items to make; empty for a prompt alone
    answers: list[str] = field(default_factory=list)
    language: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    gold: "Known | None" = None
    said: list[Said] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sha256 = sha256_of_json(self.messages)

    def spans(self) -> list[range]:
        """The places of the answers of each item to make: one item for all of them, unless they are more than can be
        ranked at once. Then groups of neighbours, as few and as equal as can be, each of which begins with the last
        answer of the one before, so that what is said of one group can be laid beside what is said of the next."""
        steps = len(self.answers) - 1
        if steps < MOST_ANSWERS:
            return [range(len(self.answers))]
        number = ceil(steps / (MOST_ANSWERS - 1))
        return [range(a, b + 1) for a, b in pairwise(steps * part // number for part in range(number + 1))]

    def groups(self) -> list[list[str]]:
        """The answers of each item to make."""
        if len(self.answers) <= MOST_ANSWERS:
            return [self.answers]
        return [[self.answers[place] for place in span] for span in self.spans()]
