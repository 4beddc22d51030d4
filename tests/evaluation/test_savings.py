"""What choosing has saved, where the truth is known: much, nothing, or too little to say."""

import numpy as np
import pytest

from evaluation.posterior import sigmoid
from evaluation.savings import FEWEST_DRAWN, Saved, _share, estimate

WIDTH = 6
GROUPS = np.zeros(WIDTH, int)


def labels(*, chosen: int, drawn: int, strength: float, seed: int = 1):
    """Chosen pairs lie `strength` times as far apart as those drawn at random, and so tell that much more."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=WIDTH)
    z = random.normal(size=(chosen + drawn, WIDTH)) * 0.7
    of_slice = np.arange(len(z)) % max(1, round(len(z) / drawn)) == 0 if drawn else np.zeros(len(z), bool)
    z[~of_slice] *= strength
    y = (random.random(len(z)) < sigmoid(z @ truth)).astype(float)
    return {"differences": z, "outcomes": y, "prompts": np.arange(len(z)) // 2, "drawn": of_slice, "groups": GROUPS}


def test_pairs_that_tell_more_save_labels():
    found = [estimate(**labels(chosen=700, drawn=140, strength=2.5, seed=seed)) for seed in range(4)]
    assert np.mean([one.value for one in found]) > 0.2


def test_pairs_that_tell_less_save_nothing():
    found = [estimate(**labels(chosen=700, drawn=140, strength=0.15, seed=seed)) for seed in range(4)]
    assert np.mean([one.value for one in found]) < 0
    assert not any(one.is_certain for one in found)


def test_pairs_that_tell_as_much_are_seldom_called_a_saving():
    found = [estimate(**labels(chosen=400, drawn=100, strength=1.0, seed=seed)) for seed in range(10)]
    assert sum(one.is_certain for one in found) <= 2
    assert abs(np.mean([one.value for one in found])) < 0.4
    assert all(one.lower <= one.upper for one in found)


@pytest.mark.parametrize(("chosen", "drawn"), [(500, FEWEST_DRAWN // 2), (10, 200)])
def test_too_few_labels_say_nothing(chosen, drawn):
    assert estimate(**labels(chosen=chosen, drawn=drawn, strength=1.0)) is None


def test_the_share_is_read_off_the_losses():
    sizes = np.array([10, 20, 40, 80])
    assert _share(np.array([5.0, 9.0, 7.0, 3.0, 2.0]), sizes, 60) == pytest.approx(1 - 30 / 60)
    assert _share(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), sizes, 40) == pytest.approx(0.75)
    assert _share(np.array([1.0, 9.0, 7.0, 3.0, 2.0]), sizes, 40) == pytest.approx(-1.0)
    assert _share(np.array([1.0, 9.0, 7.0, 3.0, 2.0]), sizes, 90) == 0.0
    assert Saved(0.5, 0.1, 0.7, 60).is_certain
    assert not Saved(0.5, -0.1, 0.7, 60).is_certain
