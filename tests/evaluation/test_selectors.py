"""Each selector asks what its paper says; none is led astray by what is odd, dear, or the same twice."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.linalg import norm, slogdet

from evaluation.posterior import Posterior, fit, likelihood, sigmoid
from evaluation.selectors import (
    BATCH,
    OF_ANSWER,
    OF_PROMPT,
    SELECTORS,
    SHARPNESS,
    Pool,
    d_optimal,
    distinct,
    drawn_by_information,
    drawn_by_margin,
    drawn_by_uncertainty,
    expected_information,
    informative,
    spread_out,
    uncertain,
)


def pool(z, *, mean=None, covariance=None, noise: float = 0.0, costs=None, prompts=None) -> Pool:
    z = np.asarray(z, float)
    n, d = z.shape
    posterior = Posterior(
        np.zeros(d) if mean is None else np.asarray(mean, float),
        np.eye(d) if covariance is None else np.asarray(covariance, float),
        np.ones(d),
        noise,
    )
    return Pool(
        z,
        np.arange(n) if prompts is None else np.asarray(prompts),
        np.ones(n) if costs is None else np.asarray(costs, float),
        posterior,
    )


def random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture(scope="module")
def many() -> Pool:
    drawn = np.random.default_rng(1)
    z = drawn.normal(size=(600, 5))
    y = (drawn.random(40) < sigmoid(z[:40] @ np.array([2.0, -1, 0, 0, 1]))).astype(float)
    found = fit(z[:40], y, groups=[0] * 5)
    return Pool(z, np.arange(600) // 3, drawn.uniform(5, 60, 600), found)


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("wanted", [0, 1, 30, BATCH + 50, 600, 10_000])
def test_each_gives_as_many_as_are_wanted_none_twice(many, name, wanted):
    chosen = SELECTORS[name](many, random(), wanted)
    assert len(chosen) == len(set(chosen.tolist())) == min(wanted, 600)


@pytest.mark.parametrize("name", SELECTORS)
def test_the_same_seed_chooses_the_same_and_an_empty_pool_nothing(many, name):
    assert SELECTORS[name](many, random(), 20).tolist() == SELECTORS[name](many, random(), 20).tolist()
    assert len(SELECTORS[name](pool(np.empty((0, 3))), random(), 20)) == 0


@pytest.mark.parametrize("name", sorted(SELECTORS.keys() - {"random"}))
def test_of_two_pairs_that_tell_as_much_the_quicker_one_is_asked(name):
    costs = np.where(np.arange(40) % 2, 60.0, 6.0)
    z = np.repeat(np.random.default_rng(2).normal(size=(20, 3)), 2, axis=0)
    chosen = SELECTORS[name](pool(z, costs=costs), random(), 5)
    assert np.mean(costs[chosen]) < 20


def test_uncertain_asks_where_it_could_go_either_way():
    chosen = uncertain(pool([[3, 0], [0.1, 0], [-1, 0], [0, 9]], mean=[1, 0]), random(), 4)
    assert chosen.tolist() == [3, 1, 2, 0]


def test_expected_information_is_what_a_simulation_finds():
    """Mutual information of label and weights, by a hundred thousand draws."""
    one = pool([[1.0, 0.5], [0.2, -2.0], [3.0, 0.0]], mean=[1.0, -0.5], covariance=[[1.0, 0.3], [0.3, 0.5]], noise=0.1)
    drawn = np.random.default_rng(3).multivariate_normal(one.posterior.mean, one.posterior.covariance, 100_000)
    p = likelihood(one.differences @ drawn.T, 0.1)

    def entropy(q):
        return -(q * np.log(q) + (1 - q) * np.log(1 - q))

    expected = entropy(p.mean(axis=1)) - entropy(p).mean(axis=1)
    assert expected_information(one.posterior, one.differences) == pytest.approx(expected, abs=0.003)


def test_a_coin_toss_that_no_label_can_settle_is_worth_nothing():
    z = [[1.0, 0.0], [0.0, 1.0]]
    settled = pool(z, mean=[0, 0], covariance=[[1e-9, 0], [0, 1]])
    assert informative(settled, random(), 1).tolist() == [1]
    assert expected_information(settled.posterior, settled.differences)[0] == pytest.approx(0, abs=1e-6)


def test_d_optimal_picks_the_batch_with_the_greatest_determinant_in_turn():
    z = np.random.default_rng(4).normal(size=(12, 3))
    chosen: list[int] = []
    for _ in range(4):  # by hand: at no knowledge a label tells a quarter
        worth = [
            -np.inf
            if i in chosen
            else slogdet(np.eye(3) + sum(np.outer(z[j], z[j]) / k(z, j) for j in [*chosen, i]))[1]
            for i in range(12)
        ]
        chosen.append(int(np.argmax(worth)))
    assert d_optimal(pool(z), random(), 4).tolist() == chosen


def k(z, j):
    """The inverse of a label's information where the weights may be anything within the prior."""
    p = sigmoid(np.zeros(1))[0]
    return 1 / (p * (1 - p))


