"""A backup is one folder: the database as PostgreSQL's own archive, the artifacts, and a list of all files with hashes.

    touchstone-20261125-093000/
        manifest.json     what is in it, each file with its size and sha256
        database.dump     pg_dump's custom format
        artifacts/        snapshots, runs and models, without checkpoints of runs

The database is read first, in one consistent view, and then the files: a row never names a file that was not there yet.
A backup that was cut off has a name that begins with a dot, and is none.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from annotation.models import Event
from config.postgres import packaged

MANIFEST = "manifest.json"
DUMP = "database.dump"
MADE = "backup made"  # the verb of the event that a database keeps of its backups
ARTIFACTS = "artifacts"
NAME = "touchstone-%Y%m%d-%H%M%S"  # by the clock of UTC
# How PostgreSQL's programs are told of what is in DATABASE_URL.
LIBPQ = {f"PG{name.upper()}": name for name in ("host", "port", "user", "password", "sslmode", "sslrootcert")}
LIBPQ["PGDATABASE"] = "dbname"


class BackupError(Exception):
    """It cannot be done; the message says why and what to do."""


def back_up(*, into: Path, artifacts: bool = True) -> Path:
    """Make a backup in a new folder below `into`, and return that; raises BackupError, and leaves nothing then."""
    now = datetime.now(UTC)
    while any((into / now.strftime(name)).exists() for name in (NAME, f".{NAME}")):
        now += timedelta(seconds=1)
    target, draft = into / now.strftime(NAME), into / now.strftime(f".{NAME}")
    draft.mkdir(parents=True)
    try:
        size = _fill(draft, now, artifacts)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    os.rename(draft, target)
    Event.objects.create(verb=MADE, target=target.name[:64], data={"artifacts": artifacts, "bytes": size})
    return target


def _fill(draft: Path, now: datetime, artifacts: bool) -> int:
    """Write all of a backup into its folder; returns how many bytes."""
    _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={draft / DUMP}")
    if artifacts:
        _copy(Path(settings.ARTIFACTS), draft / ARTIFACTS)
    files = {str(path.relative_to(draft)): _facts(path) for path in _files(draft)}
    manifest = {"made_at": now.isoformat(), "artifacts": artifacts, "files": files}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return sum(one["bytes"] for one in files.values())


def remove_old(*, into: Path, days: int) -> list[str]:
    """Remove what was made more than so many days ago, and return its names: call it once a new backup is there.

    The newest backup stays, however old, and the newest that has artifacts; so does whatever is no backup. Those that
    were cut off go like all others. Raises OSError for what cannot be removed, once the rest is.
    """
    made = {path: when for path in into.iterdir() if (when := _made_at(path)) is not None}
    whole = sorted(
        (path for path in made if not path.name.startswith(".") and (path / MANIFEST).is_file()), reverse=True
    )
    kept = {*whole[:1], *[path for path in whole if (path / ARTIFACTS).is_dir()][:1]}
    limit = datetime.now(UTC) - timedelta(days=days)
    old = sorted(path for path, when in made.items() if when < limit and path not in kept)
    failed: list[OSError] = []
    for path in old:
        try:
            if not path.name.startswith("."):  # half of a backup must not look like one
                path = path.rename(path.with_name(f".{path.name}"))
            shutil.rmtree(path)
        except OSError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return [path.name for path in old]


def _made_at(path: Path) -> datetime | None:
    """When a backup, or one that was cut off, was begun, by its name; None for whatever else lies there."""
    if not path.is_dir() or path.is_symlink():
        return None
    try:
        return datetime.strptime(path.name.removeprefix("."), NAME).replace(tzinfo=UTC)
    except ValueError:
        return None


def check(folder: Path) -> dict[str, Any]:
    """The manifest of a whole backup; raises BackupError if a file is missing or is not what was stored."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} is no backup: it has no {MANIFEST} that can be read.") from error
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise BackupError(f"{name} is missing from {folder}: take another backup.")
        if _facts(path) != facts:
            raise BackupError(f"{name} is not what was stored in {folder}: take another backup.")
    return manifest


def restore(*, folder: Path) -> None:
    """Fill an empty Touchstone with a backup: all of its database, or nothing.

    Raises BackupError if the backup is damaged, or if there are projects or artifacts already: nothing is overwritten.
    """
    check(folder)
    store = Path(settings.ARTIFACTS)
    if _has_projects():
        raise BackupError("There are projects in this database: restore into an empty one (DATABASE_URL).")
    if store.exists() and any(store.iterdir()):
        raise BackupError(f"There are files in {store}: restore into an empty folder (TOUCHSTONE_ARTIFACTS).")
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    # The extension may belong to the server's administrator: it stays as it is, and all else is put in its place.
    contents = _run("pg_restore", "--list", str(folder / DUMP), connect=False)
    wanted = "\n".join(line for line in contents.splitlines() if " EXTENSION " not in line and " SCHEMA " not in line)
    connection.close()
    _run(
        *("pg_restore", "--single-transaction", "--exit-on-error", "--clean", "--if-exists", "--no-owner"),
        *("--no-privileges", "--use-list=/dev/stdin", f"--dbname={connection.get_connection_params()['dbname']}"),
        str(folder / DUMP),
        said=wanted,
    )
    if (folder / ARTIFACTS).is_dir():
        _copy(folder / ARTIFACTS, store)


def _has_projects() -> bool:
    if "annotation_project" not in connection.introspection.table_names():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM annotation_project)")
        return bool(cursor.fetchone()[0])


def _run(program: str, *arguments: str, connect: bool = True, said: str = "") -> str:
    """One of PostgreSQL's programs, on our database; returns what it says. The password is never in its arguments."""
    known = connection.get_connection_params()
    environment = {**os.environ, **{name: str(known[key]) for name, key in LIBPQ.items() if known.get(key)}}
    done = subprocess.run(
        [str(packaged() / "bin" / program), *arguments],
        env=environment if connect else dict(os.environ),
        input=said,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _copy(source: Path, target: Path) -> None:
    """Every file below `source` but checkpoints; one that goes away meanwhile belonged to no row, and is left out."""
    for path in _files(source):
        part = path.relative_to(source)
        if "checkpoints" in part.parts:
            continue
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(path, target / part)
        except FileNotFoundError:
            continue


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
