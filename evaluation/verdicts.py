"""What a judge says of pairs that it saw twice, with the sides swapped: verdicts in, figures out. Imports no Django.

A verdict that changes with the side is a tie (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot
Arena", section 3.4). One of the two that could not be read leaves the pair out: nobody guesses.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from annotation.statistics import Interval, wilson
from evaluation import length_control
from evaluation.statistics import pair_accuracy

SCORES = {"first": 1.0, "tie": 0.5, "second": 0.0}
Verdicts = Sequence[str | None]  # with the first answer shown as A, and as B


@dataclass(frozen=True)
class Opinion:
    """`wins` and `at_equal_length`: how often the first of two answers was preferred, a tie counting half. The counts
    are of pairs; `changed` are those among the ties whose verdict went with the side."""

    wins: Interval | None
    at_equal_length: Interval | None
    changed: int
    unreadable: int


@dataclass(frozen=True)
class Agreement:
    """How often the judge says what people said, a tie of its counting half; `right` of the `sided` pairs in which it
    took a side at all."""

    interval: Interval | None
    sided: int
    right: int
    changed: int
    unreadable: int


def score(said: Verdicts) -> float | None:
    """What two verdicts on one pair say together: 1 for the first answer, 0 for the second; None if one is unreadable.

    >>> score(["first", "first"]), score(["first", "second"]), score(["first", "tie"]), score(["second", None])
    (1.0, 0.5, 0.5, None)
    """
    if len(said) != 2 or None in said:
        return None
    return SCORES[said[0] or ""] if said[0] == said[1] else 0.5


def changes(said: Verdicts) -> bool:
    return score(said) is not None and said[0] != said[1]


def win_rate(said: Mapping[Hashable, Verdicts], longer: Mapping[Hashable, float], *, same: int = 0) -> Opinion:
    """Of pairs by name; `longer` is how much longer the first answer is, as a logarithm. `same` more pairs were not
    asked, for both answers are alike: ties. Where some of `longer` could not be told, as many of these are left out.

    >>> found = win_rate({n: ["first", "first" if n < 6 else "second"] for n in range(8)}, dict.fromkeys(range(8), 0.0))
    >>> str(found.wins), found.changed
    ('88 % (53 to 98 %, n 8)', 2)
    >>> str(win_rate({0: ["first", "first"]}, {0: 0.0, 1: 0.0}, same=2).wins)
    '75 % (20 to 97 %, n 2)'
    """
    found = {name: value for name in said if (value := score(said[name])) is not None}
    same = round(same * len(found) / len(longer)) if longer else same
    scores, n = list(found.values()), len(found) + same
    lengths = [*(longer[name] for name in found), *[0.0] * same]
    return Opinion(
        wins=wilson(sum(scores) + same / 2, n) if n else None,
        at_equal_length=length_control.win_rate([*scores, *[0.5] * same], lengths) if n else None,
        changed=sum(changes(one) for one in said.values()),
        unreadable=len(said) - len(found),
    )


def agreement(said: Mapping[Hashable, Verdicts], prompts: Mapping[Hashable, Hashable]) -> Agreement:
    """Of pairs of which people preferred the first; pairs of one prompt are not counted as independent."""
    found = {name: value for name in said if (value := score(said[name])) is not None}
    interval = None
    if found:
        interval = pair_accuracy(list(found.values()), [0.5] * len(found), [prompts[name] for name in found])
    return Agreement(
        interval=interval,
        sided=sum(value != 0.5 for value in found.values()),
        right=sum(value == 1.0 for value in found.values()),
        changed=sum(changes(one) for one in said.values()),
        unreadable=len(said) - len(found),
    )
