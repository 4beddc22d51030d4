"""Training by hand, outside a round: one run, on a snapshot or on the labels as they are now."""

from collections.abc import Iterable
from random import Random
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.models import Project, Prompt, User
from training import preflight, runs, snapshots, tagged
from training.methods import ClassifySettings
from training.models import ModelVersion, Run, Snapshot
from training.models.registry import ModelKind


@transaction.atomic
def tune(
    *,
    project: Project,
    method: str,
    base: ModelVersion | None = None,
    snapshot: Snapshot | None = None,
    others: Iterable[Snapshot] = (),
    teacher: ModelVersion | None = None,
    rule: snapshots.Rule | None = None,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    plan: runs.Plan = runs.Plan(),  # noqa: B008  (it cannot change)
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a training run from `base`, or else from the production model. Without a snapshot the labels are frozen
    by `rule` first, and `others` are mixed in beside it. A method that learns from a `teacher` learns on the project's
    training prompts; a classifier on those that have tags.

    Raises ValidationError if the settings, the snapshot, the model or the teacher do not fit the method, if there is no
    model, if no label fits the rule, if there is no prompt, or if no tag can be learned.
    """
    wanted = runs.method_of(method)
    if wanted.produces is None:
        raise ValidationError(f"{wanted.title} trains nothing.")
    chosen = runs.checked_settings(method, settings or {})  # before anything is frozen
    base = base or ModelVersion.objects.filter(project=project).production().first()
    if base is None:
        raise ValidationError("There is no production model yet: import a base model first.")
    if why := preflight.no_template(base):
        raise ValidationError(why)
    if snapshot is None and wanted.snapshot_kind is not None:
        try:
            snapshot = snapshots.freeze(project=project, kind=wanted.snapshot_kind, rule=rule, actor=actor)
        except snapshots.NoRows as error:
            raise ValidationError(str(error)) from error
    inputs = None
    if wanted.learns_from:
        inputs = {"prompts": training_prompts(project, count=chosen["prompts"], seed=seed)}
    elif wanted.produces == ModelKind.CLASSIFIER:
        inputs = _tagged(project, ClassifySettings(**chosen), seed)
    return runs.start(
        project=project,
        method=method,
        base=base,
        snapshot=snapshot,
        others=[other for other in others if other != snapshot],
        teacher=teacher,
        settings=settings,
        inputs=inputs,
        seed=seed,
        plan=plan,
        actor=actor,
        wake=wake,
    )


def _tagged(project: Project, settings: ClassifySettings, seed: int) -> dict[str, Any]:
    known = tagged.teaches(project, settings)
    if known.problem:
        raise ValidationError(known.problem)
    return tagged.inputs(project, settings, known, seed)


def training_prompts(project: Project, *, count: int, seed: int) -> list[dict[str, Any]]:
    """So many of the project's training prompts, drawn by the seed; those made by mending another are none of them.

    Raises ValidationError if there is none.
    """
    prompts = Prompt.objects.train().kept().originals().filter(project=project).order_by("sha256")
    ids = list(prompts.values_list("pk", flat=True))
    if not ids:
        raise ValidationError("There is no training prompt to answer.")
    drawn = Random(seed).sample(ids, min(count, len(ids)))
    found = prompts.in_bulk(drawn)
    return [{"id": pk, "messages": found[pk].messages} for pk in drawn]
