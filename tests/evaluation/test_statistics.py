"""Rates of models by hand."""

from random import Random

import numpy as np
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


def test_pairs_of_one_prompt_are_not_as_many_of_one_each():
    """Rankings of eight answers by nobody's taste: a judge by chance is right on more than half of the pairs in no more
    cases than the interval allows, which it is in 12 % if each pair counts as one."""
    random, above, as_if_alone = np.random.default_rng(1), [], []
    first, second = np.triu_indices(8, 1)
    for _ in range(400):
        taste, guess = random.normal(size=(2, 20, 8))
        right = (guess[:, first] - guess[:, second]) * np.sign(taste[:, first] - taste[:, second])
        pairs = right.ravel().tolist()
        prompts = np.repeat(np.arange(20), len(first)).tolist()
        above.append(pair_accuracy(pairs, [0.0] * len(pairs), prompts).lower > 0.5)
        as_if_alone.append(pair_accuracy(pairs, [0.0] * len(pairs)).lower > 0.5)
    assert np.mean(above) <= 0.05 < 0.08 < np.mean(as_if_alone)


def test_pairs_of_a_prompt_each_are_independent_and_those_of_one_prompt_are_one():
    right = [1.0, 1.0, 1.0, -1.0]
    assert pair_accuracy(right, [0.0] * 4, ["a", "b", "c", "d"]) == wilson(3, 4)
    found = pair_accuracy(right, [0.0] * 4, ["a"] * 4)
    assert (found.value, found.lower, found.n) == (0.75, wilson(0.75, 1).lower, 4)
    assert pair_accuracy([1.0] * 4, [0.0] * 4, ["a", "a", "b", "b"]).lower == wilson(2, 2).lower
