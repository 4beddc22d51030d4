"""Asking a model for answers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from annotation.models import Project, Prompt, User
from training import runs, snapshots
from training.models import ModelVersion, Run, Snapshot
from training.models.snapshots import SnapshotKind

MOST_PROMPTS = 10_000


def sample(
    *,
    project: Project,
    model: ModelVersion,
    prompts: QuerySet[Prompt],
    snapshot: Snapshot | None = None,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    pairs_per_prompt: int = 0,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run that answers these prompts; when it ends, there is a generation, and of each prompt's answers
    `pairs_per_prompt` pairs are queued to be ranked (evaluation/comparing.py). Examples to be shown before each prompt
    (`few_shot`) are drawn from `snapshot`, or from the demonstrations as they are now. Excluded prompts are left out.

    Raises ValidationError if there is no prompt, or too many, or if the settings or the snapshot do not fit.
    """
    checked = runs.checked_settings("generate", settings or {})
    if snapshot is not None and snapshot.kind != SnapshotKind.DEMONSTRATIONS:
        raise ValidationError("Examples to be shown come from a snapshot of demonstrations.")
    rows = prompts.filter(project=project, excluded_at__isnull=True).order_by("id")[: MOST_PROMPTS + 1]
    asked = [{"id": prompt.pk, "messages": prompt.messages} for prompt in rows]
    if not asked:
        raise ValidationError("There is no prompt to answer.")
    if len(asked) > MOST_PROMPTS:
        raise ValidationError(f"These are more than {MOST_PROMPTS:,} prompts: ask for fewer at a time.")
    if checked["few_shot"] and snapshot is None:
        try:
            snapshot = snapshots.freeze(project=project, kind=SnapshotKind.DEMONSTRATIONS, actor=actor)
        except snapshots.NoRows as error:
            raise ValidationError(f"There is no example to show: {error}") from error
    return runs.start(
        project=project,
        method="generate",
        base=model,
        snapshot=snapshot if checked["few_shot"] else None,
        inputs={"prompts": asked, "after": {"pairs_per_prompt": pairs_per_prompt}},
        settings=settings,
        seed=seed,
        actor=actor,
        wake=wake,
    )
