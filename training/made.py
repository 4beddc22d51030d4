"""Rows that no person stands behind: answers of a teacher, and preferences that a reward model guesses.

They are marked as such for ever: a snapshot that has any has a column `made_by`, the id of the model version that made
the row, empty where people did, and its counts say how many there are. People's rows go first: a row of a model never
contradicts or repeats one, and their share is capped.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from annotation.models import Label, Project, Prompt, Response
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.text import sha256
from training.models import ModelVersion, Run, Sample
from training.models.registry import ModelKind
from training.models.runs import Status

Row = dict[str, Any]


def with_models(rows: list[Row], made: list[Row], *, share: float) -> list[Row]:
    """People's rows and as many of the made ones as their share of all allows, in an order that nobody chose."""
    drawn = sorted(made, key=sha256)[: most(len(rows), share)]
    return [{**row, "made_by": None} for row in rows] + drawn


def most(people: int, share: float) -> int:
    """How many rows may be added to those of people so that they are at most this share of all.

    >>> most(30, 0.25), most(30, 0.5), most(0, 0.5), most(7, 1.0) > 10**6
    (10, 30, 0, True)
    """
    return 10**9 if share >= 1 else math.floor(people * share / (1 - share) + 1e-9)


def taught(project: Project, teachers: list[int], *, simulated: bool) -> Iterator[tuple[Response, int]]:
    """Finished answers of these model versions to training prompts, each with its (first) author: distillation by
    sequences (Kim and Rush 2016). Whatever people have judged is left to them.
    """
    judged = Label.objects.trainable(simulated=simulated).filter(project=project)
    samples = (
        Sample.objects.filter(
            generation__project=project,
            generation__model_version__in=teachers,
            finished=True,
            response__in=Response.objects.kept(),
            response__prompt__in=Prompt.objects.train().originals(),
        )
        .exclude(response__in=judged.exclude(response=None).values("response"))
        .exclude(response__in=judged.filter(verdict=Verdict.REJECT).values("item__responses"))
        .exclude(response__in=judged.filter(judgements__unacceptable=True).values("judgements__response"))
        .select_related("response__prompt", "generation")
        .order_by("response_id", "id")
    )
    seen: set[int] = set()
    for sample in samples:
        if sample.response_id not in seen:
            seen.add(sample.response_id)
            yield sample.response, sample.generation.model_version_id


def guessed(
    project: Project, judges: list[int], *, confidence: float, simulated: bool
) -> Iterator[tuple[Response, Response, float, int]]:
    """Of each training prompt the best and the worst answer by the scores a reward model gave, if it is sure enough:
    (chosen, rejected, confidence, judge). Bradley and Terry's model makes the confidence of the difference of scores.
    Prompts whose answers people have compared are left to them.
    """
    labels = Label.objects.trainable(simulated=simulated).filter(project=project, item__kind=Kind.COMPARISON)
    for version in ModelVersion.objects.filter(project=project, kind=ModelKind.REWARD, pk__in=judges).order_by("pk"):
        scores = scores_of(version)
        by_prompt: dict[int, list[Response]] = defaultdict(list)
        responses = Response.objects.kept().filter(
            pk__in=scores, prompt__in=Prompt.objects.train().originals().filter(project=project)
        )
        responses = responses.exclude(prompt__in=labels.values("item__prompt"))
        for response in responses.select_related("prompt").order_by("pk"):
            by_prompt[response.prompt_id].append(response)
        for answers in by_prompt.values():
            best, worst = (choose(answers, key=lambda one: scores[one.pk]) for choose in (max, min))
            sure = 1 / (1 + math.exp(-min(scores[best.pk] - scores[worst.pk], 500.0)))
            if best.pk != worst.pk and sure >= confidence:
                yield best, worst, sure, version.pk


def scores_of(version: ModelVersion) -> dict[int, float]:
    """The scores that this reward model gave to responses, of all its runs; the newest counts."""
    found: dict[int, float] = {}
    for run in Run.objects.filter(method="score", base=version, status=Status.SUCCEEDED).order_by("pk"):
        path = run.folder / "scores.jsonl"
        if path.exists():
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found |= {row["id"]: row["score"] for row in rows if isinstance(row["id"], int)}
    return found
