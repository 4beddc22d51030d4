"""Strengths from comparisons: a published example to the fourth digit, a closed form, simulations of known truth."""

import numpy as np
import pytest

from evaluation import bradley_terry, length_control
from tests.benchmarks import coverage

# American League baseball 1987, home team's wins and losses against each visitor (Agresti 2002, Categorical Data
# Analysis, table 10.10; fitted in Turner and Firth 2012, Journal of Statistical Software 48(9), section 2.2).
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
AT_HOME = [
    [None, (4, 3), (4, 2), (4, 3), (6, 1), (4, 2), (6, 0)],
    [(3, 3), None, (4, 2), (4, 3), (6, 0), (6, 1), (4, 3)],
    [(2, 5), (4, 3), None, (2, 4), (4, 3), (4, 2), (6, 0)],
    [(3, 3), (5, 1), (2, 5), None, (4, 3), (4, 2), (6, 1)],
    [(5, 1), (2, 5), (3, 3), (4, 2), None, (5, 2), (6, 0)],
    [(2, 5), (3, 3), (3, 4), (4, 3), (4, 2), None, (2, 4)],
    [(2, 5), (1, 5), (1, 6), (2, 4), (1, 6), (3, 4), None],
]
WEAK = {"prior_sd": 1e4, "covariate_sd": 1e4}  # maximum likelihood, as published


@pytest.fixture(scope="module")
def games():
    rows = [
        (home, away, score)
        for home, line in enumerate(AT_HOME)
        for away, cell in enumerate(line)
        if cell
        for score, times in zip((1.0, 0.0), cell, strict=True)
        for _ in range(times)
    ]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_the_baseball_season_as_published(games):
    found = bradley_terry.fit(*games, **WEAK)
    against_baltimore = [round(found.difference(team, 6).value, 4) for team in range(6)]
    assert against_baltimore == [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839]
    assert (found.n, found.tie) == (273, 0.0)


def test_the_baseball_season_with_the_advantage_of_the_home_team(games):
    found = bradley_terry.fit(*games, left=np.ones(len(games[0])), **WEAK)
    against_baltimore = [round(found.difference(team, 6).value, 4) for team in range(6)]
    assert against_baltimore == [1.6196, 1.4754, 1.3271, 1.2813, 1.1438, 0.7047]
    assert found.left is not None
    assert round(found.left.value, 4) == 0.3023
    assert (found.left.upper - found.left.value) / 1.96 == pytest.approx(0.1309, abs=0.005)  # its standard error


def test_davidson_s_ties_of_two_models_have_a_closed_form():
    """Of two, strength is log(wins / losses) and ν is ties / √(wins · losses): the likelihood is saturated."""
    found = bradley_terry.fit([0] * 17, [1] * 17, [1] * 8 + [0] * 2 + [0.5] * 7, **WEAK)
    assert found.difference(0, 1).value == pytest.approx(np.log(8 / 2), abs=1e-6)
    assert found.tie == pytest.approx(7 / np.sqrt(8 * 2), abs=1e-6)
    assert found.strengths.sum() == pytest.approx(0)


def test_who_is_called_the_first_changes_nothing():
    first = np.array([0, 0, 1, 2, 1, 0, 2])
    second = np.array([1, 2, 2, 0, 0, 1, 1])
    score, left = np.array([1, 0.5, 1, 0, 0, 1, 0.5]), np.array([1, -1, 1, 1, -1, 1, -1])
    one = bradley_terry.fit(first, second, score, left=left)
    other = bradley_terry.fit(second, first, 1 - score, left=-left)
    assert one.strengths == pytest.approx(other.strengths)
    assert one.covariance == pytest.approx(other.covariance)


def test_a_liking_for_one_side_is_not_taken_for_strength():
    """The first always stands left, and the left wins two times in three: by the covariate they are equal."""
    score = np.array([1, 1, 0] * 40)
    turned = np.array([1, -1] * 60)
    said = np.where(turned == 1, score, 1 - score)
    found = bradley_terry.fit(np.zeros(120, int), np.ones(120, int), said, left=turned)
    assert abs(found.difference(0, 1).value) < 0.2
    assert found.left is not None
    assert found.left.lower > 0.2


def test_one_that_never_lost_has_a_strength_all_the_same():
    found = bradley_terry.fit([0] * 5, [1] * 5, [1] * 5).difference(0, 1)
    assert 0 < found.value < 20
    assert found.lower < found.value < found.upper


def test_votes_on_one_item_are_no_new_evidence():
    first, second, score = [0, 0, 1] * 10, [1, 1, 0] * 10, [1, 0, 0.5] * 10
    alone = bradley_terry.fit(first, second, score).difference(0, 1)
    again = bradley_terry.fit(first * 5, second * 5, score * 5, clusters=[*range(30)] * 5).difference(0, 1)
    taken_apart = bradley_terry.fit(first * 5, second * 5, score * 5).difference(0, 1)
    assert again.value == pytest.approx(alone.value, abs=0.02)
    assert again.upper - again.lower == pytest.approx(alone.upper - alone.lower, rel=0.05)
    assert taken_apart.upper - taken_apart.lower < (alone.upper - alone.lower) / 2


@pytest.mark.parametrize("columns", [([], [], []), ([0], [1], [0.7]), ([0, 1], [1], [1, 0]), ([0], [1], [1, 0])])
def test_what_is_no_comparison_is_refused(columns):
    with pytest.raises(ValueError, match=r"a comparison has|a score is"):
        bradley_terry.fit(*columns)


def test_models_that_never_met_are_told_apart():
    assert bradley_terry.components(4, [(0, 1), (2, 3)]) == [[0, 1], [2, 3]]
    assert bradley_terry.components(4, [(0, 1), (2, 3), (1, 3)]) == [[0, 1, 2, 3]]


def test_95_percent_of_the_intervals_hold_the_truth():
    """With ties, a liking for the left and for length, and votes on one item that move together; the benchmark
    `coverage` asks 3000 seeds."""
    assert 0.92 <= np.mean(coverage.strengths_covered(range(1, 201))) <= 0.98
    assert 0.92 <= np.mean(coverage.strengths_covered(range(1, 201), ties=False, votes=1)) <= 0.98


# Length-controlled win rates


def test_wins_by_length_alone_are_no_wins():
    """The new one wins 70 %, and whoever is longer wins nine times in ten."""
    longer = np.array([0.5] * 35 + [-0.5] * 15)
    score = np.array([1.0] * 32 + [0.0] * 3 + [0.0] * 13 + [1.0] * 2)
    found = length_control.win_rate(score, longer)
    assert score.mean() == pytest.approx(0.68)
    assert found.lower < 0.5
    assert abs(found.value - 0.5) < 0.1
    assert length_control.win_rate(1 - score, -longer).value == pytest.approx(1 - found.value)


def test_where_length_does_not_matter_the_rate_stays():
    score, longer = np.array([1.0, 1.0, 1.0, 0.0] * 25), np.repeat([0.4, -0.4], 50)
    assert length_control.win_rate(score, longer).value == pytest.approx(0.75, abs=0.02)


def test_one_that_is_always_longer_cannot_be_judged():
    found = length_control.win_rate(np.array([1.0] * 45 + [0.0] * 5), np.full(50, 0.7))
    assert found.lower < 0.5 < found.upper


def test_95_percent_of_the_length_controlled_intervals_hold_the_truth():
    assert 0.92 <= np.mean(coverage.length_covered(range(1, 301))) <= 0.98


def test_no_items_have_no_rate():
    with pytest.raises(ValueError, match="each item"):
        length_control.win_rate([], [])
