"""What a model is worth by suites of questions that many models were measured with, beside the model it came from.

The questions are not the project's and nobody's labels are behind them: they tell what was lost elsewhere, and a reader
who knows the suite how good the model is. The gate does not ask for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from annotation.models import User
from annotation.statistics import wilson
from evaluation import scoring
from evaluation.bradley_terry import quantile
from evaluation.figures import Figure
from evaluation.models import Evaluation, Score
from training import runs
from training.methods import SUITE
from training.models import ModelVersion, Run
from training.models.runs import Status

KIND = "public suites"
OF_BASE, GAIN = ", of its base", ", over its base"


@dataclass
class Row:
    """One measure of one suite, as a page shows it."""

    suite: str
    measure: str
    own: Score
    base: Score | None = None
    gain: Score | None = None


def ask(
    *, model: ModelVersion, settings: dict[str, Any] | None = None, actor: User | None = None, wake: bool = True
) -> Run:
    """Queue a run that asks a model, and the base model it came from, the questions of some suites; when it ends, there
    is an evaluation. Raises ValidationError if the settings do not fit, or if it does not answer here."""
    base = model.ancestry()[-1]
    inputs = {"reference": str(base.path)} if base != model else {}
    return runs.start(
        project=model.project, method=SUITE.name, base=model, settings=settings, inputs=inputs, actor=actor, wake=wake
    )


def conclude_if_asked(run: Run) -> Evaluation | None:
    """The evaluation that `ask` promised; None of another run, or of one that did not succeed. Safe to call again."""
    if run.status != Status.SUCCEEDED or run.method != SUITE.name or run.base is None:
        return None
    found: dict[str, dict[str, Any]] = {}
    for line in scoring.lines_of(run, "scores.jsonl"):
        found.setdefault(line["suite"], {})[line["by"]] = line["scores"]
    rows = [row for suite, by in found.items() for row in of_suite(suite, by["model"], by.get("reference"))]
    return scoring.evaluated(run, KIND, rows, {"settings": run.settings})


def of_suite(
    suite: str, own: Mapping[str, Mapping[str, float]], base: Mapping[str, Mapping[str, float]] | None
) -> list[Figure]:
    """By measure, what a question was worth on average to the model and to its base, and how much more to the model on
    the same questions.

    >>> own, base = {"acc": {"a 0": 1.0, "a 1": 1.0, "a 2": 0.0}}, {"acc": {"a 0": 0.0, "a 1": 1.0, "a 2": 0.0}}
    >>> [(one.name, round(one.value, 2), one.n) for one in of_suite("a", own, base)]
    [('acc', 0.67, 3), ('acc, of its base', 0.33, 3), ('acc, over its base', 0.33, 3)]
    """
    rows = []
    for measure, worth in own.items():
        rows.append(_worth(measure, list(worth.values()), suite))
        theirs = (base or {}).get(measure, {})
        both = [(worth[question], theirs[question]) for question in worth if question in theirs]
        if both:
            rows.append(_worth(measure + OF_BASE, [other for _, other in both], suite))
            rows.append(_mean(measure + GAIN, [mine - other for mine, other in both], suite))
    return rows


def _worth(name: str, values: list[float], suite: str) -> Figure:
    if set(values) <= {0.0, 1.0}:
        share = wilson(sum(values), len(values))
        return Figure(name, share.value, share.lower, share.upper, share.n, suite)
    return _mean(name, values, suite)


def _mean(name: str, values: list[float], suite: str) -> Figure:
    """With Student's interval (1908), unless all are alike: then nothing tells how much they might differ."""
    mean, n = fmean(values), len(values)
    if len(set(values)) == 1:
        return Figure(name, mean, None, None, n, suite)
    half = quantile(n) * stdev(values) / sqrt(n)
    return Figure(name, mean, mean - half, mean + half, n, suite)


def of_model(version: ModelVersion) -> list[tuple[Evaluation, list[Row]]]:
    """What a model was asked, the newest first."""
    found = Evaluation.objects.filter(model_version=version, kind=KIND).select_related("run__project")
    return [(one, _rows(one)) for one in found.prefetch_related("scores")]


def _rows(evaluation: Evaluation) -> list[Row]:
    by_name = {(score.group, score.name): score for score in sorted(evaluation.scores.all(), key=lambda one: one.pk)}
    return [
        Row(suite, name, score, by_name.get((suite, name + OF_BASE)), by_name.get((suite, name + GAIN)))
        for (suite, name), score in by_name.items()
        if not name.endswith((OF_BASE, GAIN))
    ]
