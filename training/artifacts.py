"""One store for several machines that share no folder: what one of them made is kept there and brought to others.

`TOUCHSTONE_STORE` is a folder or an address that fsspec knows, such as `s3://bucket/touchstone`. Without it the
artifact folder itself is all there is. What arrives is checked by its hash and appears whole, or not at all.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import fsspec
from django.conf import settings
from fsspec.spec import AbstractFileSystem


class Damaged(OSError):
    """What arrived is not what was kept."""


def keep(location: str) -> None:
    """Put a folder or a file, named below the artifact folder, into the store. Nothing without a store."""
    if not settings.STORE:
        return
    here = Path(settings.ARTIFACTS) / location
    files = [here] if here.is_file() else sorted(path for path in here.rglob("*") if path.is_file())
    system, root = _store()
    for path in files:
        there = f"{root}/{path.relative_to(settings.ARTIFACTS).as_posix()}"
        system.makedirs(there.rpartition("/")[0], exist_ok=True)
        system.put_file(str(path), there)


def bring(location: str, is_whole: Callable[[Path], bool] = Path.exists) -> None:
    """Have on this machine what another one kept, if it is not here yet and the store has it; `is_whole` says whether
    what arrived is what was kept.

    Raises Damaged if it is not, and what the store raises if it is away.
    """
    if not settings.STORE or (Path(settings.ARTIFACTS) / location).exists():
        return
    system, root = _store()
    there = f"{root}/{location}"
    if not system.exists(there):
        return
    here = Path(settings.ARTIFACTS) / location
    here.parent.mkdir(parents=True, exist_ok=True)
    arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=here.parent))
    try:
        whole = arriving / here.name
        for remote in system.find(there):
            path = whole / remote[len(there) :].strip("/") if remote != there else whole
            if ".." in path.parts:  # a name in the store may be anything
                raise Damaged(f"{settings.STORE}/{location} has a file that leads out of it: {remote}.")
            path.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(remote, str(path))
        if not is_whole(whole):
            raise Damaged(f"{settings.STORE}/{location} is not what was kept there: its hash is another.")
        try:
            os.replace(whole, here)
        except OSError:
            if not here.exists():  # a worker beside this one was quicker
                raise
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def _store() -> tuple[AbstractFileSystem, str]:
    """As it is now: what was listed before is not remembered, since other machines write too."""
    system, root = fsspec.core.url_to_fs(settings.STORE)
    system.invalidate_cache()
    return system, root


def forget(path: Path, location: str) -> None:
    """Remove a folder from this machine and from the store."""
    shutil.rmtree(path, ignore_errors=True)
    if settings.STORE:
        system, root = _store()
        if system.exists(f"{root}/{location}"):
            system.rm(f"{root}/{location}", recursive=True)
