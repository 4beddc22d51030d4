"""From what a run measured to figures with intervals: numbers in, numbers out. Imports no Django."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from annotation.repetition import repetitions
from annotation.statistics import Array, Interval, bootstrapped, wilson
from annotation.text import as_seen
from evaluation import calibration
from evaluation.bradley_terry import quantile
from evaluation.statistics import pair_accuracy

FEWEST = 5  # of a language or a tag, before it has a figure of its own
MOST_TAGS = 10
# How refusals begin, in the languages of our examples. Whoever declines in other words is not counted.
REFUSAL = re.compile(
    r"^\W*(?:i['’]?m (?:very |so |really )?sorry,? (?:but )?(?:i|as)\b"
    r"|i (?:can(?:no|['’])t|am (?:not able|unable)|won['’]t)\b"
    r"|sorry,? (?:but )?i can|as an? (?:ai|language model)\b|unfortunately,? i (?:can|am)"
    r"|(?:es )?tut mir (?:sehr )?leid,? aber|leider kann ich|ich kann (?:das|dir|ihnen|dabei) (?:leider )?nicht"
    r"|(?:je suis )?désolée?,? mais|je ne peux pas|lo siento,? pero|no puedo)",
    re.I,
)


@dataclass(frozen=True)
class Figure:
    """`group` is empty for everything, or such as "language: de"."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    n: int
    group: str = ""


