"""A place in a text with what stands around it. Imports no Django."""

from dataclasses import dataclass

AROUND = 240  # characters on either side
LONGEST = 1_200  # of a text without a place


@dataclass(frozen=True)
class Excerpt:
    before: str
    marked: str
    after: str


def excerpt(text: str, start: int | None = None, end: int | None = None) -> Excerpt:
    """The marked place and its surroundings, cut between words; without a place the beginning of the text.

    >>> excerpt("one two three", 4, 7)
    Excerpt(before='one ', marked='two', after=' three')
    >>> excerpt("word " * 100, 250, 254).before[:6]
    '… word'
    """
    if start is None or end is None:
        return Excerpt("", "", text if len(text) <= LONGEST else f"{_cut(text[:LONGEST])} …")
    start, end = min(start, len(text)), min(end, len(text))
    before, after = text[:start], text[end:]
    if len(before) > AROUND:
        before = f"… {_cut(before[-AROUND:][::-1])[::-1]}"
    if len(after) > AROUND:
        after = f"{_cut(after[:AROUND])} …"
    return Excerpt(before, text[start:end], after)


def _cut(text: str) -> str:
    """Without the word that may be cut in two at the end, unless it is most of the text."""
    words, space, last = text.rpartition(" ")
    return words if space and len(last) < 40 else text
