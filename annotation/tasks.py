"""Queue tasks of the default cluster: ids in, reload, one call."""

import time

from django_q.tasks import async_task

from annotation import cleaning, kept
from annotation import consensus as verbs
from annotation.models import Project, User


def consensus(project_id: int, method: str | None = None, actor_id: int | None = None) -> None:
    """Work out a project's consensus anew, and what its pages of quality show; delivered twice, the second finds
    nothing to change."""
    project = Project.objects.get(pk=project_id)
    actor = User.objects.filter(pk=actor_id).first() if actor_id else None
    if verbs.recompute(project=project, method=method, actor=actor) is not None:
        kept.keep(project)


def refresh_consensus() -> int:
    """Bring every project's consensus up to its labels, where enough is new; scheduled every minute."""
    due = [project for project in Project.objects.active() if verbs.is_due(project)]
    for project in due:
        consensus(project.pk)
    return len(due)


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
