"""A simulated annotator: a stated taste, with noise, and the manners of a person who works through the API.

The taste is the house style of the demonstration's guidelines, reduced to what a program can see in a text:

    + 2    the first sentence thanks the customer or says sorry
    + 1    the last sentence offers help or names a next step
    + 0.3  for each polite word, three at most
    - 0.06 for each word over 45, and 0.1 for each word under 12
    - 1.5  the text stops in mid-sentence
    - 2    it repeats itself
    - 3    it has a placeholder or speaks of being a language model

What it says of two answers is drawn: the better one by the Bradley-Terry model on the difference in taste over
`NOISE`, a tie where the difference is small, and in `SLIPS` of all cases anything at all.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

NOISE = 0.5
SLIPS = 0.03
TIE_WITHIN = 0.15
OPENINGS = re.compile(
    r"\b(thank|thanks|sorry|apolog|merci|désolé|danke|vielen dank|entschuldig|gracias|lo siento|bedankt|dank)", re.I
)
CLOSINGS = re.compile(
    r"\b(please|let us know|let me know|we will|we can|happy to|gladly|feel free|welcome|help|send|reply|tell us)\b",
    re.I,
)
POLITE = re.compile(r"\b(please|thank|thanks|sorry|glad|gladly|happy|kind|welcome|pleasure)\b", re.I)
LEAKS = re.compile(r"\[[A-Z][A-Za-z _]*\]|\{\{?\w+\}?\}|language model|as an ai\b|insert ", re.I)


def taste(text: str) -> float:
    """How much the annotator likes a text; see above.

    >>> taste("Thank you for asking. We open at nine; please come by.") > taste("Nine.")
    True
    """
    words = text.split()
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    if not words or not sentences:
        return -5.0
    score = 2.0 * bool(OPENINGS.search(sentences[0])) + 1.0 * bool(CLOSINGS.search(sentences[-1]))
    score += 0.3 * min(3, len(POLITE.findall(text)))
    score -= 0.06 * max(0, len(words) - 45) + 0.1 * max(0, 12 - len(words))
    score -= 1.5 * (not text.rstrip().endswith((".", "!", "?", '"', "'", ")")))
    trigrams = Counter(zip(words, words[1:], words[2:], strict=False))
    score -= 2.0 * any(count > 1 for count in trigrams.values())
    score -= 3.0 * bool(LEAKS.search(text))
    return score


def win_rate(by_prompt: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Sum over prompts of the share of (old, new) pairs in which the noiseless taste prefers the new answer; equal
    taste counts half.

    >>> win_rate([(["Nine."], ["Thank you for asking. We open at nine; please come by."])])
    1.0
    """
    total = 0.0
    for old, new in by_prompt:
        points = [1.0 if taste(b) > taste(a) else 0.5 if taste(b) == taste(a) else 0.0 for a in old for b in new]
        total += sum(points) / len(points)
    return total


class Annotator:
    """Decides what to say of an assignment as the API shows it."""

    def __init__(self, seed: int, edits: Path) -> None:
        self.random = Random(seed)
        rows = [json.loads(line) for line in edits.read_text().splitlines()]
        self.edits = {(_last(row["prompt"]), row["draft"].strip()): row for row in rows}

    def judge(self, assignment: dict[str, Any]) -> dict[str, Any]:
        """The label for an assignment, less its UUID."""
        texts = [answer["text"] for answer in assignment["answers"]]
        if assignment["kind"] == "demonstration":
            return self._clean(assignment, texts)
        return self._rank(texts, len(assignment["strength_levels"]))

    def _clean(self, assignment: dict[str, Any], texts: list[str]) -> dict[str, Any]:
        edit = self.edits.get((_last(assignment["prompt"]), texts[0].strip())) if texts else None
        seconds = round(self.random.uniform(20, 90), 1)
        if edit is None or edit["verdict"] == "reject":
            return {"verdict": "reject", "seconds": seconds}
        if edit["verdict"] == "accept" or edit["text"].strip() == texts[0].strip():
            return {"verdict": "accept", "seconds": seconds}
        return {"verdict": "edit", "text": edit["text"], "seconds": seconds}

    def _rank(self, texts: list[str], levels: int) -> dict[str, Any]:
        left, right = (taste(text) for text in texts)
        seconds = round(self.random.uniform(5, 30), 1)
        if max(left, right) < -1.5:
            return {"ranks": [1, 1], "unacceptable": [True, True], "seconds": seconds}
        difference = left - right
        if abs(difference) < TIE_WITHIN:
            return {"ranks": [1, 1], "seconds": seconds}
        prefers_left = self.random.random() < 1 / (1 + math.exp(-difference / NOISE))
        if self.random.random() < SLIPS:
            prefers_left = self.random.random() < 0.5
        strength = min(levels, 1 + int(abs(difference)))
        return {"ranks": [1, 2] if prefers_left else [2, 1], "strength": strength, "seconds": seconds}


def _last(prompt: Any) -> str:
    return str(prompt if isinstance(prompt, str) else prompt[-1]["content"]).strip()
