"""The order in which queued runs are taken."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from annotation.models import Project, User
from annotation.models.events import record
from training.models import Run
from training.models.runs import Status

WAYS = ("first", "up", "down")
MOST_PRIORITY = 100


def in_line(project: Project) -> QuerySet[Run]:
    """The project's queued runs in the order in which they are taken; other projects' runs may be between them."""
    rows = Run.objects.filter(project=project, status=Status.QUEUED).defer("inputs")
    return rows.order_by(F("priority").desc(), Coalesce("place", "id"), "id")


@transaction.atomic
def move(*, run: Run, way: str, actor: User | None = None) -> bool:
    """Move a queued run among its project's: to the front, or past its neighbour. False if it waits no more, or is
    there.

    The project's runs change places with each other, so no run of another project waits longer for it. Raises
    ValidationError for a way that there is not.
    """
    if way not in WAYS:
        raise ValidationError(f"A run is moved {', '.join(WAYS[:-1])} or {WAYS[-1]}.")
    rows = list(in_line(run.project).select_for_update())
    places = [(one.priority, one.pk if one.place is None else one.place) for one in rows]
    before = next((number for number, one in enumerate(rows) if one.pk == run.pk), None)
    if before is None:
        return False
    after = {"first": 0, "up": max(0, before - 1), "down": min(len(rows) - 1, before + 1)}[way]
    if after == before:
        return False
    rows.insert(after, rows.pop(before))
    for one, (priority, place) in zip(rows, places, strict=True):
        if (one.priority, one.place) != (priority, place):
            Run.objects.filter(pk=one.pk).update(priority=priority, place=place)
    record("run moved", run, project=run.project, actor=actor, way=way)
    return True


@transaction.atomic
def prioritise(*, run: Run, priority: int, actor: User) -> None:
    """Give a run precedence before all projects' runs of a lower priority; 0 is usual.

    Raises ValidationError for anybody but a superuser, since it makes others wait, or for a number beyond 100 either
    way.
    """
    if not actor.is_superuser:
        raise ValidationError("Only a superuser decides whose runs go first; within a project, its leads move them.")
    if abs(priority) > MOST_PRIORITY:
        raise ValidationError(f"A priority is a number from -{MOST_PRIORITY} to {MOST_PRIORITY}.")
    Run.objects.filter(pk=run.pk).update(priority=priority)
    record("run prioritised", run, project=run.project, actor=actor, priority=priority)
