"""Files on their way into a project: looked through, brought in, stopped, taken up again.

The row is the truth. A worker claims it, and stores a batch, the place it has come to and the counts in one
transaction; whoever takes it up after a kill goes on from there. One worker does not hold the queue longer than SLICE:
then it hands over to a message of its own.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django_q.tasks import async_task

from annotation import foreseeing, hub, importing, receiving, storing
from annotation.models import Import, Project, RejectedRow, User
from annotation.models.events import record
from annotation.models.imports import Stage
from annotation.preparing import Batch, Rejected, ahead, batches
from annotation.shapes import SHAPES, files
from annotation.shapes.files import BadFile
from annotation.storing import Summary
from annotation.text import storable
from annotation.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)
TASK = "annotation.tasks.bring_in"
SMALL = 2_000_000  # bytes that are brought in at once, while the person waits
SLICE = 240  # seconds; the queue ends a task after 600
MANY = 1_000  # rows, from which on PostgreSQL's statistics are brought up to date at once
MOST_REJECTED = 10_000  # rows that are kept to be mended; the rest is counted
LONGEST_RAW = 200_000  # characters of one
KEPT = timedelta(days=7)  # an upload that nobody does anything with


# Starting and stopping


def receive_from_hub(*, project: Project, dataset: str, actor: User | None = None, wake: bool = True) -> Import:
    """Put the fetching of a dataset in line. Raises ValidationError where that cannot work here.

    Without `wake` the caller goes on to `work`.
    """
    hub.check(dataset)
    made = Import.objects.create(project=project, actor=actor, name=dataset, hub=dataset, status=Stage.WAITING)
    if wake:
        transaction.on_commit(partial(wake_worker, made.pk))
    return made


def start(
    *,
    source: Import,
    shape: str,
    mapping: dict[str, str] | None = None,
    dry_run: bool = False,
    actor: User | None = None,
    wake: bool = True,
) -> bool:
    """Bring a file in from its beginning, or look through it first; False if that is under way or over.

    Raises ValidationError for a shape, or a part of one, that there is not. Without `wake` the caller goes on to
    `work`.
    """
    _check(shape, mapping or {})
    with transaction.atomic():
        begun = Import.objects.filter(pk=source.pk, status=Stage.UPLOADED).update(
            status=Stage.WAITING,
            shape=shape,
            mapping=mapping or {},
            dry_run=dry_run,
            **_AT_THE_BEGINNING,
        )
        if not begun:
            return False
        RejectedRow.objects.filter(source=source).delete()
        if not dry_run:
            record("import started", source, project=source.project, actor=actor, file=source.name, shape=shape)
        if wake:
            transaction.on_commit(partial(wake_worker, source.pk))
    return True


def describe(*, source: Import, shape: str, mapping: dict[str, str]) -> None:
    """Say what an upload is, and which of its columns play which part, without doing anything yet."""
    _check(shape, mapping)
    upload = Import.objects.filter(pk=source.pk, status=Stage.UPLOADED).exclude(shape=shape, mapping=mapping)
    if upload.update(shape=shape, mapping=mapping, dry_run=False, **_AT_THE_BEGINNING):
        RejectedRow.objects.filter(source=source).delete()


def _check(shape: str, mapping: dict[str, str]) -> None:
    if shape not in SHAPES:
        raise ValidationError("Choose what kind of data this is: it was not recognised.")
    if unknown := sorted(set(mapping) - set(SHAPES[shape].fields)):
        raise ValidationError(f"{SHAPES[shape].title} has no part called {', '.join(unknown)}.")


_AT_THE_BEGINNING: dict[str, Any] = {
    **{"number": 0, "offset": 0, "done": 0, "counts": {}, "rejected": 0, "error": ""},
    **{"started_at": None, "finished_at": None},
}


def bring_in(
    *,
    source: Import,
    shape: str,
    mapping: dict[str, str] | None = None,
    dry_run: bool = False,
    actor: User | None = None,
) -> bool:
    """Start, and end at once where the file is small; False as `start` has it."""
    small = source.size <= SMALL
    if not start(source=source, shape=shape, mapping=mapping, dry_run=dry_run, actor=actor, wake=not small):
        return False
    if small:
        work(source.pk)
    return True


@transaction.atomic
def cancel(*, source: Import, actor: User | None = None) -> bool:
    """Stop an import, within a batch; what it has stored stays. A dry run that is stopped leaves the file as it was.
    False if it has ended already."""
    fresh = Import.objects.select_for_update().get(pk=source.pk)
    if fresh.status not in (Stage.UPLOADED, Stage.WAITING, Stage.RUNNING):
        return False
    if fresh.dry_run and fresh.is_open:
        Import.objects.filter(pk=fresh.pk).update(status=Stage.UPLOADED, dry_run=False, **_AT_THE_BEGINNING)
        return True
    Import.objects.filter(pk=fresh.pk).update(status=Stage.CANCELLED, finished_at=timezone.now(), location="")
    record("import cancelled", fresh, project=fresh.project, actor=actor, file=fresh.name)
    transaction.on_commit(partial(_clear, fresh))
    return True


@transaction.atomic
def retry(*, source: Import, actor: User | None = None) -> bool:
    """Take up an import that failed where it stopped; False if it did not fail."""
    again = Import.objects.filter(pk=source.pk, status=Stage.FAILED).update(
        status=Stage.WAITING, error="", finished_at=None
    )
    if again:
        record("import retried", source, project=source.project, actor=actor, file=source.name)
        transaction.on_commit(partial(wake_worker, source.pk))
    return bool(again)


def recover() -> int:
    """Take up imports whose worker is lost, and wake a worker for those that nobody takes; forget uploads that nobody
    wanted. Safe at any time; returns how many were taken up."""
    now = timezone.now()
    lost = Import.objects.silent(now).update(status=Stage.WAITING, heartbeat_at=now)
    spoke = Q(heartbeat_at__lt=now - timedelta(minutes=1)) | Q(
        heartbeat_at=None, created_at__lt=now - timedelta(minutes=1)
    )
    waiting = Import.objects.filter(status=Stage.WAITING)
    for pk in waiting.filter(spoke | Q(heartbeat_at=now)).values_list("pk", flat=True):
        wake_worker(pk)
    for old in Import.objects.filter(status__in=[Stage.UPLOADED, Stage.FAILED], created_at__lt=now - KEPT).exclude(
        location=""
    ):
        Import.objects.filter(pk=old.pk).update(location="", status=Stage.CANCELLED, finished_at=now)
        _clear(old)
    return lost


def wake_worker(pk: int) -> None:
    """Tell a worker that there is something to do."""
    async_task(TASK, pk, cluster="default")


def _clear(source: Import) -> None:
    if source.location:
        shutil.rmtree(source.path.parent, ignore_errors=True)


# The worker


def work(pk: int) -> None:
    """Do what waits with an import, for as long as a slice; nothing if somebody else does, or nothing waits."""
    now = timezone.now()
    waiting = Import.objects.filter(pk=pk, status=Stage.WAITING)
    if not waiting.update(status=Stage.RUNNING, turn=F("turn") + 1, heartbeat_at=now):
        return
    Import.objects.filter(pk=pk, started_at=None).update(started_at=now)
    source = Import.objects.select_related("project", "actor").get(pk=pk)
    try:
        if not source.location:
            _fetch(source)
        else:
            _go_on(source)
    except (BadFile, hub.Away, OSError) as error:
        said = f"{error.strerror}." if isinstance(error, OSError) and error.strerror else str(error)
        _mine(source).update(status=Stage.FAILED, error=said, finished_at=timezone.now())
    except Exception:
        logger.exception("%s", source)
        said = "Something went wrong that should not have. The server's log says more; what was stored stays."
        _mine(source).update(status=Stage.FAILED, error=said, finished_at=timezone.now())


def _mine(source: Import) -> Any:
    """The row, as long as it is this worker's."""
    return Import.objects.filter(pk=source.pk, status=Stage.RUNNING, turn=source.turn)


