"""How what several people said becomes rows to train on: votes on two answers, or on one, and what comes of them.

Numbers alone, no texts: a hundred thousand judgements must fit where a hundred thousand conversations would not.
Exports (annotation/exporting/learning.py) and snapshots (training/snapshots/collecting.py) read the labels each in
their own way, and both count them here. Imports no Django.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from annotation import competence
from annotation.shapes.rows import ACCEPT, DEMONSTRATION, REJECT

Aggregation = Literal["majority", "weighted", "all_votes"]

TIED, FEW, DIVIDED = "tied, or as many votes either way", "fewer votes than asked for", "less agreement than asked for"
BESIDE = 1e-9  # sums of weights that differ by less are the same
COLUMNS = (
    *("id", "person_id", "item_id", "item__kind", "item__prompt_id", "response_id", "response__prompt_id"),
    *("verdict", "strength", "simulated", "decision"),
)


class About(NamedTuple):
    """A label, as far as rows depend on it: a row of its table by COLUMNS."""

    id: int
    person: int
    item: int
    kind: str
    prompt: int  # the item's
    response: int | None
    answered: int | None  # the prompt of that response: another, where earlier turns were mended
    verdict: str
    strength: int | None
    simulated: bool
    decision: bool


class Judged(NamedTuple):
    """One answer in a ranking."""

    response: int
    rank: int
    unacceptable: bool


class Vote(NamedTuple):
    """`winner` is the better answer's id, 0 for a tie; of one answer 1 for good, 0 for bad."""

    label: int
    winner: int
    strength: float


class Outcome(NamedTuple):
    """A row to be: of a pair `winner` is the preferred answer, of one answer 1 or 0."""

    winner: int
    margin: float
    agreement: float
    labels: list[int]


@dataclass(frozen=True)
class Terms:
    """What is asked of votes before they are a row."""

    aggregation: Aggregation = "majority"
    minimum_agreement: float = 0.5
    minimum_votes: int = 1


@dataclass(slots=True)
class Votes:
    """What people said about one pair of answers, `first` having the lower id."""

    prompt: int
    first: int
    second: int
    said: list[Vote] = field(default_factory=list)

    def other(self, answer: int) -> int:
        return self.second if answer == self.first else self.first


@dataclass(slots=True)
class Verdicts:
    """What people said about one answer."""

    prompt: int
    response: int
    said: list[Vote] = field(default_factory=list)


Pairs = dict[tuple[int, int], Votes]
Worth = Callable[[int], float]  # of the vote in a label
Decides = Callable[[int], bool]  # whether a label is a reviewer's decision


def the_same(label: int) -> float:
    """Every vote is worth as much."""
    return 1


def no_decision(label: int) -> bool:
    return False


# What a label says


def share_of(strength: int | None, levels: int) -> float:
    """How much better, from 0 to 1; a label that does not say is taken at the highest of the levels."""
    return (strength or levels) / levels


def count(pairs: Pairs, prompt: int, label: int, judged: Sequence[Judged], strength: float) -> None:
    """Add one ranking to the votes of each pair of its answers; two that are both unacceptable are no vote."""
    for place, one in enumerate(judged):
        for other in judged[place + 1 :]:
            if not (one.unacceptable and other.unacceptable):
                winner = 0 if one.rank == other.rank else one.response if one.rank < other.rank else other.response
                said = Vote(label, winner, strength if winner else 0.0)
                _vote(pairs, prompt, one.response, other.response, said)


def count_edit(pairs: Pairs, label: About, shown: Sequence[int], judged: Sequence[Judged]) -> None:
    """Add an edit as preferred over what this person made better: the answers that a demonstration showed them, or the
    answer that they ranked best. One in a mended conversation answers another prompt, and is no vote."""
    if label.response is None or label.answered != label.prompt or label.verdict == ACCEPT:
        return
    originals = shown if label.kind == DEMONSTRATION else [one.response for one in judged if one.rank == 1]
    for original in originals:
        if original != label.response:
            _vote(pairs, label.prompt, label.response, original, Vote(label.id, label.response, 1.0))


def good_or_bad(label: About, shown: Sequence[int], judged: Sequence[Judged]) -> Iterator[tuple[int, int, bool]]:
    """Each answer that a label calls good or bad by itself, as prompt, answer and whether it is good.

    An answer that somebody edited is neither: it was worth the work, and not good as it stood. Nor is one that is best
    only because all are tied. `shown` are the answers that a demonstration showed.
    """
    if label.response is not None and label.answered is not None:
        yield label.answered, label.response, True
    elif label.verdict == REJECT:
        yield from ((label.prompt, response, False) for response in shown)
    last = max((one.rank for one in judged), default=1)
    for one in judged:
        if one.unacceptable:
            yield label.prompt, one.response, False
        elif one.rank == 1 < last and label.response is None:
            yield label.prompt, one.response, True


