"""Measuring a model on held-out data: a run that reads or scores texts, and the evaluation that comes of it."""

import json
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation import agreement
from annotation.models import Project, User
from annotation.models.items import Kind
from evaluation import figures, heldout
from evaluation.figures import Figure
from evaluation.models import Evaluation, Score
from evaluation.policy import MEASURED
from training import artifacts, runs
from training.models import ModelVersion, Run
from training.models.registry import ModelKind
from training.models.runs import Status

HELDOUT = "held-out pairs"
MEASURES = "held-out measures"
NOTHING = "no judged pair on a held-out prompt yet"


def reward_inputs(*, project: Project, simulated: bool) -> dict[str, Any]:
    """What a `score` run over the judged held-out pairs is given, and what `conclude` needs to know of them."""
    rows = heldout.pairs(project=project, simulated=simulated)
    answers = [
        {"id": f"{number} {side}", "messages": row.messages, "text": text}
        for number, row in enumerate(rows)
        for side, text in row.texts.items()
    ]
    about = [vars(row.about) for row in rows]
    return {"answers": answers, "after": {"evaluate": HELDOUT, "pairs": about, "simulated": simulated}}


def policy_inputs(*, project: Project, model: ModelVersion, simulated: bool, prompts: int) -> dict[str, Any]:
    """What a `measure` run is given: held-out pairs and examples, the probe, and prompts to answer."""
    texts, about = heldout.texts_of(project=project, simulated=simulated)
    asked = heldout.prompts(project=project, number=prompts)
    inputs: dict[str, Any] = {
        "texts": texts,
        "after": {
            "evaluate": MEASURES,
            "simulated": simulated,
            **about,
            "prompts": {str(one.pk): {"language": one.language, "tags": list(one.tags)} for one in asked},
        },
    }
    if asked:
        inputs["prompts"] = [{"id": prompt.pk, "messages": prompt.messages} for prompt in asked]
    base = model.ancestry()[-1]
    if base != model.full_weights():  # taking an adapter off would not lead back to it
        inputs["reference"] = str(base.path)
    return inputs


def measure(
    *,
    project: Project,
    model: ModelVersion,
    simulated: bool = False,
    prompts: int = MEASURED,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run that measures a model on held-out data; when it ends, there is an evaluation.

    A reward model scores the judged held-out pairs. A policy reads them too, and examples, and the probe, beside the
    base model it came from, and both answer `prompts` held-out prompts. Raises ValidationError if it is a reward model
    and nobody judged such a pair, if it is a classifier, or if the settings do not fit.
    """
    if model.kind == ModelKind.CLASSIFIER:
        raise ValidationError(f"{model} is a classifier: what it is worth is not told by people's comparisons.")
    if model.kind == ModelKind.REWARD:
        method, inputs = "score", reward_inputs(project=project, simulated=simulated)
        if not inputs["answers"]:
            raise ValidationError(f"There is nothing to measure with: {NOTHING}.")
    else:
        method = "measure"
        inputs = policy_inputs(project=project, model=model, simulated=simulated, prompts=prompts)
    return runs.start(
        project=project, method=method, base=model, inputs=inputs, settings=settings, seed=seed, actor=actor, wake=wake
    )


def conclude_if_asked(run: Run) -> Evaluation | None:
    """The evaluation that `measure` promised; None if the run promised none, or did not succeed."""
    promised = run.inputs.get("after", {}).get("evaluate")
    if run.status != Status.SUCCEEDED or promised not in (HELDOUT, MEASURES):
        return None
    return conclude(run)


def conclude(run: Run) -> Evaluation:
    """The figures of a run over held-out data. Safe to call again."""
    assert run.base is not None
    after = run.inputs["after"]
    details: dict[str, Any] = {"simulated": after.get("simulated", False)}
    if run.method == "score":
        found = scores(run)
        differences = [found[f"{number} chosen"] - found[f"{number} rejected"] for number in range(len(after["pairs"]))]
        rows = [*figures.of_reward_model(differences, after["pairs"]), *ceiling(run.project, details["simulated"])]
    else:
        answers = lines_of(run, "answers.jsonl")
        rows = figures.of_policy(lines_of(run, "measures.jsonl"), answers, after, heldout.probe())
        for by in ("model", "reference"):
            details[f"words_{by}"] = {
                str(row["id"]): figures.words_in(row["text"]) for row in answers if row["by"] == by
            }
    return evaluated(run, after["evaluate"], rows, details)


@transaction.atomic
def evaluated(run: Run, kind: str, rows: Iterable[Figure], details: dict[str, Any]) -> Evaluation:
    """The evaluation of the model that a run was about, with these figures. Safe to call again."""
    assert run.base is not None
    evaluation, _ = Evaluation.objects.get_or_create(
        run=run, defaults={"project": run.project, "model_version": run.base, "kind": kind, "details": details}
    )
    keep(evaluation, rows)
    return evaluation


def keep(evaluation: Evaluation, rows: Iterable[Figure]) -> None:
    """Add figures to an evaluation, or bring those that it has up to date."""
    Score.objects.bulk_create(
        [Score(evaluation=evaluation, **vars(row)) for row in rows],
        update_conflicts=True,
        unique_fields=["evaluation", "name", "group"],
        update_fields=["value", "lower", "upper", "n"],
    )


def ceiling(project: Project, simulated: bool = False) -> list[Figure]:
    """How often two people agree on a pair of answers: who predicts people cannot be expected to do much better."""
    found = agreement.of_project(project, simulated=simulated)[Kind.COMPARISON].interval
    return [] if found is None else [Figure("agreement of people", found.value, found.lower, found.upper, found.n)]


def newest(version: ModelVersion) -> Evaluation | None:
    """The newest evaluation of a model version of the kind that its kind of model has."""
    kind = HELDOUT if version.kind == ModelKind.REWARD else MEASURES
    return version.evaluations.filter(kind=kind).first()


def score_of(version: ModelVersion, name: str) -> Score | None:
    """A figure of the newest evaluation, over everything."""
    evaluation = newest(version)
    return evaluation.scores.filter(name=name, group="").first() if evaluation else None


def scores(run: Run) -> dict[Any, float]:
    """What a run gave each answer, by the id it was sent with."""
    return {row["id"]: row["score"] for row in lines_of(run, "scores.jsonl")}


def answers_of(evaluation: Evaluation, by: str) -> dict[int, str]:
    """What a model ("model") or its base ("reference") answered when it was measured, by prompt (id)."""
    rows = lines_of(evaluation.run, "answers.jsonl") if evaluation.run else []
    return {int(row["id"]): row["text"] for row in rows if row["by"] == by}


def lines_of(run: Run, name: str) -> list[dict[str, Any]]:
    artifacts.bring(f"{run.project.slug}/runs/{run.pk}/{name}")
    path = run.folder / name
    if name == "answers.jsonl" and not path.exists():  # no prompt was there to answer
        return []
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def measured(version: ModelVersion) -> list[tuple[str, str]]:
    """What the card of a model says of its figures."""
    found = Score.objects.filter(evaluation__model_version=version, evaluation__kind__in=[HELDOUT, MEASURES])
    return [
        (score.name, f"{score.value:.3g} ({score.lower:.3g} to {score.upper:.3g}, n {score.n})")
        if score.lower is not None and score.upper is not None
        else (score.name, f"{score.value:.3g}")
        for score in found.order_by("-evaluation_id", "id")
    ]
