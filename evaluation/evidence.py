"""What a figure's interval says of a limit: passed, failed, or undecided, and then how many more would tell. Imports no
Django.

An interval that leaves the limit on one side decides. One that holds it says that too few were measured, unless it is
as narrow as `margin` to either side: more would hardly change the answer then, and the figure itself decides what must
stay below a limit, while what must be proved to lie above one is not proved.
"""

from dataclasses import dataclass
from math import ceil

from annotation.statistics import Interval

PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"
# How near to its limit a figure is told from it; tests/benchmarks/coverage.py shows how often that goes wrong.
SHARES, LENGTH, DISTANCE = 0.05, 0.15, 0.2  # of comparisons won; of words, relative; nats a token
FEWEST = 8  # below which no spread of a mean is known well enough; a coin is right 4 times of 4 in 6 % of cases


@dataclass(frozen=True)
class Finding:
    """`needed`: about how many more must be measured until it is decided; 0 once it is."""

    outcome: str
    needed: int = 0


def at_most(found: Interval, limit: float, *, margin: float) -> Finding:
    """Whether a mean stays within a limit.

    >>> at_most(Interval(0.2, -0.02, 0.51, 8), 0.15, margin=0.15)
    Finding(outcome='undecided', needed=17)
    >>> at_most(Interval(0.2, 0.1, 0.3, 80), 0.15, margin=0.15).outcome
    'failed'
    """
    if found.n >= FEWEST:
        if found.upper <= limit:
            return Finding(PASSED)
        if found.lower > limit:
            return Finding(FAILED)
        if found.upper - found.lower <= 2 * margin:
            return Finding(PASSED if found.value <= limit else FAILED)
    return Finding(UNDECIDED, max(FEWEST - found.n, _needed(found, limit, margin)))


def above(found: Interval, limit: float, *, margin: float) -> Finding:
    """Whether a share is proved to lie above a limit.

    >>> above(Interval(0.6, 0.46, 0.73, 50), 0.5, margin=0.05)
    Finding(outcome='undecided', needed=48)
    >>> above(Interval(0.52, 0.48, 0.56, 600), 0.5, margin=0.05).outcome
    'failed'
    """
    if found.n >= FEWEST:
        if found.lower > limit:
            return Finding(PASSED)
        if found.upper < limit or found.upper - found.lower <= 2 * margin:
            return Finding(FAILED)
    return Finding(UNDECIDED, max(FEWEST - found.n, _needed(found, limit, margin)))


def _needed(found: Interval, limit: float, margin: float) -> int:
    """More of them, in two digits, until the interval leaves the limit if the figure stays as it is, or is as narrow as
    the margin; an interval shrinks with the root of the number."""
    side = found.value - found.lower if found.value > limit else found.upper - found.value
    half = (found.upper - found.lower) / 2
    total = found.n * min((side / max(abs(found.value - limit), 1e-9)) ** 2, (half / margin) ** 2)
    more = max(1, ceil(total - found.n))
    unit = 10 ** max(0, len(str(more)) - 2)
    return ceil(more / unit) * unit
