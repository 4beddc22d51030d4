"""Guidelines in versions: publishing one, and whether a person has read it."""

from django.db import transaction

from annotation.models import Guidelines, Membership, Project, User
from annotation.models.events import record


@transaction.atomic
def publish(
    *, project: Project, text: str, actor: User | None = None, note: str = "", asks_again: bool = True
) -> Guidelines:
    """Make `text` the project's guidelines; the versions before stay. The same text again changes nothing."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = project.current_guidelines
    if current is not None and current.text == text:
        return current
    made = Guidelines.objects.create(
        project=project,
        number=current.number + 1 if current else 1,
        text=text,
        note=note,
        asks_again=asks_again,
        author=actor,
    )
    record("guidelines changed", project, project=project, actor=actor, number=made.number, note=note)
    return made


def unread(membership: Membership) -> Guidelines | None:
    """The newest version, if the person should read it before they go on: they have read none, or one that a
    version asking to be read again has replaced since."""
    current = membership.project.current_guidelines
    if current is None or not current.text.strip():
        return None
    known = membership.read_guidelines.number if membership.read_guidelines else 0
    newer = membership.project.guidelines_versions.filter(number__gt=known)
    return current if newer.filter(asks_again=True).exists() else None


def mark_read(*, membership: Membership, version: Guidelines) -> None:
    """The person says that they have read this version."""
    membership.read_guidelines = version
    membership.save(update_fields=["read_guidelines"])
