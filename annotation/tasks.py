"""Queue tasks of the default cluster: ids in, reload, one call."""

from annotation import consensus as verbs
from annotation import kept
from annotation.exporting import files
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


def make_export(export_id: int) -> None:
    """Make the file of an export, once; delivered twice, the second finds it made or in other hands."""
    files.make(export_id=export_id)


def tend_exports() -> int:
    """Remove exports that have expired and take up those whose worker died; scheduled every five minutes."""
    return files.tend()
