"""Comparisons that are asked for: small snapshots are laid side by side at once, big ones by a queue process, and how
far it is is told."""

from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django_q.tasks import async_task

from training.models import ComparisonAsked, Snapshot
from training.models.snapshots import FreezeState
from training.snapshots import comparing
from training.snapshots.asking import LOST, MOST_ATTEMPTS, SILENT, UNTAKEN, Overtaken
from training.snapshots.comparing import Comparison

AT_ONCE = 10_000  # rows of both that are read while the page waits
TASK = "training.tasks.compare_snapshots"


def ask(*, first: Snapshot, second: Snapshot) -> Comparison | ComparisonAsked:
    """What is different between two snapshots; or, of big ones, how far it is: ask again until it is there.

    Raises ValidationError as `comparing.compare` does, once for each attempt that failed in the queue.
    """
    found = comparing.known(first=first, second=second)
    if found is not None:
        return found
    if ComparisonAsked(first=first, second=second).total <= AT_ONCE:
        return comparing.compare(first=first, second=second)
    failed = ComparisonAsked.objects.filter(first=first, second=second, state=FreezeState.FAILED).first()
    if failed is not None:
        failed.delete()
        raise ValidationError(failed.error)
    with transaction.atomic():
        asked, made = ComparisonAsked.objects.get_or_create(first=first, second=second)
        if made:
            transaction.on_commit(partial(wake, asked.pk))
    return asked


def wake(pk: int) -> None:
    async_task(TASK, pk, cluster="default")


def perform(pk: int) -> None:
    """Compare what was asked for, if it waits. The row goes once that is done."""
    claimed = ComparisonAsked.objects.filter(pk=pk, state=FreezeState.WAITING)
    if not claimed.update(state=FreezeState.RUNNING, attempt=F("attempt") + 1, heartbeat_at=timezone.now()):
        return
    asked = ComparisonAsked.objects.select_related("first__project", "second__project").get(pk=pk)
    mine = ComparisonAsked.objects.filter(pk=pk, state=FreezeState.RUNNING, attempt=asked.attempt)

    def progress(done: int) -> None:
        if not mine.update(done=done, heartbeat_at=timezone.now()):
            raise Overtaken

    try:
        comparing.compare(first=asked.first, second=asked.second, progress=progress)
    except Overtaken:
        return
    except ValidationError as error:
        mine.update(state=FreezeState.FAILED, error=" ".join(error.messages)[:500])
        return
    mine.delete()  # what was found is kept beside the snapshots


def recover() -> dict[str, int]:
    """Take back what a lost worker left, and wake a worker for what nobody took; safe at any time."""
    now = timezone.now()
    lost = ComparisonAsked.objects.filter(state=FreezeState.RUNNING, heartbeat_at__lt=now - SILENT)
    lost.filter(attempt__gte=MOST_ATTEMPTS).update(state=FreezeState.FAILED, error=LOST)
    again = lost.update(state=FreezeState.WAITING, heartbeat_at=None, done=0)
    untaken = Q(heartbeat_at__lt=now - UNTAKEN) | Q(heartbeat_at=None, created_at__lt=now - SILENT)
    for pk in ComparisonAsked.objects.filter(untaken, state=FreezeState.WAITING).values_list("pk", flat=True):
        if ComparisonAsked.objects.filter(untaken, pk=pk, state=FreezeState.WAITING).update(heartbeat_at=now):
            wake(pk)
    return {"comparing again": again}
