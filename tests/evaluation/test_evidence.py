"""What an interval says of a limit, at its edges and in simulations in which the truth is known."""

import numpy as np
import pytest

from annotation.statistics import Interval
from evaluation import evidence
from tests.benchmarks.coverage import length_outcomes, share_outcomes


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (Interval(0.05, -0.02, 0.15, 30), "passed"),
        (Interval(0.3, 0.151, 0.5, 30), "failed"),
        (Interval(0.05, -0.2, 0.3, 30), "undecided"),
        (Interval(0.2, -0.02, 0.51, 8), "undecided"),
        (Interval(0.2, 0.06, 0.34, 90), "failed"),  # as narrow as it gets: the figure decides
        (Interval(0.1, -0.04, 0.24, 90), "passed"),
        (Interval(0.05, 0.04, 0.06, 7), "undecided"),  # alike by chance, perhaps
    ],
)
def test_what_must_stay_below_a_limit(found, outcome):
    told = evidence.at_most(found, 0.15, margin=0.15)
    assert told.outcome == outcome
    assert (told.needed > 0) == (outcome == "undecided")


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (Interval(0.7, 0.51, 0.85, 20), "passed"),
        (Interval(0.3, 0.1, 0.49, 20), "failed"),
        (Interval(0.6, 0.4, 0.78, 20), "undecided"),
        (Interval(1.0, 0.51, 1.0, 4), "undecided"),  # a coin does that
        (Interval(0.53, 0.48, 0.58, 400), "failed"),  # so many were asked, and it is not shown
    ],
)
def test_what_must_be_shown_to_lie_above_one(found, outcome):
    told = evidence.above(found, 0.5, margin=0.05)
    assert told.outcome == outcome
    assert (told.needed > 0) == (outcome == "undecided")


def test_about_as_many_more_as_would_tell():
    """A share of 0.6 of 50: Wilson's interval leaves one half at 95 in all."""
    assert evidence.above(Interval(0.6, 0.4618, 0.7239, 50), 0.5, margin=0.05).needed == pytest.approx(45, abs=5)
    assert evidence.above(Interval(0.5, 0.366, 0.634, 50), 0.5, margin=0.05).needed == 310  # and 385 are enough for any
    assert evidence.at_most(Interval(0.05, 0.04, 0.06, 3), 0.15, margin=0.15).needed == 5


def test_few_are_refused_or_let_through_wrongly_however_few_were_measured():
    """tests/benchmarks/coverage.py has the same with more seeds and sizes."""
    for prompts in (8, 24, 100):
        kept = length_outcomes(range(150), prompts=prompts, growth=0.0)
        grown = length_outcomes(range(150), prompts=prompts, growth=0.35)
        assert np.mean([one == "failed" for one in kept]) <= 0.05
        assert np.mean([one == "passed" for one in grown]) <= 0.05
    for pairs in (10, 60, 400):
        coin = share_outcomes(range(150), pairs=pairs, rate=0.5)
        good = share_outcomes(range(150), pairs=pairs, rate=0.65)
        assert np.mean([one == "passed" for one in coin]) <= 0.06
        assert np.mean([one == "failed" for one in good]) <= 0.05
    assert np.mean([one == "failed" for one in length_outcomes(range(150), prompts=100, growth=0.4)]) >= 0.9
