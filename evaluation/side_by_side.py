"""Two versions answer by answer: what each said to the same prompt, and what people and reward models thought of it."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Label, Prompt, Response
from annotation.models.items import Kind, Purpose
from evaluation import winrate
from training.models import ModelVersion, Sample


@dataclass(frozen=True)
class Beside:
    """A prompt with the answers of both. `votes` are (for the first, for the second, ties) of people."""

    prompt: Prompt
    first: list[Response]
    second: list[Response]
    votes: tuple[int, int, int]


def prompts(first: ModelVersion, second: ModelVersion) -> QuerySet[Prompt]:
    """Those that both answered; what people compared comes first."""
    rows = Prompt.objects.filter(project_id=first.project_id)
    for version in (first, second):
        answered = Sample.objects.filter(generation__model_version=version, response__prompt=OuterRef("pk"))
        rows = rows.filter(Exists(answered))
    judged = Label.objects.live().filter(item__prompt=OuterRef("pk"), item__kind=Kind.COMPARISON)
    return rows.annotate(judged=Exists(judged)).order_by("-judged", "id")


def beside(first: ModelVersion, second: ModelVersion, shown: list[Prompt]) -> list[Beside]:
    """Both models' answers to these prompts, with what people said of them."""
    answers = {one.pk: _answers(one, shown) for one in (first, second)}
    votes: dict[int, list[float]] = defaultdict(list)
    labels = Label.objects.counted().decisive().filter(item__prompt__in=shown, item__kind=Kind.COMPARISON)
    for said in winrate.compared(labels.exclude(item__purpose=Purpose.GOLD)):
        sides = [{one.pk for one in answers[pk].get(said.prompt, [])} for pk in (first.pk, second.pk)]
        verdict = winrate.verdict_of(said, sides[0] - sides[1], sides[1] - sides[0])
        if verdict is not None:
            votes[said.prompt].append(verdict.score)
    return [
        Beside(
            prompt,
            answers[first.pk].get(prompt.pk, []),
            answers[second.pk].get(prompt.pk, []),
            (
                sum(score > 0.5 for score in votes[prompt.pk]),
                sum(score < 0.5 for score in votes[prompt.pk]),
                sum(score == 0.5 for score in votes[prompt.pk]),
            ),
        )
        for prompt in shown
    ]


def _answers(version: ModelVersion, shown: list[Prompt]) -> dict[int, list[Response]]:
    found: dict[int, list[Response]] = defaultdict(list)
    rows = Response.objects.filter(samples__generation__model_version=version, prompt__in=shown)
    for response in rows.distinct().order_by("id"):
        found[response.prompt_id].append(response)
    return found