def test_a_batch_does_not_ask_the_same_over_and_over():
    """Pairs along two directions, one a little longer: each by itself, the thirty longest would be asked first."""
    z = np.vstack([np.tile([2.0, 0.0], (30, 1)), np.tile([0.0, 1.9], (30, 1))])
    assert np.sum(d_optimal(pool(z), random(), 10) < 30) == 5
    assert np.sum(informative(pool(z), random(), 10) < 30) == 10
    assert 2 <= np.sum(drawn_by_information(pool(z), random(), 10) < 30) <= 8


def test_the_chance_to_be_drawn_is_in_proportion_to_what_a_pair_tells():
    one = pool([[2.0], [0.5], [0.0]])
    worth = expected_information(one.posterior, one.differences)
    many = np.random.default_rng(8)
    first = [int(drawn_by_information(one, many, 3)[0]) for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(worth[0] / worth.sum(), abs=0.025)
    assert 2 not in first
    assert {int(drawn_by_information(one, many, 3)[2]) for _ in range(50)} == {2}


def test_the_chance_to_be_drawn_falls_with_certainty():
    one = pool([[0.5, 0.0], [2.0, 0.0], [0.0, 0.0]], mean=[1, 0], covariance=np.eye(2) * 1e-9)
    p = sigmoid(np.array([0.5, 2.0]))
    worth = np.minimum(p, 1 - p) ** SHARPNESS
    many = np.random.default_rng(9)
    first = [int(drawn_by_uncertainty(one, many, 3)[0]) for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(worth[0] / worth.sum(), abs=0.025)
    assert 2 not in first  # a pair of like features, of which nothing can be learnt


def test_the_chance_to_be_drawn_for_tuning_rises_with_the_expected_distance():
    known = pool([[0.5, 0.0], [0.6, 0.0], [0.0, 0.0]], mean=[1, 0], covariance=np.eye(2) * 1e-9)
    worth = np.array([0.5, 0.6]) ** SHARPNESS
    many = np.random.default_rng(9)
    first = [int(drawn_by_margin(known, many, 3)[0]) for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(worth[0] / worth.sum(), abs=0.025)
    assert 2 not in first
    unknown = pool([[0.1, 0.0], [0.0, 3.0]], mean=[1, 0], covariance=np.diag([1e-9, 1]))  # 0.1, and 3 either way
    assert drawn_by_margin(unknown, many, 1).tolist() == [1]


@pytest.mark.parametrize(
    ("labels", "odds"), [((1, 0), OF_PROMPT), ((0, 1), OF_ANSWER), ((2, 1), 2 * OF_PROMPT + OF_ANSWER)]
)
def test_what_was_asked_about_is_drawn_less(labels, odds):
    """The same pair twice, of two prompts, of which one was asked about."""
    one = replace(pool([[1.0], [1.0]]), labels=np.array([(0, 0), labels]))
    many = np.random.default_rng(10)
    first = [int(drawn_by_uncertainty(one, many, 1)[0]) for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(sigmoid(np.array(odds)), abs=0.025)


@pytest.mark.parametrize("selector", [drawn_by_uncertainty, drawn_by_margin])
def test_prompts_take_turns(selector):
    """Ten prompts of twenty like pairs each: the next twenty questions are of all ten, and none is asked four times."""
    one = pool(np.ones((200, 1)), prompts=np.arange(200) // 20)
    of_prompts = np.bincount(one.prompts[selector(one, random(), 20)], minlength=10)
    assert of_prompts.sum() == 20
    assert of_prompts.min() >= 1
    assert of_prompts.max() <= 3


def test_a_draw_is_no_chase_after_what_is_odd():
    """Five pairs in five hundred lie far out in a direction of their own, and say nothing about the others."""
    ordinary = np.random.default_rng(5).normal(size=(500, 2))
    z = np.vstack([np.c_[ordinary, np.zeros(500)], np.tile([0, 0, 5.0], (5, 1))])
    assert np.sum(informative(pool(z), random(), 10) >= 500) == 5
    for selector in (drawn_by_information, drawn_by_uncertainty):
        assert np.sum(selector(pool(z), random(), 10) >= 500) <= 2


def test_k_centre_leaves_no_pair_far_from_one_that_is_asked():
    z = np.vstack(
        [np.random.default_rng(6).normal(scale=0.1, size=(90, 2)) + centre for centre in ([3, 0], [0, 3], [4, 4])]
    )
    chosen = z[spread_out(pool(z), random(), 3)]
    apart = [min(norm(one - other) for other in chosen) for one in z]
    assert max(apart) < 1.0
    either_way = np.array([[1.0, 1.0], [-1.0, -1.0], [0.1, 0.0]])
    assert len({abs(place - 0.5) for place in spread_out(pool(either_way), random(), 2).tolist()}) == 2


def test_near_duplicates_are_never_both_asked():
    z = [[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    same_prompt = pool(z, prompts=[7, 7, 7, 7, 8])
    assert distinct(same_prompt, np.arange(5), 10).tolist() == [0, 3, 4]
    assert distinct(same_prompt, np.array([3, 1, 0]), 1).tolist() == [3]


def test_a_pool_that_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="one prompt and one cost above 0"):
        pool([[1.0, 0.0]], costs=[0.0])
    with pytest.raises(ValueError, match="one prompt and one cost above 0"):
        pool([[1.0, 0.0]], prompts=[1, 2])