def of_reward_model(differences: Sequence[float], about: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """How a reward model does on judged pairs, from the score of the preferred answer less that of the other."""
    if not len(differences):
        return []
    found = np.asarray(differences, float)
    figures = list(_in_groups("reward accuracy", about, partial(_accuracy, found, about), grades=True))
    longer = [float(one["longer"]) for one in about]
    figures.append(_figure("longer answer wins", wilson(sum(longer), len(longer))))
    figures.append(_figure("brier score", calibration.brier(found)))
    figures.append(Figure("calibration error", calibration.error(found), None, None, len(found)))
    return figures


def of_policy(
    measures: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], about: Mapping[str, Any], probe: Any
) -> list[Figure]:
    """How a model that answers does, from the lines of a `measure` run, by the ids that heldout.py gave its texts."""
    by_kind: dict[str, dict[int, dict[str, Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for row in measures:
        kind, number, *side = str(row["id"]).split()
        by_kind[kind][int(number)]["".join(side)] = row
    return [
        *_preferences(by_kind["pair"], about.get("pair", [])),
        *_examples(by_kind["example"], about.get("example", [])),
        *_forgetting(by_kind["probe"], probe),
        *_answers(answers, about.get("prompts", {})),
    ]


def _preferences(pairs: Mapping[int, Any], about: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Whether the model likes the preferred answer better than its reference does: the reward that preference tuning
    gives it without a reward model (Rafailov et al. 2023, section 4)."""
    rows = [pairs[number] for number in range(len(about)) if len(pairs.get(number, {})) == 2]
    if not rows or len(rows) < len(about):
        return
    gain = {
        side: np.array([row[side]["log_prob"] - row[side]["reference"] for row in rows])
        for side in ("chosen", "rejected")
    }
    found = gain["chosen"] - gain["rejected"]
    yield from _in_groups("preference accuracy", about, partial(_accuracy, found, about), grades=True)


def _examples(rows: Mapping[int, Any], about: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Perplexity of what people wrote or approved: the lower, the less the model is surprised by it."""
    if not rows or len(rows) < len(about):
        return
    found = np.array([_sums(rows[number][""]) for number in range(len(about))])
    yield from _in_groups("perplexity of good answers", about, lambda rows: _mean(found[rows][:, [0, 2]], _perplexity))
    yield _figure("perplexity of good answers, base", _mean(found[:, [1, 2]], _perplexity))


def _forgetting(rows: Mapping[int, Any], probe: Sequence[Mapping[str, str]]) -> Iterator[Figure]:
    """How much the perplexity of the probe has grown beyond the base model's."""
    if not rows:
        return
    numbers = sorted(rows)
    found = np.array([_sums(rows[number][""]) for number in numbers])
    kinds = np.array([probe[number]["kind"] for number in numbers])

    def growth(sums: Array) -> Array:
        return np.exp((sums[:, 1] - sums[:, 0]) / sums[:, 2]) - 1

    yield _figure("forgetting", _mean(found, growth))
    for kind, words in (("question", "general questions"), ("text", "plain text")):
        if (kinds == kind).any():
            yield _figure("forgetting", _mean(found[kinds == kind], growth), words)


def _answers(answers: Sequence[Mapping[str, Any]], about: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    """How it answers held-out prompts, and how far that is from the base model."""
    own = {str(row["id"]): row for row in answers if row["by"] == "model"}
    base = {str(row["id"]): row for row in answers if row["by"] == "reference"}
    names = sorted(own.keys() & base.keys(), key=int)
    if not names:
        return
    known = [about.get(name, {}) for name in names]
    texts = [str(own[name]["text"]) for name in names]
    words = np.array([[words_in(str(side[name]["text"])) for side in (own, base)] for name in names], float)
    kl = np.array([[float(own[name]["kl"]), float(own[name]["tokens"])] for name in names])
    lengths = np.column_stack([words[:, 0], np.ones(len(names))])
    yield from _in_groups("distance from base", known, lambda rows: _mean(kl[rows], _ratio))
    yield from _in_groups("words per answer", known, lambda rows: _mean(lengths[rows], _ratio))
    yield _figure("length growth over base", _growth(words))
    for name, marks in (
        ("empty answers", np.array([not as_seen(text) for text in texts], float)),
        ("repetitive answers", np.array([repeats(text) for text in texts], float)),
        ("refusals", np.array([refuses(text) for text in texts], float)),
        ("answers cut off", np.array([not own[key]["finished"] for key in names], float)),
    ):
        yield from _in_groups(name, known, partial(_share, marks))


def _share(marks: Array, rows: Any) -> Interval:
    return wilson(float(marks[rows].sum()), len(rows))


def growth(new: Mapping[str, float], old: Mapping[str, float]) -> Interval | None:
    """By how much the answers of one model are longer than another's, from words by prompt; None if they answered no
    prompt in common.

    >>> str(growth({"1": 12, "2": 24, "3": 9}, {"1": 10, "2": 20}))
    '20 % (20 to 20 %, n 2)'
    """
    both = sorted(new.keys() & old.keys())
    return _growth(np.array([[new[name], old[name]] for name in both], float)) if both else None


def _growth(words: Array) -> Interval:
    """The ratio of two means (n, 2), less 1. The interval is Student's about its logarithm, by the spread of what each
    prompt adds to it (Cochran 1977, section 6.3); of few prompts a bootstrap's is too narrow."""
    n, means = len(words), np.maximum(words.mean(axis=0), 1e-9)
    apart = words[:, 0] / means[0] - words[:, 1] / means[1]
    half = quantile(n) * float(apart.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    middle = math.log(means[0] / means[1])
    value, lower, upper = (math.exp(min(50.0, one)) - 1 for one in (middle, middle - half, middle + half))
    return Interval(value, lower, upper, n)


def words_in(text: str) -> int:
    return len(text.split())


def repeats(text: str) -> bool:
    """Whether an answer says the same thing again and again, as the checks of the desk see it."""
    return any(True for _ in repetitions(text))


def refuses(text: str) -> bool:
    """
    >>> refuses("I'm sorry, but I cannot help with that."), refuses("Leider kann ich das nicht sagen.")
    (True, True)
    >>> refuses("I'm sorry that your teapot broke. Please send us a picture.")
    False
    """
    return bool(REFUSAL.search(text))


def _in_groups(
    name: str,
    about: Sequence[Mapping[str, Any]],
    measure: Callable[[Any], Interval],
    *,
    grades: bool = False,
) -> Iterator[Figure]:
    """A figure of all rows, and one of each language, tag and grade that has enough of them and is not all there is."""
    yield _figure(name, measure(np.arange(len(about))))
    members: dict[str, list[int]] = defaultdict(list)
    tags: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(about):
        if one.get("language"):
            members[f"language: {one['language']}"].append(row)
        if grades and one.get("grade"):
            members[f"strength: {one['grade']}"].append(row)
        for tag in one.get("tags", []):
            tags[f"tag: {tag}"].append(row)
    for tag in sorted(tags, key=lambda tag: (-len(tags[tag]), tag))[:MOST_TAGS]:
        members[tag] = tags[tag]
    for group, rows in members.items():
        if FEWEST <= len(rows) < len(about):
            yield _figure(name, measure(np.array(rows)), group[:80])


def _accuracy(differences: Array, about: Sequence[Mapping[str, Any]], rows: Any) -> Interval:
    prompts = [about[row].get("prompt", f"row {row}") for row in rows]
    return pair_accuracy(differences[rows].tolist(), [0.0] * len(rows), prompts)


def _sums(row: Mapping[str, Any]) -> tuple[float, float, float]:
    return row["log_prob"], row["reference"], row["tokens"]


def _perplexity(sums: Array) -> Array:
    return np.exp(-sums[:, 0] / sums[:, 1])


def _ratio(sums: Array) -> Array:
    return sums[:, 0] / np.maximum(sums[:, 1], 1e-9)


def _mean(rows: ArrayLike, statistic: Callable[[Array], Array]) -> Interval:
    """A statistic of sums over rows, with its bootstrap interval; of one row the interval is the value itself."""
    table = np.asarray(rows, float)
    value = float(statistic(table.sum(axis=0, keepdims=True))[0])
    lower, upper = bootstrapped(table, statistic) or (value, value)
    return Interval(value, min(lower, value), max(upper, value), len(table))


def _figure(name: str, found: Interval, group: str = "") -> Figure:
    return Figure(name, found.value, found.lower, found.upper, found.n, group)