def _vote(pairs: Pairs, prompt: int, one: int, other: int, said: Vote) -> None:
    key = (one, other) if one < other else (other, one)
    votes = pairs.get(key)
    if votes is None:
        votes = pairs[key] = Votes(prompt, *key)
    votes.said.append(said)


# What comes of it


def of_pair(
    votes: Votes, terms: Terms, worth: Worth = the_same, is_decision: Decides = no_decision
) -> list[Outcome] | str:
    """The rows that come of a pair; or why none does."""
    if why := _too_few(votes.said, terms, is_decision):
        return why
    wins: defaultdict[int, float] = defaultdict(float)
    strengths: dict[int, float] = {votes.first: 0.0, votes.second: 0.0}
    for label, winner, strength in votes.said:
        weight = worth(label)
        wins[winner] += weight
        if winner:
            strengths[winner] += strength * weight
    total = sum(wins.values())
    chosen = votes.first if wins[votes.first] > wins[votes.second] else votes.second
    level = abs(wins[votes.first] - wins[votes.second]) < BESIDE
    if not total or not wins[chosen] or (level and terms.aggregation != "all_votes"):
        return TIED
    if wins[chosen] / total < terms.minimum_agreement:
        return DIVIDED
    if terms.aggregation == "all_votes":
        return [
            Outcome(winner, round(strength, 6), round(wins[winner] / total, 6), [label])
            for label, winner, strength in votes.said
            if winner
        ]
    margin = (strengths[chosen] - strengths[votes.other(chosen)]) / total
    labels = sorted(one.label for one in votes.said)
    return [Outcome(chosen, round(max(0.0, margin), 6), round(wins[chosen] / total, 6), labels)]


def of_answer(
    found: Verdicts, terms: Terms, worth: Worth = the_same, is_decision: Decides = no_decision
) -> list[Outcome] | str:
    """The rows that come of one answer, good or bad; or why none does."""
    if why := _too_few(found.said, terms, is_decision):
        return why
    good = sum(worth(one.label) for one in found.said if one.winner)
    total = sum(worth(one.label) for one in found.said)
    if not total:
        return TIED
    share = good / total
    if abs(share - 0.5) < BESIDE and terms.aggregation != "all_votes":
        return TIED
    if max(share, 1 - share) < terms.minimum_agreement:
        return DIVIDED
    if terms.aggregation == "all_votes":
        return [
            Outcome(one.winner, 0.0, round(share if one.winner else 1 - share, 6), [one.label]) for one in found.said
        ]
    return [Outcome(int(share > 0.5), 0.0, round(max(share, 1 - share), 6), [one.label for one in found.said])]


def _too_few(said: list[Vote], terms: Terms, is_decision: Decides) -> str:
    enough = len(said) >= terms.minimum_votes or any(is_decision(one.label) for one in said)
    return "" if enough else FEW


def reliability(units: Iterable[Votes | Verdicts], person_of: Mapping[int, int]) -> dict[int, float]:
    """What each person's vote is worth: the log-odds of their being right, which is how votes of people who are right
    more or less often are best added up (Nitzan and Paroush 1982); nothing for those who are right no more often than
    not. How often that is, the others' votes on the same answers say (annotation/competence.py), and so the same labels
    give the same weights.

    Somebody whom nobody else has met is taken to be right two times in three.
    """
    unit, who, said = [], [], []
    place: dict[int, int] = {}
    for number, one in enumerate(units):
        for label, winner, _ in one.said:
            unit.append(number)
            who.append(place.setdefault(person_of[label], len(place)))
            if isinstance(one, Votes):
                said.append(0 if not winner else 1 if winner == one.first else -1)
            else:
                said.append(1 if winner else -1)
    if not unit:
        return {}
    found = competence.measure(unit, who, said, np.ones(len(place)))
    told = np.asarray(said) != 0
    people = np.asarray(who)[told]
    alone = np.bincount(people, minlength=len(place)) - found.informative  # whose support is a half
    right = np.bincount(people, found.support[told], minlength=len(place)) - alone / 2
    share = (right + competence.FAITH) / (found.informative + competence.FAITH + competence.DOUBT)
    odds = np.maximum(0.0, np.log(share / (1 - share)))
    return {person: round(float(odds[number]), 4) for person, number in place.items()}
