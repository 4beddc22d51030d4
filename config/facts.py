"""How the installation is, in numbers: what the metrics, the page "Is everything well?" and `manage.py doctor` read.

What is counted among many rows has an index that holds little else (open items, leases, messages that wait), and a
statement that takes too long is given up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Min
from django.db.models.functions import Greatest
from django.utils import timezone
from django_q.models import OrmQ, Task

from annotation.models import Delivery, Event, Export, Import
from annotation.models.webhooks import DeliveryState
from config.backups import MADE
from training.models import Run, Worker
from training.models.runs import Status

DAY = timedelta(days=1)
PATIENCE = "5s"  # of one statement
KEPT_SECONDS = 5.0  # for which an answer stands
SHARE = 20  # and for so many times as long as it took, so that asking often costs a twentieth of a core at most

OPEN = """
SELECT project.slug, counted.kind, counted.number
FROM (SELECT project_id, kind, count(*) AS number FROM annotation_item WHERE NOT dropped AND taken < wanted
      GROUP BY project_id, kind) counted
JOIN annotation_project project ON project.id = counted.project_id AND NOT project.archived
"""
LEASED = """
SELECT project.slug, item.kind, count(*) FROM annotation_assignment held
JOIN annotation_item item ON item.id = held.item_id JOIN annotation_project project ON project.id = item.project_id
WHERE held.state = 'leased' AND NOT project.archived GROUP BY 1, 2
"""
LEASES = """
SELECT min(leased_at), count(*) FILTER (WHERE lease_until < now() - interval '5 minutes')
FROM annotation_assignment WHERE state = 'leased'
"""
LABELS = """
SELECT project.slug, said.kind, said.number FROM annotation_project project, LATERAL (
    SELECT item.kind, count(*) AS number
    FROM annotation_label label JOIN annotation_item item ON item.id = label.item_id
    WHERE label.project_id = project.id AND label.created_at > now() - interval '1 minute' GROUP BY item.kind) said
WHERE NOT project.archived
"""

Depths = dict[tuple[str, str], int]  # of a project and a kind of item


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Times are None where there is nothing to be old; `…_failed` are those of the last day."""

    at: datetime
    open_items: Depths
    leased_items: Depths
    labels_last_minute: Depths
    oldest_lease: datetime | None
    overdue_leases: int  # by more than five minutes, by when they should have been returned
    runs: dict[str, int]  # of all times, by status
    runs_failed: int
    oldest_queued_run: datetime | None  # of those that wait for no other run
    quietest_run: datetime | None  # when the worker of a running one spoke last
    workers: list[Worker]
    messages: dict[str, int]  # that wait, by queue
    oldest_messages: dict[str, datetime]  # since when the first could have been taken
    tasks_failed: dict[str, int]  # of the queue, by function
    imports: dict[str, int]
    imports_failed: int
    exports: dict[str, int]
    exports_failed: int
    deliveries_waiting: int
    deliveries_failed: int
    database_bytes: int
    backup: Event | None  # the last one that this database knows of


def gather() -> Facts:
    """Ask the database; raises what it raises, also if a statement takes too long."""
    now = timezone.now()
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
        open_items, leased, labels = _depths(cursor, OPEN), _depths(cursor, LEASED), _depths(cursor, LABELS)
        cursor.execute(LEASES)
        oldest_lease, overdue = cursor.fetchone()
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
        return Facts(
            at=now,
            open_items=open_items,
            leased_items=leased,
            labels_last_minute=labels,
            oldest_lease=oldest_lease,
            overdue_leases=overdue,
            workers=list(Worker.objects.all()),
            database_bytes=size,
            backup=Event.objects.filter(project=None, verb=MADE).order_by("-id").first(),
            **_of_runs(now),
            **_of_the_queue(now),
            **_of_files(now),
            **_of_webhooks(now),
        )


def _depths(cursor: Any, statement: str) -> Depths:
    cursor.execute(statement)
    return {(slug, kind): number for slug, kind, number in cursor.fetchall()}


def _of_runs(now: datetime) -> dict[str, Any]:
    queued = Run.objects.filter(status=Status.QUEUED).exclude(waits_for__status__in=[Status.QUEUED, Status.RUNNING])
    running = Run.objects.filter(status=Status.RUNNING)
    return {
        "runs": _by(Run.objects.all(), "status"),
        "runs_failed": Run.objects.filter(status=Status.FAILED, finished_at__gt=now - DAY).count(),
        # One that was taken back waits from when its worker spoke last.
        "oldest_queued_run": queued.aggregate(first=Min(Greatest("created_at", "heartbeat_at")))["first"],
        "quietest_run": running.aggregate(first=Min("heartbeat_at"))["first"],
    }


def _of_the_queue(now: datetime) -> dict[str, Any]:
    rows = OrmQ.objects.filter(lock__lte=now).values("key").annotate(number=Count("id"), first=Min("lock"))
    waiting = {row["key"]: row for row in rows.order_by()}
    return {
        "messages": {queue: row["number"] for queue, row in waiting.items()},
        "oldest_messages": {queue: row["first"] for queue, row in waiting.items()},
        "tasks_failed": _by(Task.objects.filter(success=False, stopped__gt=now - DAY), "func"),
    }


def _of_files(now: datetime) -> dict[str, Any]:
    return {
        "imports": _by(Import.objects.all(), "status"),
        "imports_failed": Import.objects.filter(status="failed", finished_at__gt=now - DAY).count(),
        "exports": _by(Export.objects.all(), "status"),
        "exports_failed": Export.objects.filter(status="failed", created_at__gt=now - DAY).count(),
    }


def _of_webhooks(now: datetime) -> dict[str, Any]:
    return {
        "deliveries_waiting": Delivery.objects.filter(state=DeliveryState.WAITING).count(),
        "deliveries_failed": Delivery.objects.filter(state=DeliveryState.FAILED, created_at__gt=now - DAY).count(),
    }


def _by(rows: Any, field: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(field).annotate(Count("pk")))


class Kept:
    """An answer for a few seconds, or longer if it took long; whoever asks meanwhile gets the same."""

    def __init__(self, ask: Callable[[], Facts], clock: Callable[[], float] = monotonic) -> None:
        self.ask, self.clock = ask, clock
        self._answer: Facts | None = None
        self._until = 0.0
        self._lock = Lock()

    def __call__(self) -> Facts:
        with self._lock:
            began = self.clock()
            if self._answer is None or began >= self._until:
                self._answer = self.ask()
                now = self.clock()
                self._until = now + max(KEPT_SECONDS, SHARE * (now - began))
            return self._answer


recent = Kept(gather)
