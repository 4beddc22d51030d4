"""Rounds, of which the runs are ended by hand, with folders as recipes leave them; all else is the product's."""

from collections.abc import Callable
from typing import Any

from django_q.models import OrmQ
from django_q.signing import SignedPackage

from annotation.models import Project
from evaluation import rounds, tasks
from evaluation.models import Round, RoundStep, StepRun
from tests.training.making import succeeds
from training.methods.answers import FEATURES_WIDTH
from training.models import Run

SETTINGS: dict[str, Any] = {
    "minimum_comparisons": 2,
    "fresh_prompts": 4,
    "heldout_prompts": 2,
    "new_items": 6,
    "random_share": 0,
    "generate": {"samples_per_prompt": 2},
}
PURPOSES = [
    *("sft", "reward", "dpo", "measure challenger", "score heldout"),
    *("generate champion", "generate challenger", "score answers", "read answers"),
]
MATCH = ("champion", "challenger")  # answer held-out prompts once more, for people to compare


def begin(project: Project, **more: Any) -> Round:
    return rounds.start(project=project, settings={**SETTINGS, **more})


def advanced(round: Round) -> Round:
    return rounds.advance(round_id=round.pk)


def fresh(round: Round) -> Round:
    return Round.objects.get(pk=round.pk)


def detail(round: Round, name: str) -> dict[str, Any]:
    return RoundStep.objects.get(round=round, name=name).detail


def outcomes(round: Round) -> dict[str, str]:
    return dict(RoundStep.objects.filter(round=round).order_by("id").values_list("name", "status"))


def run_of(round: Round, purpose: str) -> Run:
    return StepRun.objects.get(step__round=round, purpose=purpose).run


def messages() -> list[tuple]:
    packed = [SignedPackage.loads(one.payload) for one in OrmQ.objects.filter(key="default")]
    return [(task["func"], *task["args"]) for task in packed]


def answers_of(run: Run) -> list[dict[str, Any]]:
    """What a model writes: two answers to each prompt, in its own words."""
    return [
        {"prompt_id": prompt["id"], "sample": n, "text": f"{run.base.name} {n}", "tokens": 2, "finished": True}
        for prompt in run.inputs["prompts"]
        for n in range(2)
    ]


def scores_of(run: Run, score: Callable[[Any], float] = lambda name: 0.0) -> list[dict[str, Any]]:
    return [{"id": answer["id"], "score": score(answer["id"])} for answer in run.inputs["answers"]]


def vectors_of(run: Run) -> list[dict[str, Any]]:
    """What a model makes of answers: the first number is how often "good" stands there."""
    return [
        {"id": answer["id"], "vector": [float(answer["text"].count("good"))] + [0.0] * (FEATURES_WIDTH - 1)}
        for answer in run.inputs["answers"]
    ]


def lines_of(run: Run) -> list[dict[str, Any]]:
    return {"generate": answers_of, "score": scores_of, "features": vectors_of}.get(run.method, lambda run: [])(run)


def work(round: Round, until: str = "") -> Round:
    """Do all queued runs of a round, as a worker and the queue would, up to those of a purpose."""
    advanced(round)
    while True:
        waiting = StepRun.objects.filter(step__round=round, run__status="queued").order_by("run_id")
        waiting = waiting.exclude(purpose__startswith=until) if until else waiting
        following = waiting.select_related("run__base").first()
        if following is None:
            return fresh(round)
        run = succeeds(following.run, lines_of(following.run))
        tasks.run_finished(run.pk)
