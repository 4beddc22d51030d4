"""Is everything well? Each check says in plain words what it found and, if that is not well, what to do about it.

The page and `manage.py doctor` show all of them; the numbers are those of `/metrics`, and the first two checks those of
`/health/ready`.
"""

import logging
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

import django
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.timesince import timesince

from annotation.models import Export
from annotation.models.imports import OPEN as IMPORTING
from config import facts, health
from config.facts import Facts
from config.paths import VAR
from training.models.workers import SILENT, Worker
from training.runs import GPU

log = logging.getLogger(__name__)

WELL, LOOK, WRONG = "well", "look", "wrong"

LONG_WAIT = timedelta(minutes=5)  # of a message for the queue
LONG_QUEUED = timedelta(hours=1)  # of a run that could begin
OLD_BACKUP = timedelta(hours=36)
LITTLE_SPACE, TOO_LITTLE_SPACE = 0.10, 0.03  # of a disk


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do, which is empty if all is well; perhaps a page of the admin about it."""

    title: str
    state: str
    found: str
    todo: str = ""
    page: str = ""


def look() -> list[Finding]:
    """All findings. Without a database only those that need none."""
    return [*_of_the_database(), *_space(), _settings(), _versions()]


def worst(findings: list[Finding]) -> str:
    """
    >>> worst([Finding("Backup", LOOK, "None is known."), Finding("Versions", WELL, "0.1.0")])
    'look'
    """
    return max((one.state for one in findings), key=[WELL, LOOK, WRONG].index)


def _of_the_database() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
            server, size = cursor.fetchone()
            cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            vector = (cursor.fetchone() or ["none"])[0]
        behind = health.is_behind()
    except (Error, ImproperlyConfigured) as error:
        log.warning("The database does not answer: %s", error)
        todo = "See that PostgreSQL runs, and that DATABASE_URL names it. The log of this process says more."
        yield Finding("Database", WRONG, "The database does not answer.", todo)
        return
    held = f"PostgreSQL {server.split()[0]} with pgvector {vector} answers, and holds {_size(size)}."
    yield Finding("Database", WELL, held)
    if behind:
        yield Finding("Migrations", WRONG, "The database is behind the code.", "Run manage.py migrate, then restart.")
        return
    yield Finding("Migrations", WELL, "The database is as new as the code.")
    try:
        known = facts.gather()
    except Error as error:
        log.warning("The database did not tell how the installation is: %s", error)
        todo = "The database is busy, or its statistics are old: try again, and run VACUUM ANALYZE if it stays so."
        yield Finding("Figures", WRONG, f"Counting what waits took longer than {facts.PATIENCE}.", todo)
        return
    yield _queue(known)
    yield _gpu(known)
    yield from _runs(known)
    yield _leases(known)
    yield _tasks(known)
    yield _files(known)
    yield _webhooks(known)
    yield _backup(known)


def _queue(known: Facts) -> Finding:
    title = "Queue"
    alive, silent = _workers(known, "default")
    waiting, since = known.messages.get("default", 0), known.oldest_messages.get("default")
    if not alive:
        start = "Start one: systemctl start touchstone-queue, docker compose up -d queue, or manage.py qcluster."
        found = "No worker is alive, so imports, exports, consensus, webhooks and the return of leases wait."
        return Finding(title, WRONG, found, start)
    found = f"{_count(len(alive), 'worker')} alive, {_count(waiting, 'message')} waiting."
    if since is not None and known.at - since > LONG_WAIT:
        todo = "A long import or export may be at work. If this lasts, start a second queue worker; the log says more."
        return Finding(title, LOOK, f"{found} The first has waited for {_ago(since, known)}.", todo)
    if silent:
        return _fell_silent(title, found, silent, known)
    return Finding(title, WELL, found)


def _gpu(known: Facts) -> Finding:
    title = "GPU workers"
    alive, silent = _workers(known, GPU)
    if not alive:
        start = "Start one: systemctl start touchstone-gpu@0, docker compose up -d gpu, or Q_CLUSTER_NAME=gpu"
        start += " manage.py qcluster."
        if known.runs.get("queued"):
            return Finding(title, WRONG, "No GPU worker is alive, and runs wait.", start)
        return Finding(title, LOOK, "No GPU worker is alive; no run waits for one now.", start)
    parts = [part for one in alive for part in one.devices]
    devices = [f"{part['name']}: {_size(part['used'])} of {_size(part['total'])} in use" for part in parts]
    found = f"{_count(len(alive), 'worker')} alive. {'; '.join(devices) or 'None tells of a device of NVIDIA'}."
    return _fell_silent(title, found, silent, known) if silent else Finding(title, WELL, found)


def _workers(known: Facts, queue: str) -> tuple[list[Worker], list[Worker]]:
    """Those alive, and those that fell silent."""
    ours = [one for one in known.workers if one.queue == queue]
    alive = [one for one in ours if known.at - one.beat_at <= SILENT]
    return alive, [one for one in ours if one not in alive]


def _fell_silent(title: str, found: str, silent: list[Worker], known: Facts) -> Finding:
    named = ", ".join(f"{one.name} for {_ago(one.beat_at, known)}" for one in silent)
    todo = "It was killed, or its machine is away: start it again if no other took its place. It is listed for an hour."
    return Finding(title, LOOK, f"{found} Silent: {named}.", todo)


def _runs(known: Facts) -> Iterator[Finding]:
    waiting, running, since = known.runs.get("queued", 0), known.runs.get("running", 0), known.oldest_queued_run
    found = f"{_count(running, 'run')} at work, {waiting} waiting."
    quiet = known.quietest_run
    if quiet is not None and known.at - quiet > timedelta(seconds=2 * settings.RUN_LOST_SECONDS):
        todo = "The queue takes it back within a minute: see that a queue worker is alive, or run manage.py recover."
        found += f" One has been silent for {_ago(quiet, known)}."
        yield Finding("Runs", LOOK, found, todo, _runs_page("running"))
    elif since is not None and known.at - since > LONG_QUEUED:
        todo = "Start another gpu worker, or wait. A run that asks for more devices than any worker has, or for a "
        todo += "method of another release, is never taken."
        found += f" The first has waited for {_ago(since, known)}."
        yield Finding("Runs", LOOK, found, todo, _runs_page("queued"))
    else:
        yield Finding("Runs", WELL, found)
    if known.runs_failed:
        todo = "Each says on its page what went wrong, and what to do; it can be tried again there."
        found = f"{_count(known.runs_failed, 'run')} failed in the last day."
        yield Finding("Failed runs", LOOK, found, todo, _runs_page("failed"))
    else:
        yield Finding("Failed runs", WELL, "None failed in the last day.")


def _runs_page(status: str) -> str:
    return f"{reverse('admin:training_run_changelist')}?{urlencode({'status__exact': status})}"


def _leases(known: Facts) -> Finding:
    held = sum(known.leased_items.values())
    if known.overdue_leases:
        found = f"{_count(known.overdue_leases, 'lease')} should have been returned five minutes ago or more."
        todo = "The queue returns them every minute: see that a queue worker is alive, or run manage.py recover."
        return Finding("Leases", LOOK, found, todo)
    return Finding("Leases", WELL, f"{_count(held, 'item')} in people's hands, none of them overdue.")


def _tasks(known: Facts) -> Finding:
    if not known.tasks_failed:
        return Finding("Tasks of the queue", WELL, "None failed in the last day.")
    named = ", ".join(f"{name} ({number})" for name, number in sorted(known.tasks_failed.items()))
    todo = "Each is tried again by itself at its next time. The queue's log has the reason, under the same name."
    return Finding("Tasks of the queue", LOOK, f"Failed in the last day: {named}.", todo)


def _files(known: Facts) -> Finding:
    title = "Imports and exports"
    going = sum(known.imports.get(status, 0) for status in IMPORTING)
    going += sum(known.exports.get(status, 0) for status in (Export.Status.WAITING, Export.Status.MAKING))
    found = f"{going} waiting or at work."
    if failed := known.imports_failed + known.exports_failed:
        todo = "Their leads see why on their project's pages, under Data, and can try again there."
        return Finding(title, LOOK, f"{found} {failed} failed in the last day.", todo)
    return Finding(title, WELL, f"{found} None failed in the last day.")


def _webhooks(known: Facts) -> Finding:
    found = f"{_count(known.deliveries_waiting, 'message')} waiting."
    if failed := known.deliveries_failed:
        todo = "Somebody's server did not take them: the project's leads see under Webhooks what it said."
        return Finding("Webhooks", LOOK, f"{found} {failed} given up in the last day.", todo)
    return Finding("Webhooks", WELL, f"{found} None given up in the last day.")


def _backup(known: Facts) -> Finding:
    todo = "Run manage.py backup each day, into a folder on another disk (docs/operations.md)."
    if known.backup is None:
        return Finding("Backup", LOOK, "No backup of this database is known.", todo)
    made = known.backup.created_at
    of_all = "" if known.backup.data.get("artifacts") else ", of the database alone"
    found = f"The last one was made {_ago(made, known)} ago{of_all}."
    return Finding("Backup", LOOK, found, todo) if known.at - made > OLD_BACKUP else Finding("Backup", WELL, found)


def _space() -> Iterator[Finding]:
    """Of the disks with what this machine keeps."""
    seen = set()
    for title, folder in (("Disk of the artifacts", Path(settings.ARTIFACTS)), ("Disk of var", VAR)):
        place = next(one for one in (folder, *folder.parents) if one.exists())
        disk = place.stat().st_dev
        if disk in seen:
            continue
        seen.add(disk)
        held = shutil.disk_usage(place)
        free = held.free / held.total
        found = f"{_size(held.free)} of {_size(held.total)} free at {place}."
        todo = "Remove models and exports that nobody needs, or give it more room; without any, runs and imports fail."
        state = WRONG if free < TOO_LITTLE_SPACE else LOOK if free < LITTLE_SPACE else WELL
        yield Finding(title, state, found, "" if state == WELL else todo)


def _settings() -> Finding:
    """What Django's `check --deploy` finds. It knows no secrets, but whether they are strong."""
    if not settings.PRODUCTION:
        found = "Made for this machine alone. Set TOUCHSTONE_ENV=production before others use it."
        return Finding("Settings", WELL, found)
    found_wrong = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    if found_wrong:
        said = " ".join(f"{one.msg} ({one.id})" for one in found_wrong)
        return Finding("Settings", LOOK, said, "Change them in the environment (docs/settings.md) and restart.")
    return Finding("Settings", WELL, "Those of production; Django finds nothing unsafe.")


def _versions() -> Finding:
    ours = f"Touchstone {version('touchstone')}, Django {django.get_version()}, Python {platform.python_version()}."
    return Finding("Versions", WELL, ours)


def _count(number: int, word: str) -> str:
    """
    >>> _count(1, "run"), _count(3, "run")
    ('1 run', '3 runs')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    return str(filesizeformat(count)).replace("\xa0", " ")


def _ago(since: datetime, known: Facts) -> str:
    return timesince(since, known.at, depth=1).replace("\xa0", " ")
