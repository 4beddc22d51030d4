"""Files of examples that other programs send: kept whole, below the artifact store."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from annotation.models import Project, User
from annotation.models.events import record
from annotation.text import storable
from training import artifacts
from training.models import TrainingFile, TuningJob

MOST_BYTES = 100 * 1024 * 1024


def keep(*, project: Project, name: str, parts: Iterable[bytes], actor: User | None = None) -> TrainingFile:
    """Store a file under a new id. What is in it is looked at when a job asks for it.

    Raises ValidationError if it is empty or too large.
    """
    row = TrainingFile(project=project, name=Path(storable(name)).name[:255] or "file.jsonl", created_by=actor)
    row.path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=row.path.parent, prefix=".arriving-") as arriving:
        for part in parts:
            digest.update(part)
            size += len(part)
            if size > MOST_BYTES:
                raise ValidationError({"file": f"Send {MOST_BYTES // 2**20} MB at most in one file."})
            arriving.write(part)
        if not size:
            raise ValidationError({"file": "This file is empty."})
        arriving.flush()
        os.fsync(arriving.fileno())
        os.chmod(arriving.name, 0o644)
        os.link(arriving.name, row.path)
    artifacts.keep(row.location)
    row.bytes, row.sha256 = size, digest.hexdigest()
    with transaction.atomic():
        row.save()
        record("file sent", row, project=project, actor=actor, name=row.name, sha256=row.sha256)
    return row


@transaction.atomic
def delete(*, file: TrainingFile, actor: User | None = None) -> None:
    """Remove a file; what was made of it stays, and its row, which says so.

    Raises ValidationError while a job has yet to read it.
    """
    TrainingFile.objects.select_for_update().get(pk=file.pk)
    unread = TuningJob.objects.unread()
    if unread.filter(training_file=file).exists() or unread.filter(validation_file=file).exists():
        raise ValidationError("A job has yet to read this file: wait until it is queued, or cancel it.")
    if TrainingFile.objects.there().filter(pk=file.pk).update(deleted_at=timezone.now()):
        record("file deleted", file, project=file.project, actor=actor, name=file.name, sha256=file.sha256)
        transaction.on_commit(lambda: _forget(file))


def _forget(file: TrainingFile) -> None:
    file.path.unlink(missing_ok=True)
    artifacts.forget(file.path, file.location)  # elsewhere, if several machines share a store


def open_file(file: TrainingFile) -> BufferedReader:
    """The bytes as they were sent; raises OSError if they are gone, or are others."""
    artifacts.bring(file.location, lambda path: path.stat().st_size == file.bytes)
    return file.path.open("rb")


@contextmanager
def lines_of(file: TrainingFile) -> Iterator[BufferedReader]:
    """The lines of a file that holds what was sent; raises OSError if it does not."""
    with open_file(file) as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            raise artifacts.Damaged(f"{file} is not what was sent.")
        content.seek(0)
        yield content
