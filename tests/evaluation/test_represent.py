"""Answers as numbers: what is odd does not stand out, what is missing says nothing, and scales do not matter."""

import numpy as np
import pytest

from evaluation.represent import DIRECTIONS, STATES, SURFACE, directions, represent, to_normal
from evaluation.surface import NAMES, reading_seconds, surface

PROMPTS = np.repeat(np.arange(40), 5)


def states(seed: int = 1, width: int = 100) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(200, width)) * np.linspace(3, 0.1, width)


def test_an_answer_is_seen_as_it_is():
    seen = dict(
        zip(NAMES, surface("What is a good tea?", "# Tea\n\n- **Good** tea is fresh!\n- 2 cups, 80 °C"), strict=True)
    )
    assert seen["lines"] == pytest.approx(np.log1p(3))
    assert seen["list lines"] == pytest.approx(np.log1p(2))
    assert seen["headings"] == seen["exclamations"] == seen["commas"] == pytest.approx(np.log1p(1))
    assert seen["bold"] == pytest.approx(np.log1p(2))
    assert seen["digits"] == pytest.approx(np.log1p(3))
    assert (seen["ends well"], seen["refuses"]) == (0.0, 0.0)
    assert seen["words of the prompt"] == pytest.approx(3 / 4)
    assert surface("?", "I'm sorry, I cannot.")[NAMES.index("refuses")] == 1.0


@pytest.mark.parametrize("text", ["", " \n", "🍵" * 3, "你好。", "a" * 10_000, "(" * 5000])
def test_any_text_has_numbers(text):
    found = surface(text, text)
    assert len(found) == len(NAMES)
    assert np.isfinite(found).all()
    assert reading_seconds(text, text) >= 5


def test_one_monster_does_not_stand_out():
    values = np.append(np.linspace(0, 1, 99), 1e9)[:, None]
    assert np.abs(to_normal(values)).max() < 2.6
    odd = states()
    odd[7] *= 1000
    turned = directions(odd, PROMPTS)
    assert np.linalg.norm(turned[7]) < 4 * np.median(np.linalg.norm(turned, axis=1))
    assert turned.std(axis=0).max() < 2 * directions(states(), PROMPTS).std(axis=0).max()


def test_what_a_prompt_adds_to_all_its_answers_does_not_matter():
    shifted = states() + np.random.default_rng(2).normal(size=(40, 100))[PROMPTS] * 50
    plain = directions(states(), PROMPTS)
    assert np.abs(directions(shifted, PROMPTS)) == pytest.approx(np.abs(plain), abs=1e-6)


def test_both_parts_have_the_same_length_whatever_their_units():
    seen = np.random.default_rng(3).normal(size=(200, 24))
    found = represent(seen, states() * 1e4, PROMPTS)
    assert found.values.shape == (200, 24 + DIRECTIONS)
    for group in (SURFACE, STATES):
        lengths = np.linalg.norm(found.values[:, found.groups == group], axis=1)
        assert np.sqrt(np.mean(lengths**2)) == pytest.approx(2)


def test_an_answer_without_states_is_known_by_its_surface():
    some = states()
    some[::2] = np.nan
    found = represent(np.ones((200, 3)), some, PROMPTS)
    assert np.isfinite(found.values).all()
    assert not found.values[::2, found.groups == STATES].any()
    assert represent(
        np.random.default_rng(4).normal(size=(200, 3)), np.full((200, 9), np.nan), PROMPTS
    ).values.shape == (200, 3)
    with pytest.raises(ValueError, match="no answers"):
        represent(np.empty((0, 3)), None, np.empty(0, int))


def test_fewer_directions_than_numbers_are_all_there_are():
    flat = np.outer(np.arange(200.0), np.ones(50))
    assert directions(flat, np.zeros(200, int)).shape == (200, 1)
