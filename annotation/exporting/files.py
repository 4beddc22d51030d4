"""Exports as files: made at once when small, by the queue when not, kept for some days, downloaded in parts.

The row is the truth. A worker claims it by a conditional update and touches it while it works; one whose worker died is
taken up again by `tend`. A file appears whole or not at all.
"""

import hashlib
import os
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django_q.tasks import async_task

from annotation.exporting import dataset, hub, items, lines, table
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Export, Project, User
from annotation.models.events import record
from annotation.shapes.outgoing import SHAPES

AT_ONCE = 2_000  # labelled items: they take less than a second
DAYS = 7  # for which a file is kept
SILENCE = timedelta(minutes=2)  # after which a worker is taken to be dead
ATTEMPTS = 3
TASK = "annotation.tasks.make_export"


class Superseded(Exception):
    """The export was deleted, or given to another worker, meanwhile."""


def ask(*, project: Project, shape: str, wanted: Wanted, actor: User | None, repository: str = "") -> Export:
    """Have a file made: in this call if it is small, else by the queue. Raises ValidationError for what cannot be."""
    check(shape=shape, wanted=wanted, repository=repository)
    with transaction.atomic():
        export = Export.objects.create(
            project=project,
            shape=shape,
            wanted=wanted.model_dump(exclude_defaults=True),
            repository=repository,
            created_by=actor,
            expires_at=timezone.now() + timedelta(days=DAYS),
        )
        lines.put_on_record(project, shape, wanted, actor, export=export.pk, repository=repository)
        small = not repository and not wanted.items(project)[AT_ONCE : AT_ONCE + 1].exists()
        if not small:
            transaction.on_commit(partial(async_task, TASK, export.pk, cluster="default"))
    if small:
        make(export_id=export.pk)
        export.refresh_from_db()
    return export


def check(*, shape: str, wanted: Wanted, repository: str = "") -> None:
    if shape not in SHAPES:
        raise ValidationError(f"There is no shape {shape!r}. There are: {', '.join(SHAPES)}.")
    if wanted.names and SHAPES[shape].learns:
        raise ValidationError("Rows to train on name nobody: leave the names out, or choose a shape with everything.")
    if repository:
        hub.check(repository)
        if shape != "dataset":
            raise ValidationError("Only a Hugging Face dataset can be put on the hub.")


def make(*, export_id: int) -> bool:
    """Claim an export and make its file; False if it is made, gone, or in another worker's hands."""
    now = timezone.now()
    dead = Q(status=Export.Status.MAKING, touched_at__lt=now - SILENCE)
    mine = Export.objects.filter(Q(status=Export.Status.WAITING) | dead, pk=export_id)
    if not mine.update(status=Export.Status.MAKING, touched_at=now, attempts=F("attempts") + 1):
        return False
    export = Export.objects.select_related("project", "created_by").get(pk=export_id)
    try:
        _make(export)
    except Superseded:
        if not Export.objects.filter(pk=export_id).exists():  # a moment before its file came
            export.path.unlink(missing_ok=True)
        return False
    except OSError as error:
        _say(export, status=Export.Status.FAILED, error=f"The file could not be written: {error.strerror or error}.")
    return True


@dataclass
class Work(Tally):
    """One attempt at an export: about every second it says in the row how far it is, and ends if that is no longer its
    own."""

    export: Export = field(kw_only=True)
    told: float = field(default_factory=time.monotonic)

    def step(self, count: int) -> None:
        super().step(count)
        if time.monotonic() - self.told >= 1:
            self.told = time.monotonic()
            _say(self.export, done=self.done, total=self.total, touched_at=timezone.now())


def _say(export: Export, **now: Any) -> None:
    held = Export.objects.filter(pk=export.pk, status=Export.Status.MAKING, attempts=export.attempts)
    if not held.update(**now):
        raise Superseded


def write(path: Path, *, project: Project, shape: str, wanted: Wanted, tally: Tally) -> None:
    """Write a file of any shape."""
    if shape == "dataset":
        with tempfile.TemporaryDirectory(prefix=".dataset-", dir=path.parent) as made:
            folder = Path(made) / "dataset"
            dataset.write(folder, project=project, wanted=wanted, tally=tally)
            dataset.pack(folder, path)
    elif shape == "parquet":
        rows = table.for_parquet(items.labelled_rows(project=project, wanted=wanted, tally=tally))
        tally.rows = table.write_parquet(path, rows, table.items_schema())
    else:
        with path.open("wb") as file:
            file.writelines(lines.chunks(project=project, shape=shape, wanted=wanted, tally=tally))


def _make(export: Export) -> None:
    wanted, work = Wanted.model_validate(export.wanted), Work(export=export)
    export.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".half-", dir=export.path.parent) as made:
        half = Path(made) / export.path.name
        write(half, project=export.project, shape=export.shape, wanted=wanted, tally=work)
        address, error = _push(export, half)
        found = {"size": half.stat().st_size, "sha256": _hash(half), "address": address, "error": error}
        _say(export, touched_at=timezone.now())  # it is still ours
        os.replace(half, export.path)
    counts = {"done": work.done, "total": work.total, "rows": work.rows, "left_out": work.left_out}
    _say(export, status=Export.Status.READY, **counts, **found)


def _push(export: Export, packed: Path) -> tuple[str, str]:
    """Put a data set on the hub, if that was asked for: its address there, and why not. The file is kept either way."""
    if not export.repository:
        return "", ""
    folder = packed.with_suffix("")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    try:
        address = hub.push(folder, export.repository)
    except ValidationError as refusal:
        return "", " ".join(refusal.messages)
    record("data pushed to the hub", export, project=export.project, actor=export.created_by, address=address)
    return address, ""


def _hash(path: Path) -> str:
    """See to it that a file is on the disk, and return its hash."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def delete(*, export: Export, actor: User | None) -> None:
    """Remove a file and its row. Whoever makes it just now stops."""
    record("export deleted", export, project=export.project, actor=actor, shape=export.shape)
    Export.objects.filter(pk=export.pk).delete()
    export.path.unlink(missing_ok=True)


def tend() -> int:
    """Remove what has expired, and wake a worker for exports that nobody makes; returns how many these were.

    Safe at any time.
    """
    now = timezone.now()
    for export in Export.objects.filter(expires_at__lt=now).select_related("project"):
        delete(export=export, actor=None)
    silent = Q(status=Export.Status.MAKING, touched_at__lt=now - SILENCE)
    silent |= Q(status=Export.Status.WAITING, created_at__lt=now - SILENCE)
    given_up = Export.objects.filter(silent, attempts__gte=ATTEMPTS)
    given_up.update(status=Export.Status.FAILED, error="Its worker died each time. See the log of the queue.")
    waiting = list(Export.objects.filter(silent).values_list("pk", flat=True))
    for pk in waiting:
        async_task(TASK, pk, cluster="default")
    return len(waiting)
