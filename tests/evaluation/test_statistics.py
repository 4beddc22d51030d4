"""Intervals against published tables and against what they promise; rates by hand."""

from math import comb
from random import Random

import pytest

from evaluation.statistics import pair_accuracy, preference, uncertainty, wilson


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombe(successes, n, lower, upper):
    found = wilson(successes, n)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)
    assert (found.value, found.n) == (successes / n, n)


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (3, 17), (8, 16), (40, 41)])
def test_failures_have_the_mirrored_interval(successes, n):
    one, other = wilson(successes, n), wilson(n - successes, n)
    assert one.lower == pytest.approx(1 - other.upper, abs=1e-12)
    assert one.upper == pytest.approx(1 - other.lower, abs=1e-12)


def test_a_wider_promise_is_a_wider_interval():
    found = [wilson(12, 30, confidence) for confidence in (0.5, 0.9, 0.95, 0.99)]
    assert [one.lower for one in found] == sorted((one.lower for one in found), reverse=True)
    assert [one.upper for one in found] == sorted(one.upper for one in found)
    assert all(one.lower < one.value < one.upper for one in found)


def test_all_and_nothing_stay_within_zero_and_one():
    for n in range(1, 60):
        assert wilson(0, n).lower == 0.0
        assert wilson(n, n).upper == 1.0
        assert 0 < wilson(0, n).upper < 1


@pytest.mark.parametrize("n", [20, 60])
@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.8])
def test_it_covers_the_truth_as_often_as_it_says(n, p):
    """Exactly, by summing over all outcomes: near 95 %, as Newcombe found (means of 0.952, minima of 0.83)."""
    outcomes = [(k, comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)]
    covered = sum(chance for k, chance in outcomes if wilson(k, n).lower <= p <= wilson(k, n).upper)
    assert 0.92 <= covered <= 0.98


def test_it_covers_the_truth_in_simulated_studies():
    random = Random(5)
    covered = 0
    for _ in range(4000):
        p = random.random()
        found = wilson(sum(random.random() < p for _ in range(40)), 40)
        covered += found.lower <= p <= found.upper
    assert 0.94 <= covered / 4000 <= 0.965


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (1, 0), (-1, 5), (6, 5), (float("nan"), 5)])
def test_what_is_no_proportion_is_refused(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)


def test_it_is_said_in_words():
    assert str(wilson(81, 263)) == "31% (26% to 37%, n 263)"


def test_pair_accuracy_counts_pairs_and_ties_half():
    found = pair_accuracy([1.0, 2.0, 0.5, 3.0, -1.0], [0.0, 2.0, 1.0, 1.0, -2.0])
    assert (found.value, found.n) == (3.5 / 5, 5)
    assert (found.lower, found.upper) == (wilson(3.5, 5).lower, wilson(3.5, 5).upper)


def test_pair_accuracy_knows_no_other_order_than_each_pair_s():
    random = Random(3)
    chosen = [random.gauss(0.5, 1) for _ in range(200)]
    rejected = [random.gauss(0, 1) for _ in range(200)]
    right = sum(c > r for c, r in zip(chosen, rejected, strict=True))
    assert pair_accuracy(chosen, rejected) == wilson(right, 200)
    assert pair_accuracy(chosen[::-1], rejected[::-1]) == wilson(right, 200)
    assert pair_accuracy(rejected, chosen).value == pytest.approx(1 - right / 200)
    assert pair_accuracy(rejected, rejected).value == 0.5


@pytest.mark.parametrize(("chosen", "rejected"), [([1.0], []), ([1.0], [0.0, 2.0]), ([], [])])
def test_scores_that_are_missing_are_no_accuracy(chosen, rejected):
    with pytest.raises(ValueError, match=r"missing|no proportion"):
        pair_accuracy(chosen, rejected)


def test_uncertainty_falls_with_the_difference_and_never_breaks():
    found = [uncertainty(0.0, difference) for difference in (0.0, 0.1, 1.0, 10.0, 1e3, 1e6)]
    assert found[0] == 1.0
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.0)
    assert uncertainty(1e308, -1e308) == uncertainty(-1e308, 1e308) == 0.0
    assert uncertainty(3.0, 5.0) == pytest.approx(uncertainty(5.0, 3.0))


def test_preferences_of_both_sides_add_up():
    for first, second in [(0.0, 0.0), (2.0, -1.0), (-700.0, 700.0)]:
        assert preference(first, second) + preference(second, first) == pytest.approx(1.0)
    assert preference(2.0, 1.0) == pytest.approx(0.7310585786)  # 1 / (1 + e⁻¹)
