"""Agreement against published worked examples, intervals against published tables and against what they promise."""

from math import comb
from random import Random

import numpy as np
import pytest

from annotation.statistics import (
    INTERVAL,
    NOMINAL,
    ORDINAL,
    agreed,
    alpha,
    alphas,
    benjamini_hochberg,
    bootstrapped,
    cohen,
    coincidences,
    counts,
    fleiss,
    wilson,
)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections A to C: who said what of each unit.
TWO_VALUES = ("0100000010", "1110010000")
NOMINAL_DATA = ("aabbdcccedda", "babbbccceddd")
MISSING = [  # section C: observers A to D, units 1 to 12
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]

# Fleiss 1971, table 1: 30 patients, six psychiatrists each, five diagnoses.
FLEISS = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""
# Cohen 1960, his example: 200 cases, two judges, three categories.
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]


def by_unit(*people):
    return counts([list(unit) for unit in zip(*people, strict=True)])[0]


# Krippendorff


def test_krippendorff_a_two_observers_two_values():
    assert alpha(by_unit(*TWO_VALUES)) == pytest.approx(0.095, abs=5e-4)


def test_krippendorff_b_two_observers_many_values():
    assert alpha(by_unit(*NOMINAL_DATA)) == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize(("level", "published"), [(NOMINAL, 0.743), (ORDINAL, 0.815), (INTERVAL, 0.849)])
def test_krippendorff_c_and_d_any_number_of_observers_missing_data_other_metrics(level, published):
    table, values = counts([list(unit) for unit in zip(*MISSING, strict=True)])
    assert alpha(table, level, values) == pytest.approx(published, abs=5e-4)


def test_the_coincidence_matrix_is_the_published_one():
    """Krippendorff 2011, section C: 40 pairable values; the last unit, judged once, is not among them."""
    table, _ = counts([list(unit) for unit in zip(*MISSING, strict=True)])
    matrix = coincidences(table).sum(axis=0)
    assert matrix.sum() == pytest.approx(40)
    assert matrix.sum(axis=1).tolist() == pytest.approx([9, 13, 10, 5, 3])
    assert matrix[0].tolist() == pytest.approx([7, 4 / 3, 1 / 3, 1 / 3, 0])


def test_full_agreement_is_one_and_data_that_do_not_vary_are_no_evidence():
    assert alpha([[3, 0], [0, 3]]) == alpha([[3, 0], [0, 3]], ORDINAL) == 1.0
    for level in (NOMINAL, ORDINAL, INTERVAL):
        assert alpha([[3, 0], [3, 0]], level) is None
    assert alpha([[1, 0], [0, 1]]) is None
    assert alpha(np.zeros((0, 3))) is None


def test_less_than_chance_is_below_nought():
    assert alpha([[1, 1]] * 10) == pytest.approx(1 - 19 * 20 / (2 * 10 * 10))


def test_many_matrices_at_once_give_what_each_gives():
    table, values = counts([list(unit) for unit in zip(*MISSING, strict=True)])
    halves = [table[:6], table[6:], table]
    for level in (NOMINAL, ORDINAL, INTERVAL):
        together = alphas([coincidences(half).sum(axis=0) for half in halves], level, values)
        assert together.tolist() == [alpha(half, level, values) for half in halves]


# Fleiss, Cohen, raw


def test_fleiss_psychiatrists():
    table = [[int(digit) for digit in patient] for patient in FLEISS.split()]
    assert np.sum(table, axis=0).tolist() == [26, 26, 30, 55, 43]
    assert fleiss(table) == pytest.approx(0.430, abs=5e-4)


def test_fleiss_wants_as_many_people_everywhere_and_some_variation():
    with pytest.raises(ValueError, match="same number"):
        fleiss([[2, 1], [1, 1]])
    with pytest.raises(ValueError, match="two or more"):
        fleiss([[1, 0], [0, 1]])
    assert fleiss([[2, 0], [2, 0]]) is None
    assert fleiss(np.zeros((0, 2))) is None


def test_cohen_with_his_interval():
    found = cohen(COHEN)
    assert (round(found.value, 3), round(found.lower, 3), round(found.upper, 3), found.n) == (0.492, 0.384, 0.599, 200)


def test_cohen_is_undefined_where_both_always_say_the_same_one_thing():
    assert cohen([[5, 0], [0, 0]]) is None
    assert cohen([[0, 0], [0, 0]]) is None
    assert cohen([[0, 5], [5, 0]]).value == -1


def test_raw_agreement_counts_pairs_of_people():
    same, pairs = agreed([[3, 0], [2, 1], [1, 0], [0, 0]])
    assert (same.tolist(), pairs.tolist()) == ([3, 1, 0, 0], [3, 3, 0, 0])


# Intervals by drawing anew


def share(sums):
    return sums[:, 0] / sums[:, 1]


def test_the_bootstrap_agrees_with_theory_for_a_share():
    rows = [[1, 1]] * 70 + [[0, 1]] * 30
    lower, upper = bootstrapped(rows, share)
    assert (lower, upper) == pytest.approx((0.7 - 0.0898, 0.7 + 0.0898), abs=0.015)


def test_the_bootstrap_is_wider_where_whole_items_agree_or_differ():
    """The same judgements, once independent and once in blocks of five."""
    apart = bootstrapped([[1, 1]] * 70 + [[0, 1]] * 30, share)
    blocks = bootstrapped([[5, 5]] * 14 + [[0, 5]] * 6, share)
    assert blocks[1] - blocks[0] > 1.8 * (apart[1] - apart[0])


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(3)
    covered = 0
    for seed in range(300):
        table = np.array(
            [random.multinomial(3, [0.8, 0.2] if random.random() < 0.5 else [0.2, 0.8]) for _ in range(60)]
        )
        matrices = coincidences(table)
        lower, upper = bootstrapped(matrices.reshape(60, -1), lambda s: alphas(s.reshape(-1, 2, 2)), seed=seed)
        covered += lower <= 0.36 <= upper  # observed disagreement 0.32 of 0.5 by chance
    assert 0.9 <= covered / 300 <= 0.98


def test_the_bootstrap_is_the_same_each_time_and_needs_two_units():
    rows = np.random.default_rng(1).random((40, 2))
    assert bootstrapped(rows, share) == bootstrapped(rows[::-1], share)
    assert bootstrapped(rows[:1], share) is None
    assert bootstrapped([[0, 0]] * 5, lambda sums: np.full(len(sums), np.nan)) is None


# Many tests at once


def test_benjamini_and_hochberg_s_own_example():
    """Their section 3.2: of 15 p-values the four smallest are rejected at 5 %, where Bonferroni rejects three."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert benjamini_hochberg(p).tolist() == [True] * 4 + [False] * 11
    assert benjamini_hochberg(p[::-1]).tolist() == [False] * 11 + [True] * 4


def test_what_was_not_tested_is_not_rejected_and_does_not_count():
    assert benjamini_hochberg([float("nan"), 0.04]).tolist() == [False, True]
    assert benjamini_hochberg([]).tolist() == []


# Wilson


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
    assert str(wilson(81, 263)) == "31 % (26 to 37 %, n 263)"
