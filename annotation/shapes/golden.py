"""What a record says under `gold`: the right answer to its items. Imports no Django."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.shapes.rows import COMPARISON, DEMONSTRATION, VERDICTS
from annotation.text import why_unstorable


@dataclass(frozen=True, kw_only=True)
class Known:
    """Any of `verdicts` is right, or by text of the answer its rank and whether it is unacceptable."""

    verdicts: Sequence[str] = ()
    ranks: Mapping[str, int] = field(default_factory=dict)
    unacceptable: Collection[str] = ()
    explanation: str = ""
    quiz: bool = False

    def of(self, ids: Mapping[str, int]) -> dict[str, Any]:
        """The same in terms of one item, whose answers have these ids: what makes an annotation.gold.Right."""
        places = sorted({self.ranks[text] for text in ids if text in self.ranks})
        ranks = {pk: places.index(self.ranks[text]) + 1 for text, pk in ids.items() if text in self.ranks}
        bad = [pk for text, pk in ids.items() if text in self.unacceptable]
        return {"verdicts": self.verdicts, "ranks": ranks, "unacceptable": bad}


def understand(
    value: Any, kind: str, answers: Sequence[str], groups: Sequence[Collection[str]], responses: Any
) -> Known:
    """Read the value under `gold`; raises ValueError with the reason if it does not fit the line.

    `answers` are the different ones among the line's `responses`, `groups` those of each item it makes.
    """
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    explanation, quiz = value.get("explanation") or "", value.get("quiz") is True
    if not isinstance(explanation, str) or why_unstorable(explanation):
        raise ValueError('"explanation" must be a text')
    if kind == DEMONSTRATION:
        verdicts = value.get("verdicts")
        if not isinstance(verdicts, list) or not verdicts or not all(one in VERDICTS for one in verdicts):
            raise ValueError('of a demonstration needs "verdicts": a list of accept, edit, reject')
        return Known(verdicts=verdicts, explanation=explanation, quiz=quiz)
    if kind != COMPARISON:
        raise ValueError("needs an answer to judge")
    count = len(answers)
    if len(responses) != count:
        raise ValueError("cannot be said where two of the responses are the same")
    ranks, bad = value.get("ranks"), value.get("unacceptable") or [False] * count
    if not isinstance(ranks, list) or len(ranks) != count or not all(_is_rank(one, count) for one in ranks):
        raise ValueError(f'of a comparison needs "ranks": for each response a number from 1, the best, to {count}')
    if not isinstance(bad, list) or len(bad) != count or not all(isinstance(one, bool) for one in bad):
        raise ValueError('"unacceptable" must say true or false of each response')
    rank_of = dict(zip(answers, ranks, strict=True))
    marked = {text for text, is_bad in zip(answers, bad, strict=True) if is_bad}
    for group in groups:
        if len({rank_of[text] for text in group}) == 1 and not marked.intersection(group):
            raise ValueError("says nothing: with all answers equal and acceptable every judgement would be right")
    return Known(ranks=rank_of, unacceptable=marked, explanation=explanation, quiz=quiz)


def _is_rank(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= count
