"""Asking a model for answers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from annotation.models import Project, Prompt, User
from training import runs
from training.models import ModelVersion, Run

MOST_PROMPTS = 10_000


def sample(
    *,
    project: Project,
    model: ModelVersion,
    prompts: QuerySet[Prompt],
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    pairs_per_prompt: int = 0,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run that answers these prompts; when it ends, there is a generation, and of each prompt's answers
    `pairs_per_prompt` pairs are queued to be ranked (evaluation/comparing.py).

    Raises ValidationError if there is no prompt, or too many, or if the settings do not fit.
    """
    rows = prompts.filter(project=project).order_by("id")[: MOST_PROMPTS + 1]
    asked = [{"id": prompt.pk, "messages": prompt.messages} for prompt in rows]
    if not asked:
        raise ValidationError("There is no prompt to answer.")
    if len(asked) > MOST_PROMPTS:
        raise ValidationError(f"These are more than {MOST_PROMPTS:,} prompts: ask for fewer at a time.")
    return runs.start(
        project=project,
        method="generate",
        base=model,
        inputs={"prompts": asked, "after": {"pairs_per_prompt": pairs_per_prompt}},
        settings=settings,
        seed=seed,
        actor=actor,
        wake=wake,
    )
