"""Logistic regressions on features of a model that stays as it is, and how far each can be trusted.

A tag is told from its absence by one regression. What is reported of it is cross-fitted: each prompt is judged by
weights that were fitted without it, at a strength and a threshold that others are judged best by. So the figures are
hardly those of a choice that happened to suit the prompts at hand.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

Numbers = NDArray[np.float64]
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # scikit-learn's C: small holds back more
SURE = 3.5  # standard errors above chance; of a thousand tags given at random some three get there


@dataclass(frozen=True)
class Head:
    """The probability of a tag is the logistic function of `features @ weight + bias`; from `threshold` on it is said
    to be there."""

    weight: Numbers
    bias: float
    threshold: float
    strength: float
    figures: dict[str, Any]


def logistic(features: Numbers, sides: Any, strength: float, *, intercept: bool = True) -> tuple[Numbers, float]:
    """Weights and bias that tell the sides, 1 from 0, apart."""
    found = LogisticRegression(C=strength, fit_intercept=intercept, max_iter=2000).fit(features, sides)
    return found.coef_[0], float(found.intercept_[0]) if intercept else 0.0


def one_against_rest(features: Numbers, has: NDArray[np.bool_], groups: list[str], folds: int) -> Head:
    """Learn one tag: `features` (prompts × width), `has` whether each prompt carries it. Prompts of one group are left
    out together. Where all of one side are one group, nothing can be said of others, and the tag is not learned."""
    part = parts(has, groups, folds)
    if not part.max():
        never = np.zeros(len(has))
        figures = {**counted(never > 0, has), **ranked(never, has)}
        return Head(np.zeros(features.shape[1]), 0.0, 1.0, STRENGTHS[0], figures)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    plain = (features - mean) / scale
    logits = {strength: np.zeros(len(has)) for strength in STRENGTHS}
    for number in range(part.max() + 1):
        learnt, left_out = part != number, part == number
        for strength in STRENGTHS:
            weight, bias = logistic(plain[learnt], has[learnt], strength)
            logits[strength][left_out] = plain[left_out] @ weight + bias
    figures = cross_fitted(logits, has, part)
    strength, threshold = chosen(logits, has)
    weight, bias = logistic(plain, has, strength)
    weight = weight / scale
    return Head(weight, bias - float(weight @ mean), threshold, strength, figures)


def parts(has: NDArray[np.bool_], groups: list[str], folds: int) -> NDArray[np.int64]:
    """In which part each prompt is left out: groups whole, and those with the tag spread over all parts evenly, as are
    those without. A group may be of both; all are in one part where there is no second group of a side.

    >>> parts(np.array([True, True, False, False, False]), ["a", "b", "c", "d", "c"], 2).tolist()
    [0, 1, 0, 1, 0]
    >>> parts(np.array([True, False, True, False, True]), ["a", "a", "b", "b", "c"], 5).tolist()
    [0, 0, 1, 1, 0]
    """
    with_tag = {group for group, there in zip(groups, has, strict=True) if there}
    without = {group for group, there in zip(groups, has, strict=True) if not there}
    count = max(1, min(folds, len(with_tag), len(without)))
    place: dict[str, int] = {}
    for side, other in ((with_tag, without), (without, with_tag)):  # those of both are first in either order
        order = [*sorted(side & other), *sorted(side - other)]
        place |= {group: number % count for number, group in enumerate(order)}
    return np.array([place[group] for group in groups])


def chosen(logits: dict[float, Numbers], has: NDArray[np.bool_]) -> tuple[float, float]:
    """The strength at which left-out prompts were judged best (by log loss), and the threshold there."""
    losses = {strength: float(_losses(found, has).mean()) for strength, found in logits.items()}
    strength = min(losses, key=lambda one: (losses[one], one))
    return strength, best_threshold(probabilities(logits[strength]), has)


def cross_fitted(logits: dict[float, Numbers], has: NDArray[np.bool_], part: NDArray[np.int64]) -> dict[str, Any]:
    """What left-out prompts were said to be, where strength and threshold are chosen on the other parts alone."""
    scores, said = np.zeros(len(has)), np.zeros(len(has), dtype=bool)
    for number in range(part.max() + 1):
        others, here = part != number, part == number
        strength, threshold = chosen({one: found[others] for one, found in logits.items()}, has[others])
        scores[here] = logits[strength][here]
        said[here] = probabilities(scores[here]) >= threshold
    return {**counted(said, has), **ranked(scores, has)}


def counted(said: NDArray[np.bool_], has: NDArray[np.bool_]) -> dict[str, Any]:
    """Of the prompts: how many carry the tag, how many were said to, how many rightly; precision is None if none was.

    >>> counted(np.array([True, True, False]), np.array([True, False, True]))["precision"]
    0.5
    """
    right, claimed, there = int((said & has).sum()), int(said.sum()), int(has.sum())
    return {
        "prompts": there,
        "of": len(has),
        "share": there / len(has),
        "said": claimed,
        "right": right,
        "precision": right / claimed if claimed else None,
        "recall": right / there if there else None,
        "f1": 2 * right / (claimed + there) if claimed + there else None,
    }


def ranked(scores: Numbers, has: NDArray[np.bool_]) -> dict[str, Any]:
    """How far prompts with the tag stand above others, and whether further than chance puts them.

    By chance the average precision is the tag's share; the area under the curve is a half, with Mann and Whitney's
    standard error. Both are None, and nothing is learned, where all prompts are of one side.

    >>> ranked(np.arange(20.0), np.arange(20) >= 10)["learned"], ranked(np.arange(20.0) % 2, np.arange(20) >= 10)
    (True, {'average_precision': 0.5, 'auc': 0.5, 'learned': False})
    """
    there, absent = int(has.sum()), int((~has).sum())
    if not there or not absent:
        return {"average_precision": None, "auc": None, "learned": False}
    auc = float(roc_auc_score(has, scores))
    error = ((there + absent + 1) / (12 * there * absent)) ** 0.5
    return {
        "average_precision": float(average_precision_score(has, scores)),
        "auc": auc,
        "learned": bool(auc - 0.5 > SURE * error),
    }


def best_threshold(likely: Numbers, has: NDArray[np.bool_]) -> float:
    """From which probability on the tag is said to be there, so that F1 is greatest: half-way between two neighbours;
    of several as good the highest.

    >>> best_threshold(np.array([0.9, 0.7, 0.3, 0.1]), np.array([True, True, False, False]))
    0.5
    """
    order = np.argsort(-likely, kind="stable")
    values, right = likely[order], np.cumsum(has[order])
    f1 = 2 * right / (np.arange(1, len(values) + 1) + has.sum())
    lower = np.append(values[1:], 0.0)
    f1[values == lower] = -1.0  # no line can be drawn between equals
    best = int(np.argmax(f1))
    return float((values[best] + lower[best]) / 2)


def probabilities(logits: Numbers) -> Numbers:
    return np.exp(-np.logaddexp(0.0, -logits))


def _losses(logits: Numbers, has: NDArray[np.bool_]) -> Numbers:
    return np.logaddexp(0.0, np.where(has, -logits, logits))
