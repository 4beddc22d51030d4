"""Word to people that something wants their eye."""

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import Notice, Project, User


def tell(*, people: Iterable[User], project: Project, text: str, address: str = "") -> None:
    """Leave each of them a notice; `address` is the page, within the site, that shows what it is about."""
    text = text if len(text) <= 300 else f"{text[:299]}…"
    once = {person.pk: person for person in people}.values()
    Notice.objects.bulk_create(
        Notice(project=project, person=person, text=text, address=address[:300]) for person in once
    )


def unread(person: User) -> int:
    return Notice.objects.filter(person=person, read_at=None).count()


def mark_read(notices: QuerySet[Notice]) -> int:
    """How many of these were still unread."""
    return notices.filter(read_at=None).update(read_at=timezone.now())
