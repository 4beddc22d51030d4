"""How far a label is doubted: by what was to be expected without it, and by how often people slip."""

import numpy as np
import pytest

from evaluation import doubt
from evaluation.posterior import Posterior, fit, sigmoid
from evaluation.selectors import Pool, drawn_by_uncertainty, uncertain

TASTE = np.array([1.5, -1.0, 0.5])


def test_slips_follow_from_agreement_and_are_unknown_while_few_met():
    assert doubt.slips(doubt.FEWEST - 1, doubt.FEWEST - 1) is None
    assert doubt.slips(82, 100) == pytest.approx(0.1)
    assert doubt.slips(100, 100) == doubt.RAREST
    assert doubt.slips(50, 100) == doubt.slips(10, 100) == doubt.COMMONEST


def known(mean: float, variance: float, noise: float = 0.0) -> Posterior:
    return Posterior(np.array([mean]), np.array([[variance]]), np.ones(1), noise)


def believed(posterior: Posterior, z: list[list[float]], labels: list[tuple[int, float]], slip: float) -> np.ndarray:
    of, outcomes = (np.array(column) for column in zip(*labels, strict=True)) if labels else (np.zeros(0), np.zeros(0))
    return doubt.believed(
        posterior, np.array(z), of=of.astype(np.intp), outcomes=outcomes, weights=np.ones(len(of)), slip=slip
    )


def test_a_pair_that_nobody_judged_is_as_the_posterior_foretells():
    posterior, z = known(0.7, 0.4, 0.05), [[1.0], [-2.0], [0.0]]
    assert believed(posterior, z, [], 0.2) == pytest.approx(posterior.probability(np.array(z)))


def test_labels_move_what_was_foretold_as_votes_do():
    """By hand: a posterior that is sure of itself foretells 3 to 1; a label is right 4 times of 5."""
    posterior = known(np.log(3), 1e-9)
    assert believed(posterior, [[1.0]], [(0, 1.0)], 0.2)[0] == pytest.approx(12 / 13)
    assert believed(posterior, [[1.0]], [(0, 0.0)], 0.2)[0] == pytest.approx(3 / 7)
    assert believed(posterior, [[1.0]], [(0, 0.0), (0, 1.0)], 0.2)[0] == pytest.approx(3 / 4)
    assert believed(posterior, [[-1.0]], [(0, 1.0)], 0.2)[0] == pytest.approx(4 / 7)


def test_a_label_does_not_vouch_for_itself():
    """What is foretold of a pair is what a posterior fitted without its label says, to a first approximation."""
    random = np.random.default_rng(5)
    z = random.normal(size=(60, 3))
    y = (random.random(60) < sigmoid(z @ TASTE)).astype(float)
    groups = [0, 0, 0]
    everything = fit(z, y, groups=groups)
    for one in range(8):
        others = np.arange(60) != one
        without = fit(z[others], y[others], groups=groups).probability(z[one : one + 1])
        found = doubt.believed(
            everything,
            z[one : one + 1],
            of=np.zeros(1, np.intp),
            outcomes=y[one : one + 1],
            weights=np.ones(1),
            slip=0.5,
        )  # slips of a half: the label itself says nothing
        assert found == pytest.approx(without, abs=0.03)


def a_queue(slip: float) -> tuple[Pool, np.ndarray, np.ndarray]:
    """300 judged pairs and 300 new ones, in one pool; and which of the former were judged wrongly, and all judged."""
    random = np.random.default_rng(8)
    z = random.normal(size=(600, 3))
    truth = z @ TASTE > 0
    wrong = (random.random(600) < slip) & (np.arange(600) < 300)
    y = (truth ^ wrong).astype(float)
    posterior = fit(z[:300], y[:300], groups=[0, 0, 0])
    found = doubt.believed(
        posterior, z, of=np.arange(300), outcomes=y[:300], weights=np.ones(300), slip=max(slip, 0.01)
    )
    return Pool(z, np.arange(600), np.ones(600), posterior, found), wrong, np.arange(600) < 300


def again(selector, pool: Pool, judged: np.ndarray) -> np.ndarray:
    """Those of the first 40 that somebody judged already."""
    first = selector(pool, np.random.default_rng(1), 40)
    return first[judged[first]]


def test_where_people_disagree_the_wrong_labels_are_asked_again():
    pool, wrong, judged = a_queue(0.25)
    best, drawn = (again(selector, pool, judged) for selector in (uncertain, drawn_by_uncertainty))
    assert 5 <= len(best) < 40  # beside new pairs
    assert wrong[best].mean() > 2 * wrong[judged].mean()
    assert wrong[drawn].mean() > wrong[judged].mean()


def test_where_people_agree_new_pairs_are_asked():
    pool, _, judged = a_queue(0.0)
    assert len(again(uncertain, pool, judged)) == 0
    assert len(again(drawn_by_uncertainty, pool, judged)) < 5  # a draw gives every pair some chance
