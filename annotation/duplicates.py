"""Texts that are the same, and texts that are nearly the same. Imports no Django.

Nearly: most of the runs of three words are in both. The share (Jaccard's) is estimated by MinHash (Broder 1997), and
those that may reach it are found by locality-sensitive hashing: a signature of 120 numbers is cut into 20 bands, and
whoever agrees in a whole band is compared. Of two texts alike by 0.8, 99.8 % meet so. A crowd of copies is compared
with its first and each with the one before, so that the time is linear however many there are.
"""

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import rensa
from numpy.typing import NDArray

from annotation.text import as_seen

BANDS, ROWS = 20, 6
SEED = 17
ALIKE = 0.8
FEWEST_WORDS = 8  # of which one more or less is not nearly the same
SHORTEST = 40  # characters of an answer: "Yes, gladly." answers many questions
ENDS = string.punctuation + string.whitespace + "…。！？“”‘’«»"
WORD = re.compile(r"\w+")
WORD_OR_SIGN = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")

Pairs = Iterator[tuple[int, int, float]]


def plain(text: str) -> str:
    """What two texts share that say the same in other spaces, capitals and punctuation at their ends.

    >>> plain("  Where is\\n my parcel?") == plain("where is my parcel")
    True
    """
    return as_seen(text).casefold().strip(ENDS)


def words(text: str) -> list[str]:
    """Words in lower case; where a script has no spaces, each sign by itself.

    >>> words("On its way!"), words("荷物は Tokyo")
    (['on', 'its', 'way'], ['荷', '物', 'は', 'tokyo'])
    """
    return (WORD if text.isascii() else WORD_OR_SIGN).findall(text.lower())


def shingles(text: str) -> list[str]:
    """All runs of three words."""
    found = words(text)
    return [" ".join(three) for three in zip(found, found[1:], found[2:], strict=False)]


@dataclass
class Sketches:
    """Texts as little as it takes to find those that are alike: add them in the order of their age."""

    _same: list[NDArray[np.uint64]] = field(default_factory=list)
    _bands: list[NDArray[np.uint64]] = field(default_factory=list)
    _signs: list[NDArray[np.uint8]] = field(default_factory=list)
    _places: list[NDArray[np.int64]] = field(default_factory=list)  # of the texts that are long enough for it
    count: int = 0

    def add(self, texts: Sequence[str], *, shortest: int = 0) -> None:
        """`shortest`: characters from which on a text that is there twice is worth a word."""
        bare = [plain(text) for text in texts]
        self._same.append(np.array([_number(one) if len(one) >= shortest else 0 for one in bare], np.uint64))
        sets = [shingles(one) for one in bare]
        long = [place for place, one in enumerate(sets) if len(one) >= FEWEST_WORDS - 2]
        if long:
            digest = rensa.RMinHash.digest_matrix_from_token_sets([sets[one] for one in long], BANDS * ROWS, SEED)
            numbers = np.array(digest.to_rows(), np.uint64)
            self._signs.append(numbers.astype(np.uint8))
            self._bands.append(_mixed(numbers.reshape(len(long), BANDS, ROWS)))
            self._places.append(np.array(long, np.int64) + self.count)
        self.count += len(texts)

    def same(self, sides: NDArray[np.bool_] | None = None) -> Pairs:
        """(older, younger, 1.0) of texts that are the same; as `alike`."""
        numbers = np.concatenate(self._same) if self._same else np.empty(0, np.uint64)
        wanted = np.flatnonzero(numbers)
        for older, younger in _pairs(numbers[wanted], None if sides is None else sides[wanted]):
            yield from zip(wanted[older].tolist(), wanted[younger].tolist(), [1.0] * len(older), strict=True)

    def alike(self, sides: NDArray[np.bool_] | None = None, *, least: float = ALIKE) -> Pairs:
        """(older, younger, how alike) of texts that are nearly the same, or the same, by their places, each pair once.

        With `sides` (n,), (one with True, one with False, how alike) instead: each of the others with the first that
        is on this side."""
        if not self._bands:
            return
        bands, signs = np.concatenate(self._bands), np.concatenate(self._signs)
        places = np.concatenate(self._places)
        met: set[int] = set()
        for band in range(BANDS):
            for older, younger in _pairs(bands[:, band], None if sides is None else sides[places]):
                share = (signs[older] == signs[younger]).mean(axis=1)
                estimate = np.clip((share - 1 / 256) / (1 - 1 / 256), 0, 1)  # eight bits of each number agree by chance
                for one in np.flatnonzero(estimate >= least).tolist():
                    key = int(older[one]) * len(places) + int(younger[one])
                    if key not in met:
                        met.add(key)
                        yield int(places[older[one]]), int(places[younger[one]]), float(estimate[one])


def closest(pairs: Iterable[tuple[int, int, float]]) -> Mapping[int, tuple[int, float]]:
    """For each that has an older one like it, the one most like it, and how much.

    >>> closest([(0, 2, 0.8), (1, 2, 0.9)])
    {2: (1, 0.9)}
    """
    found: dict[int, tuple[int, float]] = {}
    for older, younger, share in pairs:
        if younger not in found or share > found[younger][1]:
            found[younger] = (older, share)
    return found


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1


def _mixed(bands: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One number for each band of each text."""
    found = np.zeros(bands.shape[:2], np.uint64)
    for row in range(ROWS):
        found = (found ^ bands[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)  # wraps around, as it should
        found ^= found >> np.uint64(29)
    return found


AT_ONCE = 200_000


def _pairs(
    numbers: NDArray[np.uint64], sides: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places with equal numbers: each with the first of its crowd and with the one before it, or each of the others
    with the first on this side."""
    order = np.argsort(numbers, kind="stable")
    if len(order) < 2:
        return
    starts = np.concatenate([[True], numbers[order][1:] != numbers[order][:-1]])
    crowd = np.cumsum(starts) - 1
    if sides is None:
        first = np.flatnonzero(starts)[crowd]
        rest = np.flatnonzero(~starts)
        further = rest[first[rest] != rest - 1]
        older = np.concatenate([order[first[rest]], order[further - 1]])
        younger = np.concatenate([order[rest], order[further]])
    else:
        here = np.flatnonzero(sides[order])
        first_here = np.full(crowd[-1] + 1, -1)
        first_here[crowd[here][::-1]] = here[::-1]
        rest = np.flatnonzero(~sides[order] & (first_here[crowd] >= 0))
        older, younger = order[first_here[crowd[rest]]], order[rest]
    for start in range(0, len(older), AT_ONCE):
        yield older[start : start + AT_ONCE], younger[start : start + AT_ONCE]
