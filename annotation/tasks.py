"""Queue tasks of the default cluster: ids in, reload, one call."""

from annotation import accesskeys, kept, repeating, webhooks
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


def deliver() -> int:
    """Send what waits for webhooks: after each event, and every minute for what is tried again. Safe at any time."""
    return webhooks.deliver()


def forget() -> int:
    """Delete what is kept for a while only; scheduled every hour."""
    return accesskeys.forget() + repeating.forget() + webhooks.forget()
