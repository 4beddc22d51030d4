"""The loop: one round from labels to a tuned model to the next questions.

`advance` may be called at any time by anybody: it locks the round, does what the current step still lacks, and
goes on until a step waits for runs or for labels. What each step does is in evaluation/steps.py.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone
from django_q.tasks import async_task
from pydantic import ValidationError as SettingsError

from annotation.models import Project, User
from annotation.models.events import record
from evaluation import steps
from evaluation.models import Round, RoundStatus, RoundStep, Step, StepStatus
from evaluation.policy import SKIPPABLE, RoundSettings
from training import runs
from training.models import ModelVersion

log = logging.getLogger(__name__)
ORDER = list(Step)


def checked_settings(given: dict[str, Any]) -> RoundSettings:
    """Validated settings, the methods' own included; raises ValidationError in words for people."""
    try:
        settings = RoundSettings.model_validate(given)
    except SettingsError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or 'round'}: {e['msg']}" for e in error.errors()]
        raise ValidationError(problems) from None
    for method in ("sft", "reward", "dpo", "generate"):
        runs.checked_settings(method, getattr(settings, method))
    if unknown := set(settings.skip) - SKIPPABLE:
        raise ValidationError(f"These steps cannot be left out: {', '.join(sorted(unknown))}.")
    return settings


@transaction.atomic
def start(*, project: Project, settings: dict[str, Any] | None = None, actor: User | None = None) -> Round:
    """Begin a round with the production policy as its champion.

    Raises ValidationError if one is active already, if there is no production model, or for bad settings.
    """
    checked = checked_settings(settings or {})
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    champion = ModelVersion.objects.filter(project=project).production().first()
    if champion is None:
        raise ValidationError("There is no production model yet: import a base model first.")
    if Round.objects.active().filter(project=project).exists():
        raise ValidationError("A round is under way: wait for it, or cancel it.")
    last = Round.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
    try:
        with transaction.atomic():
            new = Round.objects.create(
                project=project,
                number=last + 1,
                settings=checked.model_dump(mode="json"),
                champion=champion,
                started_by=actor,
            )
    except IntegrityError as error:
        raise ValidationError("A round is under way: wait for it, or cancel it.") from error
    record("round started", new, project=project, actor=actor, number=new.number)
    transaction.on_commit(lambda: async_task("evaluation.tasks.advance_round", new.pk, cluster="default"))
    return new


def advance(*, round_id: int, force: bool = False, actor: User | None = None) -> Round:
    """Do what can be done now; returns the round. `force` moves on from waiting for labels."""
    while True:
        with transaction.atomic():
            # Nothing joined: rows that are joined would be as they were before we waited for the lock.
            current = Round.objects.select_for_update().get(pk=round_id)
            if current.status != RoundStatus.ACTIVE or not _one_step(current, force, actor):
                return current


def _one_step(current: Round, force: bool, actor: User | None) -> bool:
    """Work on the current step; True if the round moved on to another."""
    if current.step == Step.DONE:
        return False
    row, _ = RoundStep.objects.get_or_create(round=current, name=current.step)
    settings = RoundSettings.model_validate(current.settings)
    try:
        if current.step in settings.skip:
            outcome = StepStatus.SKIPPED
        else:
            with transaction.atomic():
                outcome = DO[current.step](current, row, settings, force)
    except (InterfaceError, OperationalError):
        raise
    except Exception as error:
        why = str(error)
        if not isinstance(error, steps.StepFailed):
            log.exception("%s of %s broke", current.step, current)
            why = f"The step broke ({type(error).__name__}: {error}). Retry the round once that is mended."
        _close(row, StepStatus.FAILED)
        Round.objects.filter(pk=current.pk).update(status=RoundStatus.FAILED, error=why)
        record("round failed", current, project=current.project, actor=None, step=current.step, error=why)
        return False
    if outcome == StepStatus.RUNNING:
        row.save(update_fields=["detail"])
        return False
    _close(row, outcome)
    following = ORDER[ORDER.index(Step(current.step)) + 1]
    record("round advanced", current, project=current.project, actor=actor, done=current.step, next=following)
    changes: dict[str, Any] = {"step": following}
    if following == Step.DONE:
        changes |= {"status": RoundStatus.DONE, "finished_at": timezone.now()}
        RoundStep.objects.create(round=current, name=Step.DONE, status=StepStatus.DONE, finished_at=timezone.now())
    Round.objects.filter(pk=current.pk).update(**changes)
    return True


def _close(row: RoundStep, status: StepStatus) -> None:
    row.status, row.finished_at = status, timezone.now()
    row.save(update_fields=["status", "finished_at", "detail"])


@transaction.atomic
def cancel(*, round: Round, actor: User | None = None) -> bool:
    """Stop a round and its runs; False if it has ended already. `retry` goes on from here."""
    changed = Round.objects.filter(pk=round.pk, status=RoundStatus.ACTIVE).update(status=RoundStatus.CANCELLED)
    if not changed:
        return False
    for step_run in steps.open_runs(round):
        runs.cancel(run=step_run.run, actor=actor)
    record("round cancelled", round, project=round.project, actor=actor)
    return True


@transaction.atomic
def retry(*, round: Round, actor: User | None = None) -> bool:
    """Go on with a failed or cancelled round from the step where it stopped; what is done stays done.

    Raises ValidationError if another round of the project is active; False if there is nothing to retry.
    """
    Project.objects.select_for_update(no_key=True).get(pk=round.project_id)
    if Round.objects.active().filter(project=round.project).exclude(pk=round.pk).exists():
        raise ValidationError("Another round is under way.")
    changed = Round.objects.filter(pk=round.pk, status__in=[RoundStatus.FAILED, RoundStatus.CANCELLED]).update(
        status=RoundStatus.ACTIVE, error=""
    )
    if not changed:
        return False
    RoundStep.objects.filter(round=round, name=round.step).update(status=StepStatus.RUNNING, finished_at=None)
    for step_run in steps.ended_badly(round):
        runs.retry(run=step_run.run, actor=actor)
    record("round retried", round, project=round.project, actor=actor)
    transaction.on_commit(lambda: async_task("evaluation.tasks.advance_round", round.pk, cluster="default"))
    return True


DO: dict[str, Callable[[Round, RoundStep, RoundSettings, bool], StepStatus]] = {
    Step.COLLECTING: steps.collecting,
    Step.FREEZING: steps.freezing,
    Step.SFT: steps.sft,
    Step.REWARD: steps.reward,
    Step.DPO: steps.dpo,
    Step.EVALUATING: steps.evaluating,
    Step.GATED: steps.gated,
    Step.SAMPLING: steps.sampling,
    Step.SELECTING: steps.selecting,
}
