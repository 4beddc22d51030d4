"""When one may stop asking, whether a reward model knows how sure it may be, and whether two samples differ."""

import numpy as np
import pytest

from evaluation import calibration, sequential, shift
from tests.benchmarks import coverage

# The sequential test


def test_equal_models_are_called_different_at_most_once_in_twenty_however_often_one_looks():
    assert np.mean(coverage.sequential_wrong(range(1, 401))) <= 0.05
    assert np.mean(coverage.looked_wrong(range(1, 61))) > 0.2  # what it spares us


def test_a_better_model_is_found_before_the_end():
    """80 % wins: decided within 40 items in most cases, and never for the wrong one."""
    stopped = []
    for seed in range(20):
        scores = (np.random.default_rng(seed).random(100) < 0.8).astype(float)
        over = sequential.fortunes_against_half(scores) >= np.log(1 / sequential.ALPHA)
        stopped.append(int(over.argmax()) + 1 if over.any() else 101)
        assert sequential.win_rate(scores).decided >= 0
    assert np.median(stopped) <= 40


def test_what_was_shut_out_stays_out():
    """The interval at the end holds at all moments before: looking again never widens it."""
    scores = np.random.default_rng(5).random(80) < 0.7
    widths = []
    for n in range(5, 81, 5):
        found = sequential.win_rate(scores[:n]).interval
        assert found.lower <= found.value <= found.upper
        widths.append(found.upper - found.lower)
    assert widths[-1] < widths[0] / 2


def test_both_sides_are_alike():
    scores = np.array([1, 1, 0.5, 1, 1, 1, 0.5, 1, 1, 1, 1, 1])
    one, other = sequential.win_rate(scores), sequential.win_rate(1 - scores)
    assert (one.decided, other.decided) == (1, -1)
    assert one.interval.lower == pytest.approx(1 - other.interval.upper)


def test_nothing_said_decides_nothing():
    found = sequential.win_rate([])
    assert (found.decided, found.interval.lower, found.interval.upper, found.interval.n) == (0, 0.0, 1.0, 0)
    assert sequential.win_rate([0.5] * 200).decided == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        sequential.win_rate([1.2])


# Calibration


def test_a_model_that_knows_how_sure_it_may_be_is_calibrated():
    random = np.random.default_rng(3)
    apart = random.normal(0, 1.5, 4000)
    right = random.random(4000) < calibration.chances(np.abs(apart))
    differences = np.where(right, np.abs(apart), -np.abs(apart))
    assert calibration.error(differences) < 0.03
    assert calibration.error(4 * differences) > 0.1  # as if it were surer than it is


def test_brier_by_hand():
    log3 = np.log(3.0)
    found = calibration.brier([log3, -log3, 0.0, log3])  # chances 3/4, 1/4, 1/2, 3/4
    assert found.value == pytest.approx((1 / 16 + 9 / 16 + 1 / 4 + 1 / 16) / 4)
    assert found.lower <= found.value <= found.upper
    with pytest.raises(ValueError, match="no pairs"):
        calibration.brier([])


def test_groups_are_of_like_size_and_in_order():
    groups = calibration.bins(np.linspace(-2, 3, 100))
    assert [group.n for group in groups] == [10] * 10
    assert [group.confidence for group in groups] == sorted(group.confidence for group in groups)


# Shift


def test_samples_of_one_source_are_rarely_called_different():
    assert np.mean(coverage.shift_wrong(range(1, 101))) <= 0.1


def test_a_shift_is_found_in_the_middle_and_in_the_spread():
    random = np.random.default_rng(2)
    old = random.normal(0, 1, (120, 3))
    assert shift.energy(old, random.normal(0.6, 1, (60, 3))).p <= 0.01
    assert shift.energy(old, random.normal(0, 2.5, (60, 3))).p <= 0.01
    assert shift.kolmogorov_smirnov(old[:, 0], random.normal(0.8, 1, 60)).p <= 0.01


def test_the_energy_distance_by_hand():
    """One column of spread 1: 2 · E|X-Y| - E|X-X'| - E|Y-Y'| = 2 · 2 - 0 - 0 for points at -1 and at 1."""
    found = shift.energy([-1.0, -1.0], [1.0, 1.0], permutations=9)
    assert found.distance == pytest.approx(4.0)
    assert (found.old, found.new) == (2, 2)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="two rows"):
        shift.energy([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="needs a row"):
        shift.kolmogorov_smirnov([], [1.0])