def _go_on(source: Import) -> None:
    end = time.monotonic() + SLICE
    file = files.open_file(source.path, name=source.name)
    shape = SHAPES[source.shape]
    mapping = source.mapping or None
    rows = batches(
        file.records(number=source.number, offset=source.offset),
        lambda record, number: shape.understand(record, number, mapping),
        heldout_share=source.project.heldout_share,
        rows=importing.BATCH,
        share=lambda: file.done,
    )
    foresight = foreseeing.Foresight(source.project) if source.dry_run else None
    many = MANY
    with uninterrupted(), closing(ahead(rows)) as parts:
        for batch in parts:
            if not _keep(source, batch, foresight):
                return
            if foresight is None and batch.number >= many:
                storing.tell_planner()
                many = 10 * batch.number
            if time.monotonic() > end and foresight is None:
                if _mine(source).update(status=Stage.WAITING):
                    wake_worker(source.pk)
                return
    _finish(source)


@transaction.atomic
def _keep(source: Import, batch: Batch, foresight: foreseeing.Foresight | None) -> bool:
    """Store a batch, and with it how far the import is; False, and nothing, if it is not ours any more."""
    row = _mine(source).select_for_update(no_key=True).first()
    if row is None:
        return False
    _without_waiting_for_the_disk()
    refused: list[Rejected] = []
    if foresight is None:
        done, refused = storing.store(project=source.project, batch=batch, actor=source.actor)
    else:
        done = foresight.look(batch)
    refused = sorted([*batch.rejected, *refused], key=lambda one: one.line)
    room = max(0, MOST_REJECTED - row.rejected)
    RejectedRow.objects.bulk_create(
        RejectedRow(source=row, line=one.line, reason=storable(one.reason)[:1000], raw=storable(one.raw)[:LONGEST_RAW])
        for one in refused[:room]
    )
    so_far = Summary(**row.counts)
    so_far.add(done)
    row.number, row.offset, row.done = batch.number, batch.offset, min(1.0, batch.done)
    row.counts, row.rejected, row.heartbeat_at = so_far.counts(), row.rejected + len(refused), timezone.now()
    row.save(update_fields=["number", "offset", "done", "counts", "rejected", "heartbeat_at"])
    return True


