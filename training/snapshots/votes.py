"""What people said about two answers, or about one, as numbers; and what comes of it under a rule. No texts here: a
hundred thousand judgements must fit where a hundred thousand conversations would not."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from annotation import competence
from training.snapshots.rules import Rule

TIED, FEW, DIVIDED = "tied, or as many votes either way", "fewer votes than asked for", "less agreement than asked for"
BESIDE = 1e-9  # sums of weights that differ by less are the same


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


def count(pairs: Pairs, prompt: int, label: int, judged: list[Judged], strength: float) -> None:
    """Add one ranking to the votes of each pair of its answers; two that are both unacceptable are no vote."""
    for place, one in enumerate(judged):
        for other in judged[place + 1 :]:
            if not (one.unacceptable and other.unacceptable):
                winner = 0 if one.rank == other.rank else one.response if one.rank < other.rank else other.response
                vote(pairs, prompt, (one.response, other.response), Vote(label, winner, strength if winner else 0.0))


def vote(pairs: Pairs, prompt: int, answers: tuple[int, int], said: Vote) -> None:
    first, second = sorted(answers)
    pairs.setdefault((first, second), Votes(prompt, first, second)).said.append(said)


def of_pair(votes: Votes, rule: Rule, worth: Worth, is_decision: Callable[[int], bool]) -> list[Outcome] | str:
    """The rows that come of a pair; or why none does."""
    if why := _too_few(votes.said, rule, is_decision):
        return why
    wins: defaultdict[int, float] = defaultdict(float)
    strengths: dict[int, float] = {votes.first: 0.0, votes.second: 0.0}
    for label, winner, strength in votes.said:
        wins[winner] += worth(label)
        if winner:
            strengths[winner] += strength * worth(label)
    total = sum(wins.values())
    chosen = votes.first if wins[votes.first] > wins[votes.second] else votes.second
    level = abs(wins[votes.first] - wins[votes.second]) < BESIDE
    if not total or not wins[chosen] or (level and rule.aggregation != "all_votes"):
        return TIED
    if wins[chosen] / total < rule.minimum_agreement:
        return DIVIDED
    if rule.aggregation == "all_votes":
        return [
            Outcome(winner, round(strength, 6), round(wins[winner] / total, 6), [label])
            for label, winner, strength in votes.said
            if winner
        ]
    margin = (strengths[chosen] - strengths[votes.other(chosen)]) / total
    labels = sorted(one.label for one in votes.said)
    return [Outcome(chosen, round(max(0.0, margin), 6), round(wins[chosen] / total, 6), labels)]


def of_answer(found: Verdicts, rule: Rule, worth: Worth, is_decision: Callable[[int], bool]) -> list[Outcome] | str:
    """The rows that come of one answer, good or bad; or why none does."""
    if why := _too_few(found.said, rule, is_decision):
        return why
    good = sum(worth(one.label) for one in found.said if one.winner)
    total = sum(worth(one.label) for one in found.said)
    if not total:
        return TIED
    share = good / total
    if abs(share - 0.5) < BESIDE and rule.aggregation != "all_votes":
        return TIED
    if max(share, 1 - share) < rule.minimum_agreement:
        return DIVIDED
    if rule.aggregation == "all_votes":
        return [
            Outcome(one.winner, 0.0, round(share if one.winner else 1 - share, 6), [one.label]) for one in found.said
        ]
    return [Outcome(int(share > 0.5), 0.0, round(max(share, 1 - share), 6), [one.label for one in found.said])]


def _too_few(said: list[Vote], rule: Rule, is_decision: Callable[[int], bool]) -> str:
    enough = len(said) >= rule.minimum_votes or any(is_decision(one.label) for one in said)
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
