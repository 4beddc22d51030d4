"""Training by hand, outside a round: one run, on a snapshot or on the labels as they are now."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.models import Project, User
from training import preflight, runs, snapshots
from training.models import ModelVersion, Run, Snapshot


@transaction.atomic
def tune(
    *,
    project: Project,
    method: str,
    base: ModelVersion | None = None,
    snapshot: Snapshot | None = None,
    others: Iterable[Snapshot] = (),
    rule: snapshots.Rule | None = None,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    plan: runs.Plan = runs.Plan(),  # noqa: B008  (it cannot change)
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a training run from `base`, or else from the production model. Without a snapshot the labels are frozen
    by `rule` first. `others` are mixed in beside it.

    Raises ValidationError if the settings, the snapshot or the model do not fit the method, if there is no model, or if
    no label fits the rule.
    """
    wanted = runs.method_of(method)
    if wanted.snapshot_kind is None:
        raise ValidationError(f"{wanted.title} trains nothing.")
    runs.checked_settings(method, settings or {})  # before anything is frozen
    base = base or ModelVersion.objects.filter(project=project).production().first()
    if base is None:
        raise ValidationError("There is no production model yet: import a base model first.")
    if why := preflight.no_template(base):
        raise ValidationError(why)
    if snapshot is None:
        try:
            snapshot = snapshots.freeze(project=project, kind=wanted.snapshot_kind, rule=rule, actor=actor)
        except snapshots.NoRows as error:
            raise ValidationError(str(error)) from error
    return runs.start(
        project=project,
        method=method,
        base=base,
        snapshot=snapshot,
        others=[other for other in others if other != snapshot],
        settings=settings,
        seed=seed,
        plan=plan,
        actor=actor,
        wake=wake,
    )
