"""Runs that are not heard of, and what waits in a queue."""

from datetime import timedelta

from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from training.models import Run


def silent(run: Run, seconds: float = 0) -> Run:
    """As if this run's worker had said nothing for longer than is allowed."""
    limit = timezone.now() - timedelta(seconds=46 + seconds)
    Run.objects.filter(pk=run.pk).update(heartbeat_at=limit)
    return run


def messages(key: str) -> list[tuple]:
    """What waits in a queue: each message's function and arguments."""
    packed = [SignedPackage.loads(one.payload) for one in OrmQ.objects.filter(key=key)]
    return [(task["func"], *task["args"]) for task in packed]
