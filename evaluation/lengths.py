"""By how much the answers of one model are longer than another's, from all that both gave to held-out prompts."""

from collections import defaultdict
from statistics import mean
from typing import Any

from annotation.models.prompts import Split
from annotation.statistics import Interval
from evaluation import figures, scoring
from training.methods import GenerateSettings
from training.models import ModelVersion, Sample

MOST_ANSWERS = 5_000  # of one model, the newest
DECIDE = ("max_new_tokens", "temperature", "top_p", "few_shot")  # settings that decide how long an answer gets
Manner = tuple[float, ...]
Words = dict[Manner, dict[str, list[int]]]  # by how they were asked for, and by prompt: of each answer


def growth(version: ModelVersion, other: ModelVersion) -> Interval | None:
    """As a share, over prompts; None if no held-out prompt was answered by both in the same manner.

    Answers are those that were measured and those that were sampled, for people or for a comparison. Of several
    answers to a prompt the mean counts.
    """
    mine, theirs = _answered(version), _answered(other)
    if other == version.ancestry()[-1]:
        _add_measured(theirs, version, "words_reference")
    new: dict[str, float] = defaultdict(float)
    old: dict[str, float] = defaultdict(float)
    for manner in mine.keys() & theirs.keys():
        for prompt in mine[manner].keys() & theirs[manner].keys():
            new[prompt] += mean(mine[manner][prompt])
            old[prompt] += mean(theirs[manner][prompt])
    return figures.growth(new, old)


def _answered(version: ModelVersion) -> Words:
    found: Words = defaultdict(lambda: defaultdict(list))
    _add_measured(found, version, "words_model")
    sampled = Sample.objects.filter(generation__model_version=version, response__prompt__split=Split.HELDOUT)
    rows = sampled.order_by("-pk").values_list("generation__settings", "response__prompt_id", "response__text")
    for settings, prompt, text in rows[:MOST_ANSWERS]:
        found[_manner(settings)][str(prompt)].append(figures.words_in(text))
    return found


def _add_measured(found: Words, version: ModelVersion, whose: str) -> None:
    for evaluation in version.evaluations.filter(kind=scoring.MEASURES).select_related("run"):
        manner = _manner(evaluation.run.settings if evaluation.run else {})
        for prompt, words in evaluation.details.get(whose, {}).items():
            found[manner][prompt].append(words)


def _manner(settings: dict[str, Any]) -> Manner:
    return tuple(float(settings.get(name, GenerateSettings.model_fields[name].default)) for name in DECIDE)
