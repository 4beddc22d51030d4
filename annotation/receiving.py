"""Taking in files that are to be imported: kept below the artifact folder as they arrive, and looked at once."""

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation, ValidationError
from django.utils.text import get_valid_filename

from annotation.models import Import, Project, User
from annotation.shapes import files, recognise
from annotation.shapes.files import BadFile
from annotation.text import storable

FOLDER = "imports"


def receive(*, project: Project, name: str, chunks: Iterable[bytes], actor: User | None = None) -> Import:
    """Keep a file that is sent, as it arrives, and find out what it is. Raises ValidationError if it is too large, or
    nothing that can be read."""
    place, path = room(name)
    limit = settings.IMPORT_LIMIT_MB * 1_000_000
    size = 0
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise ValidationError(
                        f"The file is larger than {settings.IMPORT_LIMIT_MB:,} MB: split it, or ask whoever runs this "
                        "server to raise TOUCHSTONE_IMPORT_LIMIT_MB."
                    )
                file.write(chunk)
        if not size:
            raise ValidationError("The file is empty.")
        return _received(project, name, place, size, actor)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise


def receive_folder(*, project: Project, folder: Path, actor: User | None = None) -> Import:
    """The same for a folder of this machine: a dataset that was saved there."""
    place, path = room(folder.name)
    try:
        shutil.copytree(folder, path)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return _received(project, folder.name, place, size, actor)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise


def room(name: str) -> tuple[str, Path]:
    """Where a new file may lie: its place below the artifact folder, and its path."""
    try:
        safe = get_valid_filename(Path(name).name)[-100:]
    except SuspiciousFileOperation:  # nothing is left of it
        safe = "data"
    place = f"{FOLDER}/{uuid.uuid4().hex}/{safe}"
    path = Path(settings.ARTIFACTS) / place
    path.parent.mkdir(parents=True)
    return place, path


def shape_of(path: Path, name: str) -> str:
    """What the file's first records look like; raises BadFile if there are none to be had."""
    found = files.sample(files.open_file(path, name=name))
    return recognise([one.record for one in found if isinstance(one.record, dict)])


def _received(project: Project, name: str, place: str, size: int, actor: User | None) -> Import:
    try:
        shape = shape_of(Path(settings.ARTIFACTS) / place, name)
    except BadFile as error:
        raise ValidationError(str(error)) from None
    return Import.objects.create(
        project=project,
        actor=actor,
        name=storable(Path(name).name)[-200:],
        location=place,
        size=size,
        shape=shape,
    )
