"""The taste of `loop_yield`: learned from a pool, and indifferent to length."""

import numpy as np
import pytest

from evaluation.surface import NAMES
from tests.benchmarks import _gold


def pool(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The judge likes the first state and longer answers, and the second state goes with length."""
    surface, states = random.normal(size=(400, len(NAMES))), random.normal(size=(400, 8))
    longer = surface[:, _gold.WORDS]
    states[:, 1] += longer
    return surface, states, np.repeat(np.arange(100), 4), states[:, 0] + 2 * longer


def test_it_likes_what_the_judge_likes_except_length():
    surface, states, prompts, scores = pool(np.random.default_rng(1))
    gold = _gold.fit(surface, states, prompts, scores)
    worth = gold(surface, states)
    about = {
        name: values - np.repeat(values.reshape(100, 4).mean(axis=1), 4)
        for name, values in (("worth", worth), ("state", states[:, 0]), ("longer", surface[:, _gold.WORDS]))
    }
    assert np.corrcoef(about["worth"], about["state"])[0, 1] > 0.9
    assert np.corrcoef(about["worth"], about["longer"])[0, 1] == pytest.approx(0, abs=1e-9)
    assert 0.5 < gold.accuracy < 0.9  # of what it is asked, most is length


def test_it_is_the_same_from_its_file_and_by_what_is_seen_alone(tmp_path):
    surface, _, prompts, scores = pool(np.random.default_rng(2))
    gold = _gold.fit(surface, None, prompts, scores)
    gold.save(tmp_path / "gold.npz")
    assert _gold.Gold.load(tmp_path / "gold.npz")(surface, None) == pytest.approx(gold(surface, None))
