"""Snapshots that are asked for: a few labels are frozen at once, many by a queue process, and how far it is is told."""

from datetime import timedelta
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django_q.tasks import async_task

from annotation.models import Project, User
from training.models import Freezing, RecipeVersion, Snapshot
from training.models.snapshots import FreezeState
from training.snapshots import filters, freezing
from training.snapshots.rules import Rule

AT_ONCE = 2000  # labels that are frozen while the page waits
TASK = "training.tasks.freeze"
SILENT, UNTAKEN = timedelta(minutes=2), timedelta(minutes=5)
MOST_ATTEMPTS = 3
LOST = f"The worker was lost {MOST_ATTEMPTS} times. Is there enough memory, and room on the disk?"


class Overtaken(Exception):
    """Another worker does this by now."""


def ask(
    *, project: Project, kind: str, rule: Rule, recipe: RecipeVersion | None = None, actor: User | None = None
) -> Freezing:
    """Have a rule frozen: at once if few labels fit it, or else by a queue process.

    Raises ValidationError if the rule names what the project has not.
    """
    filters.check(project, rule)
    few = filters.labels(project, rule).count() <= AT_ONCE
    asked = Freezing.objects.create(project=project, kind=kind, rule=rule.stored(), recipe=recipe, created_by=actor)
    if few:
        perform(asked.pk)
        asked.refresh_from_db()
    else:
        transaction.on_commit(partial(wake, asked.pk))
    return asked


def wake(pk: int) -> None:
    async_task(TASK, pk, cluster="default")


def perform(pk: int) -> Snapshot | None:
    """Freeze what was asked for, if it waits; None if it does not, or if nothing comes of it."""
    claimed = Freezing.objects.filter(pk=pk, state=FreezeState.WAITING)
    if not claimed.update(state=FreezeState.RUNNING, attempt=F("attempt") + 1, heartbeat_at=timezone.now()):
        return None
    asked = Freezing.objects.select_related("project", "recipe", "created_by").get(pk=pk)
    mine = Freezing.objects.filter(pk=pk, state=FreezeState.RUNNING, attempt=asked.attempt)

    def progress(done: int, total: int) -> None:
        if not mine.update(done=done, total=total, heartbeat_at=timezone.now()):
            raise Overtaken

    try:
        made = freezing.freeze(
            project=asked.project,
            kind=asked.kind,
            rule=Rule.model_validate(asked.rule),
            recipe=asked.recipe,
            actor=asked.created_by,
            progress=progress,
        )
    except Overtaken:
        return None
    except (freezing.NoRows, ValidationError, OSError) as error:
        said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        mine.update(state=FreezeState.FAILED, error=said[:500], finished_at=timezone.now())
        return None
    mine.update(state=FreezeState.DONE, snapshot=made, finished_at=timezone.now())
    return made


def recover() -> dict[str, int]:
    """Take back what a lost worker left, and wake a worker for what nobody took; safe at any time."""
    now = timezone.now()
    lost = Freezing.objects.filter(state=FreezeState.RUNNING, heartbeat_at__lt=now - SILENT)
    failed = lost.filter(attempt__gte=MOST_ATTEMPTS).update(state=FreezeState.FAILED, error=LOST, finished_at=now)
    again = lost.update(state=FreezeState.WAITING, heartbeat_at=None, done=0)
    untaken = Q(heartbeat_at__lt=now - UNTAKEN) | Q(heartbeat_at=None, created_at__lt=now - SILENT)
    for pk in Freezing.objects.filter(untaken, state=FreezeState.WAITING).values_list("pk", flat=True):
        if Freezing.objects.filter(untaken, pk=pk, state=FreezeState.WAITING).update(heartbeat_at=now):
            wake(pk)
    return {"freezing again": again, "not frozen": failed}
