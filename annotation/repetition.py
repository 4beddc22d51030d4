"""Where a text says the same thing again and again. Linear in the text; imports no Django."""

import operator
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

Found = Iterator[tuple[int, int, str]]

# A word, or one character of a script that is written without spaces.
WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
SENTENCE = re.compile(r"[^.!?…。！？\n]+(?:[.!?…。！？](?!\s|$)[^.!?…。！？\n]*)*", re.M)
TABLE_OR_RULE = re.compile(r"^\s*(?:\||[-=*_]{3,}\s*$)")
SHORTEST_SENTENCE = 5  # words: "Thank you very much." may stand twice
LONGEST_PHRASE = 12  # words that are looked for one after the other
FAR_APART = 10  # words of a phrase that is looked for anywhere
MOST_OFTEN = 2  # times such a phrase may occur
TWICE = re.compile(r"\b(the|a|an|of|to|and|is|are|for|with|from|der|die|das|und|le|la|les|el|los) \1\b", re.I)


def repetitions(text: str) -> Found:
    """(start, end, sentence) of each repetition: sentences first, then phrases in a row, then anywhere."""
    yield from _sentences(text)
    words = [(word.start(), word.end(), word[0].casefold()) for word in WORD.finditer(text)]
    yield from _in_a_row(text, words)
    yield from _anywhere(text, words)
    for twice in TWICE.finditer(text):
        yield *twice.span(), f"“{twice[0]}”: the same word twice."


def _sentences(text: str) -> Found:
    places = defaultdict(list)
    for found in SENTENCE.finditer(text):
        words = tuple(WORD.findall(found[0].casefold()))
        if len(words) >= SHORTEST_SENTENCE and not TABLE_OR_RULE.match(found[0]):
            places[words].append(found)
    for again in places.values():
        if len(again) > 1:
            start = again[1].start() + len(again[1][0]) - len(again[1][0].lstrip())
            yield start, again[1].end(), f"This sentence stands here {_times(len(again))}."


def _in_a_row(text: str, words: list[tuple[int, int, str]]) -> Found:
    """A phrase three times in a row, or a single word four times."""
    keys = [word for _, _, word in words]
    done = -1  # words before this one are told already
    runs = []
    for length in range(1, LONGEST_PHRASE + 1):
        same = bytes(map(operator.eq, keys[length:], keys))
        needed = length * 2 if length > 1 else 3
        runs += [(run.start(), run.end() + length, length) for run in re.finditer(rb"\x01{%d,}" % needed, same)]
    for first, last, length in sorted(runs):
        phrase = keys[first : first + length]
        if first < done or not any(word[0].isalpha() for word in phrase):
            continue
        if length == 1 and len(phrase[0]) == 1 and last - first < 6:  # laughter in Chinese, say
            continue
        done = last
        start, end = words[first][0], words[last - 1][1]
        said = text[start : words[first + length - 1][1]]
        yield start, end, f"“{short(said)}” stands here {_times((last - first) // length)} in a row."


def _anywhere(text: str, words: list[tuple[int, int, str]]) -> Found:
    """A phrase of ten words that occurs three times or more: told at its second place."""
    keys = [word for _, _, word in words]
    phrases = list(zip(*(keys[place:] for place in range(FAR_APART)), strict=False))
    often = {phrase: times for phrase, times in Counter(phrases).items() if times > MOST_OFTEN}
    if not often:
        return
    met: Counter[tuple[str, ...]] = Counter()
    done = -1
    for place, phrase in enumerate(phrases):
        if phrase not in often:
            continue
        met[phrase] += 1
        if met[phrase] != 2 or place < done:
            continue
        done = place + FAR_APART
        start, end = words[place][0], words[done - 1][1]
        yield start, end, f"“{short(text[start:end])}” stands here {_times(often[phrase])}."


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def short(text: str) -> str:
    """As much of a text as fits into a sentence about it."""
    return text if len(text) <= 40 else f"{text[:38]}…"
