"""Questions to the data that people ask again. Whoever made one changes it; a lead takes a shared one away too."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from annotation import asked
from annotation.models import Membership, SavedView
from annotation.models.people import Role

MOST = 100  # of one person in a project


def visible(member: Membership) -> QuerySet[SavedView]:
    """A person's own, and those that colleagues share."""
    theirs = Q(owner=member.person_id) | Q(shared=True)
    return SavedView.objects.filter(theirs, project=member.project_id).select_related("owner")


def save(*, member: Membership, name: str, query: dict[str, Any], shared: bool = False) -> SavedView:
    """Keep what an address of Browse asks for; under a name of the person's own that is there, in its place."""
    lead = member.at_least(Role.LEAD)
    said = asked.plain(member.project, query, lead=lead)
    asked.wanted(member.project, said, lead=lead)  # raises ValidationError for what does not fit
    name = _name(name)
    own = SavedView.objects.filter(project=member.project, owner=member.person)
    if own.count() >= MOST and not own.filter(name=name).exists():
        raise ValidationError(f"You have {MOST} views: delete one first.")
    values = {"query": said, "shared": shared}
    return SavedView.objects.update_or_create(project=member.project, owner=member.person, name=name, defaults=values)[
        0
    ]


def change(*, view: SavedView, actor: Membership, name: str | None = None, shared: bool | None = None) -> SavedView:
    """Raises PermissionDenied for a view of somebody else, ValidationError for a name that is taken."""
    if view.owner_id != actor.person_id:
        raise PermissionDenied("Only whoever made a view changes it.")
    if name is not None:
        view.name = _name(name)
    if shared is not None:
        view.shared = shared
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "shared"])
    except IntegrityError:
        raise ValidationError(f'You have a view called "{view.name}" already.') from None
    return view


def delete(*, view: SavedView, actor: Membership) -> None:
    if view.owner_id != actor.person_id and not actor.at_least(Role.LEAD):
        raise PermissionDenied("Only whoever made a view, or a lead, deletes it.")
    view.delete()


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ValidationError("Give the view a name.")
    if len(name) > 80:
        raise ValidationError("A name has 80 characters at most.")
    return name
