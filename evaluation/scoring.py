"""A reward model's scores, and how well they agree with people on held-out pairs."""

import json
from typing import Any

from django.core.exceptions import ValidationError

from annotation.models import Project, User
from evaluation.models import Evaluation, Score
from evaluation.statistics import pair_accuracy
from training import artifacts, runs, snapshots
from training.models import ModelVersion, Run
from training.models.runs import Status

HELDOUT = "held-out pairs"
NOTHING = "no judged pair on a held-out prompt yet"


def heldout_answers(*, project: Project, simulated: bool) -> list[dict[str, Any]]:
    """Both answers of each judged held-out pair, for a run to score; `conclude` reads their ids."""
    return [
        {"id": f"{number} {side}", "messages": pair["prompt"], "text": pair[side][0]["content"]}
        for number, pair in enumerate(snapshots.heldout_pairs(project=project, simulated=simulated))
        for side in ("chosen", "rejected")
    ]


def measure(
    *,
    project: Project,
    model: ModelVersion,
    simulated: bool = False,
    seed: int = 17,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run that scores the held-out pairs with a reward model; when it ends, there is an evaluation.

    Raises ValidationError if it is no reward model, or if nobody judged such a pair.
    """
    answers = heldout_answers(project=project, simulated=simulated)
    if not answers:
        raise ValidationError(f"There is nothing to measure with: {NOTHING}.")
    inputs = {"answers": answers, "after": {"evaluate": HELDOUT}}
    return runs.start(project=project, method="score", base=model, inputs=inputs, seed=seed, actor=actor, wake=wake)


def conclude_if_asked(run: Run) -> Evaluation | None:
    """The evaluation that `measure` promised; None if the run promised none, or did not succeed."""
    if run.status != Status.SUCCEEDED or run.inputs.get("after", {}).get("evaluate") != HELDOUT:
        return None
    return conclude(run)


def conclude(run: Run) -> Evaluation:
    """Exact accuracy from a run over held-out pairs: which of two answers did people prefer? Safe to call again."""
    assert run.base is not None
    found = scores(run)
    numbers = sorted(int(name.split()[0]) for name in found if name.endswith("chosen"))
    accuracy = pair_accuracy(
        [found[f"{number} chosen"] for number in numbers], [found[f"{number} rejected"] for number in numbers]
    )
    evaluation, _ = Evaluation.objects.get_or_create(
        run=run, defaults={"project": run.project, "model_version": run.base, "kind": HELDOUT}
    )
    Score.objects.update_or_create(
        evaluation=evaluation,
        name="reward accuracy",
        defaults={"value": accuracy.value, "lower": accuracy.lower, "upper": accuracy.upper, "n": accuracy.n},
    )
    return evaluation


def scores(run: Run) -> dict[Any, float]:
    """What a run gave each answer, by the id it was sent with."""
    artifacts.bring(f"{run.project.slug}/runs/{run.pk}/scores.jsonl")
    with (run.folder / "scores.jsonl").open() as lines:
        return {row["id"]: row["score"] for row in map(json.loads, lines)}
