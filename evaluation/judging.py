"""A round's new model against the one before, by a reward model that is never the one trained on the same pairs.

Both have answered the same held-out prompts when they were measured. The base model reads these answers, and a
posterior over preferences judges them (evaluation/crossfit.py): from labels that the new model did not learn from,
where there are enough, and else from all, with no label on the prompt that is being judged. Who says nothing has lost.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.models import Label, Prompt
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Split
from annotation.text import as_seen
from evaluation import crossfit, features, figures, scoring, steering
from evaluation.figures import Figure
from evaluation.models import Evaluation
from evaluation.represent import represent
from evaluation.steering import Judged
from evaluation.surface import surface
from training import registry
from training.models import ModelVersion, Run

FEWEST_PAIRS, FEWEST_PROMPTS = 200, 20  # with fewer labels the interval holds the truth too seldom (coverage.py)
MOST_PAIRS = 5_000  # the newest
WINS, EVEN = "wins by cross-fitted reward", "wins by cross-fitted reward at equal length"
ACCURACY = "accuracy of cross-fitted reward"


@dataclass(frozen=True)
class Match:
    """Two models, and the project's labels that may judge their answers: `simulated` ones too, if the new model learned
    from such."""

    new: ModelVersion
    old: ModelVersion
    reader: ModelVersion
    simulated: bool


def to_read(match: Match) -> list[dict[str, Any]]:
    """What a `features` run is to read; nothing if there are too few labels, or no prompt that both answered."""
    answers = answers_of_both(match.new, match.old)
    learnt, _ = _labels(match)
    if not answers or not learnt:
        return []
    prompts = Prompt.objects.in_bulk(answers)
    texts = [
        {"id": f"{side} {pk}", "messages": prompts[pk].messages, "text": text}
        for pk, both in answers.items()
        if pk in prompts
        for side, text in zip(("new", "old"), both, strict=True)
    ]
    judged = {response for one in learnt for response in (one.first, one.second)}
    return [*texts, *features.unread(judged, reader=match.reader)]


def conclude(match: Match, evaluation: Evaluation, run: Run) -> None:
    """Add to the new model's evaluation what judges make of its answers, once these are read. Safe to call again."""
    everything = _said_by_both(match.new, match.old)
    answers = _with_words(everything)
    learnt, apart = _labels(match)
    features.take_in_if_read(run)
    vectors = features.vectors_of(run)
    asked = [pk for pk in answers if f"new {pk}" in vectors and f"old {pk}" in vectors]
    if not asked or not learnt:
        return
    settled = _by_silence(everything)
    found = _judged(match, {pk: answers[pk] for pk in asked}, vectors, learnt, settled)
    rows = [
        (WINS, found.wins),
        (EVEN, found.at_equal_length),
        (ACCURACY, found.accuracy),
    ]
    scoring.keep(evaluation, [Figure(name, one.value, one.lower, one.upper, one.n) for name, one in rows])
    evaluation.details["judges"] = {
        "pairs": len(learnt),
        "prompts": len({one.prompt for one in learnt}),
        "learnt_by_model": not apart,
        "against": match.old.pk,
        **({"silent": len(settled)} if settled else {}),
    }
    evaluation.save(update_fields=["details"])


def answers_of_both(new: ModelVersion, old: ModelVersion) -> dict[int, tuple[str, str]]:
    """By prompt (id) what the new and the old model answered when they were measured last, a word at least."""
    return _with_words(_said_by_both(new, old))


def _with_words(said: dict[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
    return {pk: both for pk, both in said.items() if all(map(as_seen, both))}


def _said_by_both(new: ModelVersion, old: ModelVersion) -> dict[int, tuple[str, str]]:
    """By prompt (id) what both answered, with "" where one said nothing."""
    measured, before = scoring.newest(new), scoring.newest(old)
    mine = scoring.answers_of(measured, "model") if measured else {}
    if old == new.ancestry()[-1]:
        theirs = scoring.answers_of(measured, "reference") if measured else {}
    else:
        theirs = scoring.answers_of(before, "model") if before else {}
    return {pk: (mine[pk], theirs[pk]) for pk in sorted(mine.keys() & theirs.keys())}


def _by_silence(said: dict[int, tuple[str, str]]) -> list[float]:
    """The new model's scores on prompts to which one of them, or both, said nothing."""
    there = Prompt.objects.filter(pk__in=said).values_list("pk", flat=True)
    spoke = [[bool(as_seen(text)) for text in said[pk]] for pk in there.order_by("pk")]
    return [0.5 + (new - old) / 2 for new, old in spoke if not (new and old)]


def _labels(match: Match) -> tuple[list[Judged], bool]:
    """The judged pairs that judges learn from, and whether the new model learned from none of them; none if there are
    too few."""
    project = match.new.project
    held_out = Label.objects.counted().decisive().filter(item__prompt__split=Split.HELDOUT, project=project)
    held_out = held_out.exclude(item__purpose=Purpose.GOLD)
    if not match.simulated:
        held_out = held_out.filter(simulated=False)
    trainable = Label.objects.trainable(simulated=match.simulated).filter(project=project)
    known = {pk for rows in (held_out, trainable) for pk in rows.order_by().values_list("pk", flat=True)}
    behind = set(registry.labels_behind(match.new).order_by().values_list("pk", flat=True))
    for some, apart in ((known - behind, True), (known, False)):
        rows = Label.objects.filter(pk__in=some, item__kind=Kind.COMPARISON)
        found = steering.pairs_of(rows)[-MOST_PAIRS:]
        if len(found) >= FEWEST_PAIRS and len({one.prompt for one in found}) >= FEWEST_PROMPTS:
            return found, apart
    return [], False


def _judged(
    match: Match,
    answers: dict[int, tuple[str, str]],
    vectors: dict[Any, list[float]],
    learnt: list[Judged],
    settled: list[float],
) -> crossfit.Judged:
    responses = {response for one in learnt for response in (one.first, one.second)}
    features.look_at(responses)
    stored = features.stored(sorted(responses), reader=match.reader)
    assert stored is not None
    prompts = Prompt.objects.in_bulk(answers)
    asked = list(answers)
    seen = [surface(prompts[pk].last_turn, text) for side in (0, 1) for pk in asked for text in [answers[pk][side]]]
    read = [vectors[f"{side} {pk}"] for side in ("new", "old") for pk in asked]
    values = represent(
        np.vstack([stored.surface, seen]),
        np.vstack([stored.states, read]),
        np.concatenate([stored.prompts, asked, asked]),
    )
    first, second = (
        np.searchsorted(stored.ids, [getattr(one, side) for one in learnt]) for side in ("first", "second")
    )
    labels = crossfit.Labels(
        values.values[first] - values.values[second],
        np.array([one.outcome for one in learnt]),
        np.array([one.weight for one in learnt]),
        np.array([one.prompt for one in learnt]),
        values.groups,
    )
    new, old = np.split(values.values[len(stored.ids) :], 2)
    words = np.array([[max(1, figures.words_in(text)) for text in both] for both in answers.values()], float)
    longer = np.log(words[:, 0] / words[:, 1])
    return crossfit.win_rate(labels, new - old, longer, np.array(asked), settled=settled)