def _without_waiting_for_the_disk() -> None:
    """Begin the next batch while the log of this one is being written. If the server's machine stops meanwhile, rows
    and the place that was reached are lost together, and the import goes on from the place before: only `_finish`
    tells anybody that something is stored, and its commit waits for all that came before it."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")


@transaction.atomic
def _finish(source: Import) -> None:
    row = _mine(source).select_for_update(no_key=True).first()
    if row is None:
        return
    row.counts = row.counts or Summary().counts()
    row.done = 1
    if row.dry_run:
        row.status, row.number, row.offset = Stage.UPLOADED, 0, 0
    else:
        row.status, row.finished_at, row.location = Stage.DONE, timezone.now(), ""
        importing.put_on_record(project=source.project, actor=source.actor, counts=row.counts, rejected=row.rejected)
        transaction.on_commit(partial(_clear, source))
    row.save(update_fields=["counts", "done", "status", "number", "offset", "finished_at", "location"])


def _fetch(source: Import) -> None:
    """Bring a dataset from the hub here, as a file like any other."""
    place, path = receiving.room(f"{source.name.replace('/', '-')}.jsonl")
    try:
        for done in hub.fetch(source.hub, path, settings.IMPORT_LIMIT_MB * 1_000_000):
            if not _mine(source).update(heartbeat_at=timezone.now(), number=done):
                break
        else:
            shape = receiving.shape_of(path, path.name)
            _mine(source).update(
                status=Stage.UPLOADED, location=place, size=path.stat().st_size, shape=shape, number=0, started_at=None
            )
    finally:
        if not Import.objects.filter(pk=source.pk, location=place).exists():
            shutil.rmtree(path.parent, ignore_errors=True)


# What was refused


def rejected_lines(source: Import) -> Iterator[str]:
    """The refused rows as JSON Lines, each with its line and the reason under `rejected`: to be mended, and imported
    again, where that is left aside."""
    for row in RejectedRow.objects.filter(source=source).iterator(chunk_size=500):
        yield msgspec.json.encode(_to_mend(row)).decode() + "\n"


def _to_mend(row: RejectedRow) -> dict[str, Any]:
    said = {"rejected": f"line {row.line}: {row.reason}"}
    try:
        found = msgspec.json.decode(row.raw)
    except msgspec.DecodeError:
        return {"line": row.raw, **said}
    return {**found, **said} if isinstance(found, dict) else {"line": row.raw, **said}
