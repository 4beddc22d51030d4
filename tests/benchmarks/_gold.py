"""A taste learned from a judged pool, with its liking for length taken out.

What a judge scored is fitted by ridge regression on features of answers, about their prompt's mean. Before that every
feature is replaced by what it says beyond the logarithm of the number of words, so that the taste is uncorrelated with
length within the pool's prompts: a model can please it only by answering otherwise, not by answering more.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.surface import NAMES

WORDS = NAMES.index("words")
FURTHEST = 3.0  # standard deviations: beyond the pool nothing was learned
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5


@dataclass(frozen=True)
class Gold:
    """`middle`, `spread`, `slope` and `weights` (d,) of the features; `words` their mean logarithm."""

    middle: np.ndarray
    spread: np.ndarray
    slope: np.ndarray
    weights: np.ndarray
    words: float
    accuracy: float  # on pairs of prompts that it was not fitted to

    def __call__(self, surface: np.ndarray, states: np.ndarray | None) -> np.ndarray:
        """What each answer is worth (n,), from features as `fit` was given."""
        seen = _joined(surface, states)
        unit = np.clip((seen - self.middle) / self.spread, -FURTHEST, FURTHEST)
        return (unit - (surface[:, WORDS] - self.words)[:, None] * self.slope) @ self.weights

    def save(self, file: Path) -> None:
        np.savez(file, **vars(self))

    @staticmethod
    def load(file: Path) -> "Gold":
        found = np.load(file)
        middle, spread, slope, weights = (found[name] for name in ("middle", "spread", "slope", "weights"))
        return Gold(middle, spread, slope, weights, float(found["words"]), float(found["accuracy"]))


def fit(surface: np.ndarray, states: np.ndarray | None, prompts: np.ndarray, scores: np.ndarray) -> Gold:
    """`surface` (n, s) and `states` (n, m) as the product stores them, `prompts` and `scores` (n,)."""
    seen = _joined(surface, states)
    middle, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-9)
    unit = np.clip((seen - middle) / spread, -FURTHEST, FURTHEST)
    _, prompt = np.unique(prompts, return_inverse=True)
    longer, given = (_centred(column[:, None], prompt)[:, 0] for column in (surface[:, WORDS], scores))
    about = _centred(unit, prompt)
    slope = longer @ about / max(float(longer @ longer), 1e-9)
    rest = about - longer[:, None] * slope
    fold = prompt % FOLDS
    guesses = {}
    for strength in STRENGTHS:
        guesses[strength] = np.empty(len(rest))
        for number in range(FOLDS):
            tested = fold == number
            guesses[strength][tested] = rest[tested] @ _ridge(rest[~tested], given[~tested], strength)
    best = min(STRENGTHS, key=lambda strength: float(np.mean((guesses[strength] - given) ** 2)))
    return Gold(
        middle,
        spread,
        slope,
        _ridge(rest, given, best),
        float(surface[:, WORDS].mean()),
        _pairs_right(guesses[best], scores, prompt),
    )


def _joined(surface: np.ndarray, states: np.ndarray | None) -> np.ndarray:
    return surface if states is None else np.hstack([surface, states])


def _centred(values: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    means = np.stack([np.bincount(prompt, column) for column in values.T], axis=1) / np.bincount(prompt)[:, None]
    return values - means[prompt]


def _ridge(features: np.ndarray, wanted: np.ndarray, strength: float) -> np.ndarray:
    held = strength * len(features) * np.eye(features.shape[1])
    return np.linalg.solve(features.T @ features + held, features.T @ wanted)


def _pairs_right(guesses: np.ndarray, scores: np.ndarray, prompt: np.ndarray) -> float:
    first, second = np.triu_indices(len(scores), 1)
    same = (prompt[first] == prompt[second]) & (scores[first] != scores[second])
    first, second = first[same], second[same]
    return float(np.mean((guesses[first] > guesses[second]) == (scores[first] > scores[second])))
