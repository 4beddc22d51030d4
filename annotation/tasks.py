"""Queue tasks of the default cluster: ids in, reload, one call."""

from annotation import consensus as verbs
from annotation.models import Project, User


def consensus(project_id: int, method: str | None = None, actor_id: int | None = None) -> None:
    """Work out a project's consensus anew; delivered twice, the second finds nothing to change."""
    actor = User.objects.filter(pk=actor_id).first() if actor_id else None
    verbs.recompute(project=Project.objects.get(pk=project_id), method=method, actor=actor)


def refresh_consensus() -> int:
    """Bring every project's consensus up to its labels, where enough is new; scheduled every minute."""
    due = [project for project in Project.objects.active() if verbs.is_due(project)]
    for project in due:
        verbs.recompute(project=project)
    return len(due)
