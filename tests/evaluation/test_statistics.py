"""Rates of models by hand."""

from random import Random

import pytest

from annotation.statistics import wilson
from evaluation.statistics import pair_accuracy, preference, uncertainty


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
