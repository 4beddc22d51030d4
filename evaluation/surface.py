"""What can be seen of an answer without reading it: lengths, layout, manner. Imports no Django."""

import math
import re
from collections import Counter

WORD = re.compile(r"\w+")
SENTENCE = re.compile(r"[.!?…。！？]+(?:\s|$)")
LISTED = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.M)
HEADING = re.compile(r"^#{1,6}\s", re.M)
CUT_OFF = re.compile(r"[.!?…。！？:)\]}\"'`»”’*|]\s*$")
REFUSAL = re.compile(r"\b(sorry|unable to|cannot|can't|as an ai|language model)\b", re.I)
FIRST_PERSON = re.compile(r"\b(i|i'm|my|me)\b", re.I)
SECOND_PERSON = re.compile(r"\b(you|your)\b", re.I)
LONG_WORD = 7  # letters
READ_PER_SECOND = 25  # characters: 250 words a minute
LOOKING = 5.0  # seconds for a pair, however short

NAMES = (
    *("characters", "words", "word length", "different words", "long words", "sentence length"),
    *("lines", "list lines", "headings", "bold", "code", "table cells", "digits"),
    *("questions", "exclamations", "commas", "colons", "quotes", "brackets"),
    *("ends well", "refuses", "I", "you", "words of the prompt"),
)


def surface(prompt: str, text: str) -> list[float]:
    """One number for each of `NAMES`; counts as logarithms, the rest as shares.

    >>> surface("Where is my parcel?", "Your parcel is on its way.")[NAMES.index("words of the prompt")]
    0.5
    """
    words = [word.lower() for word in WORD.findall(text)]
    n = len(words) or 1
    asked = {word for word in WORD.findall(prompt.lower()) if len(word) > 1}
    signs = Counter(text)
    log = math.log1p
    return [
        *(log(len(text)), log(len(words)), sum(map(len, words)) / n, len(set(words)) / n),
        *(sum(len(word) > LONG_WORD for word in words) / n, log(n / max(1, len(SENTENCE.findall(text))))),
        *(log(signs["\n"]), log(len(LISTED.findall(text))), log(len(HEADING.findall(text))), log(text.count("**"))),
        *(log(signs["`"]), log(signs["|"]), log(sum(sign.isdigit() for sign in text))),
        *(log(signs["?"]), log(signs["!"]), log(signs[","]), log(signs[":"]), log(signs['"']), log(signs["("])),
        float(bool(CUT_OFF.search(text))),
        float(bool(REFUSAL.search(text[:200]))),
        *(len(FIRST_PERSON.findall(text)) / n, len(SECOND_PERSON.findall(text)) / n),
        len(asked & set(words)) / (len(asked) or 1),
    ]


def reading_seconds(*texts: str) -> float:
    """How long it takes to judge these answers side by side, about.

    >>> reading_seconds("a" * 250, "b" * 125)
    20.0
    """
    return LOOKING + sum(map(len, texts)) / READ_PER_SECOND
