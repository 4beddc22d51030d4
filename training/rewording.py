"""Whether a text says the same as another in other words, as far as can be told without reading it. Imports no Django.

It refuses too much rather than too little: a paraphrase more is worth little, and one that asks something else teaches
the model a wrong answer.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from annotation.duplicates import ALIKE, Sketches, plain, words
from annotation.languages import differ, language_of, short
from training.nearness import Nearness

SHORTEST, LONGEST = 0.4, 2.5  # of the original's characters
GRACE = 20  # characters by which a short one may be longer all the same
NEAR = 0.3  # of its words, from which on being nearer to a held-out prompt is no chance
TOO_LIKE = 0.9  # of its words, from which on a paraphrase is the same as another

ANNOUNCED = re.compile(r"(?:sure|certainly|of course|here|rewritten|paraphrased?)\b[^\n:]{0,80}:\s+", re.I)
RULED = re.compile(r"^\s*-{3,}\s*$", re.M)
QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“"}
QUESTION_MARKS = {"?", "\u037e", "\u061f", "\uff1f"}  # Latin, Greek, Arabic, Chinese
SPELLED = re.compile(  # what has to be there to the letter: code, places to fill in, addresses
    r"```.*?```|`[^`\n]+`"
    r"|\{\{[^{}\n]{1,80}\}\}|\{[A-Za-z_][\w ]{0,60}\}|\[[A-Za-z_][\w '-]{1,60}\]|<[A-Za-z_][\w '-]{0,60}>"
    r"|%\w\b|\$\w+"
    r"|https?://[^\s<>()\"]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<!\w)@\w+",
    re.S,
)
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
NAME = re.compile(r"(?<![.!?:\n\"“(«] )(?<!^)(?<![\"“(«\n])\b[^\W\d_a-z]\w+", re.M)
ACRONYM = re.compile(r"\b(?:[A-Z]{2,}\w*|[A-Za-z]*[a-z][A-Z]\w*|[A-Za-z]+\d\w*)\b")
ALL_NOUNS = {"de", "lb", "nds", "bar", "gsw", "als"}  # languages that write every noun as others write names


def bare(text: str) -> str:
    """A wording without what models say around it.

    >>> bare('Sure, here it is:\\n\\n-----\\n"Where is it?"\\n-----')
    'Where is it?'
    """
    text = RULED.sub("", text).strip()
    announced = ANNOUNCED.match(text)
    text = text[announced.end() :] if announced else text
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1]
    return text.strip()


def details(text: str, language: str = "") -> Iterator[str]:
    """What another wording has to have, too: numbers, names, code, addresses and places to fill in.

    >>> list(details("Dear Ms Ito, can {product} reach https://a.example by 7 May?", "en"))
    ['{product}', 'https://a.example', '7', 'ms', 'ito', 'may']
    """
    rest = text
    for found in SPELLED.finditer(text):
        spelled = found[0].rstrip(".,;:!?")
        yield spelled
        rest = rest.replace(spelled, " ")
    yield from (found[0] for found in NUMBER.finditer(rest))
    names = ACRONYM if language in ALL_NOUNS else NAME
    yield from (found[0].casefold() for found in names.finditer(rest) if found[0].lower() != found[0])
    if names is NAME:
        yield from (found[0].casefold() for found in ACRONYM.finditer(rest) if found.start() == 0)


def lost(original: str, other: str, language: str = "") -> str:
    """The first detail that is in one and not in the other; of what is added, numbers alone count. Empty if none is.

    >>> lost("Open at 9 on May 4?", "Is it open on May 4?", "en"), lost("Is Bo in?", "Is there anybody called Bo?")
    ('9', '')
    """
    language = short(language) or language_of(original)[0]
    folded, spoken = other.casefold(), set(words(other))
    numbers = set(NUMBER.findall(other))
    for one in details(original, language):
        there = one in numbers if NUMBER.fullmatch(one) else one in other or one in spoken or _within(one, folded)
        if not there:
            return one
    return next(iter(sorted(numbers - set(NUMBER.findall(original)))), "")


def _within(name: str, folded: str) -> bool:
    """A name may be declined: Ito's."""
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}", folded) is not None


def length(original: str, other: str) -> str:
    """ "shorter" or "longer" if it is much so, else empty.

    >>> length("Where is my parcel?", "Parcel?"), length("Hi!", "Good morning to you!"), length("Hi!", "x" * 99)
    ('shorter', '', 'longer')
    """
    if len(other) < SHORTEST * len(original):
        return "shorter"
    return "longer" if len(other) > LONGEST * len(original) + GRACE else ""


def other_language(original: str, other: str, language: str = "") -> bool:
    """Whether it is certainly written in another language; `language` is that of the original, if it is known."""
    return differ(language or language_of(original)[0], language_of(other)[0])


def asks_no_more(original: str, other: str) -> bool:
    """Whether a question has become something else, an answer most likely.

    >>> asks_no_more("Are you in?", "I am in."), asks_no_more("Are you in?", "Is anybody there? Say so.")
    (True, False)
    """
    return original.rstrip().endswith(tuple(QUESTION_MARKS)) and not QUESTION_MARKS & set(other)


def is_same(one: str, other: str) -> bool:
    """Whether the two are the same to a reader, but for spaces, capitals and ends."""
    return plain(one) == plain(other)


def repeats(text: str, others: Iterable[str]) -> bool:
    """Whether it is the same as one of these, or nearly."""
    own = set(words(text))
    for other in others:
        theirs = set(words(other))
        if is_same(text, other) or (own and len(own & theirs) >= TOO_LIKE * len(own | theirs)):
            return True
    return False


class Heldout:
    """The prompts that are held out, and which wordings come too near to them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)
        self._words = Nearness(self._texts)

    def near(self, wordings: list[str]) -> set[int]:
        """Places of those that are the same as a held-out prompt, or nearly (annotation/duplicates.py)."""
        if not self._texts or not wordings:
            return set()
        sketches = Sketches()
        sketches.add(self._texts)
        sketches.add(wordings)
        first = len(self._texts)
        sides = np.arange(first + len(wordings)) < first
        pairs = [*sketches.same(sides), *sketches.alike(sides, least=ALIKE)]
        return {other - first for _, other, _ in pairs}

    def nearer(self, original: str, other: str) -> tuple[bool, float]:
        """Whether it is near to a held-out prompt, and nearer than what it was made of; and its share with the nearest.

        >>> heldout = Heldout(["Can I send a package back?"])
        >>> heldout.nearer("How do I return a parcel?", "Can I send the package back?")[0]
        True
        >>> heldout.nearer("How do I return a parcel?", "In what way can a parcel be returned?")[0]
        False
        """
        if not self._texts:
            return False, 0.0
        shares = self._words.shares(other)
        closer = (shares >= NEAR) & (shares > self._words.shares(original))
        return bool(closer.any()), float(shares.max())
