"""Queue tasks of the default cluster: ids in, reload, one call."""

import time

from django_q.tasks import async_task

from annotation import accesskeys, bulk, cleaning, imports, kept, repeating, searching, webhooks
from annotation import consensus as verbs
from annotation.exporting import files
from annotation.models import BulkChange, Project, User


def consensus(project_id: int, method: str | None = None, actor_id: int | None = None) -> None:
    """Work out a project's consensus anew, and what its pages of quality show; delivered twice, the second finds
    nothing to change."""
    project = Project.objects.get(pk=project_id)
    actor = User.objects.filter(pk=actor_id).first() if actor_id else None
    if verbs.recompute(project=project, method=method, actor=actor) is not None:
        kept.keep(project)


def fill_search() -> int:
    """Bring in the words of new rows, so that they can be searched; scheduled every minute."""
    return searching.fill()


def change(change_id: int) -> None:
    """Go on with a change of many rows; delivered twice, the second finds another at it, or nothing left."""
    bulk.go_on(change_id=change_id)


def go_on_with_changes() -> int:
    """Go on with changes whose worker died; scheduled every minute."""
    unfinished = list(BulkChange.objects.unfinished().values_list("pk", flat=True))
    for pk in unfinished:
        bulk.go_on(change_id=pk)
    return len(unfinished)


def refresh_consensus() -> int:
    """Bring every project's consensus up to its labels, where enough is new; scheduled every minute."""
    due = [project for project in Project.objects.active() if verbs.is_due(project)]
    for project in due:
        consensus(project.pk)
    return len(due)


def bring_in(import_id: int) -> None:
    """Go on with an import; delivered twice, the second finds it taken."""
    imports.work(import_id)


CLEANING = 30.0  # seconds of each minute, of all projects together


def clean(project_id: int) -> None:
    """Check a project that somebody wants checked now, a slice at a time, so that others have their turn."""
    project = Project.objects.get(pk=project_id)
    if not cleaning.check(project=project, seconds=cleaning.SLICE):
        async_task(cleaning.TASK, project_id, cluster="default")


def clean_projects() -> int:
    """Look at what is new in all projects; scheduled every minute, and over before the next."""
    end = time.monotonic() + CLEANING
    due = [project for project in Project.objects.active() if cleaning.is_due(project)]
    for project in due:
        cleaning.check(project=project, seconds=min(cleaning.SLICE, max(0.0, end - time.monotonic())))
    return len(due)


def make_export(export_id: int) -> None:
    """Make the file of an export, once; delivered twice, the second finds it made or in other hands."""
    files.make(export_id=export_id)


def tend_exports() -> int:
    """Remove exports that have expired and take up those whose worker died; scheduled every five minutes."""
    return files.tend()


def deliver() -> int:
    """Send what waits for webhooks: after each event, and every minute for what is tried again. Safe at any time."""
    return webhooks.deliver()


def forget() -> int:
    """Delete what is kept for a while only; scheduled every hour."""
    return accesskeys.forget() + repeating.forget() + webhooks.forget()
