"""The posterior over what people prefer: right where the truth is known, and doubtful where it should be."""

import numpy as np
import pytest

from evaluation.posterior import RATE, SHAPE, Posterior, fit, prior, sigmoid

GROUPS = np.zeros(4, int)


def labelled(truth, n: int, seed: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs, and what somebody with these weights says of them."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, len(truth)))
    p = noise + (1 - 2 * noise) * sigmoid(z @ np.asarray(truth))
    return z, (random.random(n) < p).astype(float)


def test_the_weights_are_found():
    truth = np.array([1.5, -1.0, 0.5, 0.0])
    z, y = labelled(truth, 4000, seed=1)
    found = fit(z, y, groups=GROUPS, noise=0.0)
    assert found.mean == pytest.approx(truth, abs=0.15)
    assert np.sqrt(np.diag(found.covariance)).max() < 0.06


def test_its_intervals_hold_the_truth_as_often_as_they_say():
    """Truths drawn from the prior; 95 % must mean 93 to 97 %."""
    random = np.random.default_rng(2)
    inside = []
    for seed in range(250):
        truth = random.normal(size=4)
        found = fit(*labelled(truth, 120, seed=seed), groups=GROUPS, noise=0.0)
        inside += list(np.abs(found.mean - truth) < 1.96 * np.sqrt(np.diag(found.covariance)))
    assert 0.93 <= np.mean(inside) <= 0.97


def test_it_is_where_the_slope_is_nothing_and_the_precision_what_the_evidence_says():
    """MacKay (1992), section 4: precision = well-determined weights / their squares, here with the Gamma prior."""
    z, y = labelled([1.0, -0.5, 0.0, 0.2], 300, seed=3)
    found = fit(z, y, groups=[0, 0, 1, 1], noise=0.0)
    slope = z.T @ (y - sigmoid(z @ found.mean)) - found.precision * found.mean
    assert np.abs(slope).max() < 0.5
    for group in ([0, 1], [2, 3]):
        known = 2 - found.precision[group] @ np.diag(found.covariance)[group]
        expected = (known + 2 * SHAPE) / (found.mean[group] @ found.mean[group] + 2 * RATE)
        assert found.precision[group] == pytest.approx(expected, rel=0.02)
    assert found.precision[0] == found.precision[1] != found.precision[2] == found.precision[3]


def test_features_that_say_nothing_are_held_down():
    random = np.random.default_rng(4)
    z = random.normal(size=(400, 40))
    y = (random.random(400) < sigmoid(2 * z[:, 0])).astype(float)
    found = fit(z, y, groups=[0] + [1] * 39)
    assert found.precision[1] > 5 * found.precision[0]
    assert np.sqrt(np.mean(found.mean[1:] ** 2)) < 0.2 < found.mean[0]


def test_a_tie_is_half_a_word_either_way():
    z = np.array([[1.0, 0, 0, 0]])
    tie = fit(z, np.array([0.5]), groups=GROUPS)
    assert tie.mean == pytest.approx(np.zeros(4))
    assert tie.covariance[0, 0] < prior(GROUPS).covariance[0, 0] * 0.95
    both = fit(np.vstack([z, z]), np.array([1.0, 0.0]), groups=GROUPS)
    twice = fit(np.vstack([z, z]), np.array([0.5, 0.5]), groups=GROUPS)
    assert both.mean == pytest.approx(twice.mean)


def test_which_answer_is_called_the_first_does_not_matter():
    z, y = labelled([1.0, -1.0, 0.0, 0.5], 80, seed=5)
    flipped = np.arange(80) % 2 == 0
    turned = np.where(flipped[:, None], -z, z), np.where(flipped, 1 - y, y)
    assert fit(*turned, groups=GROUPS).mean == pytest.approx(fit(z, y, groups=GROUPS).mean)


def test_slips_of_the_hand_count_less_where_noise_is_allowed_for():
    z, y = labelled([3.0, 0.0, 0.0, 0.0], 400, seed=6, noise=0.1)
    deaf, wise = (fit(z, y, groups=GROUPS, noise=noise).mean[0] for noise in (0.0, 0.1))
    assert deaf < 0.75 * wise
    assert wise == pytest.approx(3.0, abs=0.8)


def test_weights_are_how_often_a_label_counts():
    z, y = labelled([1.0, 0.0, -1.0, 0.0], 50, seed=7)
    twice = fit(np.vstack([z, z]), np.concatenate([y, y]), groups=GROUPS)
    weighted = fit(z, y, groups=GROUPS, weights=np.full(50, 2.0))
    assert weighted.mean == pytest.approx(twice.mean, abs=1e-3)
    assert fit(z, y, groups=GROUPS, weights=np.zeros(50)).mean == pytest.approx(np.zeros(4))


def test_going_on_from_before_comes_to_the_same():
    z, y = labelled([1.0, 0.5, -1.0, 0.0], 600, seed=8)
    before = fit(z[:550], y[:550], groups=GROUPS)
    assert fit(z, y, groups=GROUPS, start=before).mean == pytest.approx(fit(z, y, groups=GROUPS).mean, abs=5e-3)
    other_features = prior([0] * 7)
    assert fit(z, y, groups=GROUPS, start=other_features).mean == pytest.approx(fit(z, y, groups=GROUPS).mean)


def test_without_a_label_it_is_the_prior():
    nothing = fit(np.empty((0, 4)), np.empty(0), groups=GROUPS)
    assert nothing.mean.tolist() == [0.0] * 4
    assert nothing.probability(np.ones((1, 4))) == pytest.approx([0.5])


def test_doubt_about_the_weights_makes_predictions_mild():
    sure = Posterior(np.array([2.0]), np.array([[0.0]]), np.array([1.0]), 0.0)
    unsure = Posterior(np.array([2.0]), np.array([[9.0]]), np.array([1.0]), 0.0)
    z = np.array([[1.0]])
    assert sure.probability(z) == pytest.approx(sigmoid(np.array([2.0])))
    assert 0.5 < unsure.probability(z)[0] < sure.probability(z)[0]
    assert Posterior(np.array([99.0]), np.array([[0.0]]), np.array([1.0]), 0.05).probability(z) == pytest.approx([0.95])


@pytest.mark.parametrize(
    ("z", "y", "more"),
    [
        (np.ones((2, 4)), np.ones(3), {}),
        (np.ones((2, 3)), np.ones(2), {}),
        (np.full((2, 4), np.nan), np.ones(2), {}),
        (np.ones((2, 4)), np.array([0.0, 2.0]), {}),
        (np.ones((2, 4)), np.ones(2), {"noise": 0.5}),
    ],
)
def test_what_does_not_fit_is_refused(z, y, more):
    with pytest.raises(ValueError, match=r"one outcome|must be finite"):
        fit(z, y, groups=GROUPS, **more)
