"""Invitations: links by which people join a project by themselves.

A use is taken by one conditional UPDATE in the transaction that makes the membership, so that a link for n people
never admits n + 1, and a use that admitted nobody is given back.
"""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from annotation import people
from annotation.models import Event, Invitation, Membership, Project, Team, User
from annotation.models.events import record

USED = "invitation used"


class Closed(Exception):
    """The link admits nobody any more, or not this person; the message says why and what to do."""


def invite(
    *, project: Project, actor: Membership, role: str, uses: int = 1, days: int = 14, team: Team | None = None
) -> Invitation:
    """Make a link for people to come by; raises ValidationError for a role above the inviter's own."""
    if not actor.at_least(role):
        raise ValidationError({"role": ["You cannot invite people to a role above your own."]})
    with transaction.atomic():
        made = Invitation.objects.create(
            project=project,
            role=role,
            team=team,
            uses=uses,
            expires_at=timezone.now() + timedelta(days=days),
            author=actor.person,
        )
        record("invitation made", made, project=project, actor=actor.person, role=role, uses=uses, days=days)
    return made


@transaction.atomic
def revoke(*, invitation: Invitation, actor: User | None) -> bool:
    """Close a link; who came by it stays. False if it was closed already."""
    closing = Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True)
    if not closing.update(revoked_at=timezone.now()):
        return False
    record("invitation revoked", invitation, project=invitation.project, actor=actor)
    return True


def why_closed(invitation: Invitation) -> str:
    """Why a link admits nobody any more, in a sentence; empty if it is open."""
    if invitation.project.archived:
        return "The project has been put away."
    if invitation.revoked_at:
        return "It was taken back by a lead of the project."
    if invitation.used >= invitation.uses:
        return "It has been used already." if invitation.uses == 1 else "As many people as it was for have used it."
    if invitation.expires_at <= timezone.now():
        return "Its time is over."
    return ""


@transaction.atomic
def join(*, invitation: Invitation, person: User) -> bool:
    """The person joins as the link says; False, and no use is taken, if they are in the project already in that
    role or a higher one. Raises Closed if the link no longer admits them."""
    # No condition over another table here: Django would look for the row in a subquery, which sees the past.
    taken = Invitation.objects.open().filter(pk=invitation.pk).update(used=F("used") + 1)
    fresh = Invitation.objects.select_related("project", "team").get(pk=invitation.pk)
    member = Membership.objects.filter(person=person, project=fresh.project).first()
    if not taken or fresh.project.archived:
        if not taken and member is not None and member.at_least(fresh.role):
            return False  # they came by it before, and opened it again
        raise Closed(why_closed(fresh) or "Somebody else has just taken the last place.")
    if member is None and _was_removed(person, fresh):
        raise Closed("A lead took you out of the project after this link was made.")
    if people.enrol(person=person, project=fresh.project, role=fresh.role, team=fresh.team, actor=person) is None:
        Invitation.objects.filter(pk=fresh.pk).update(used=F("used") - 1)
        return False
    record(USED, fresh, project=fresh.project, actor=person, person=person.username)
    return True


@transaction.atomic
def join_anew(*, invitation: Invitation, username: str, password: str, email: str = "") -> User:
    """An account for somebody who has none, and their membership: both or neither."""
    try:
        with transaction.atomic():
            person = User.objects.create_user(username, email, password)
    except IntegrityError as error:
        raise ValidationError({"username": ["Somebody has this name already."]}) from error
    join(invitation=invitation, person=person)
    return person


def who_came(project: Project) -> dict[int, list[str]]:
    """By invitation, the names of those who joined by it, in their order."""
    came: dict[int, list[str]] = {}
    for target, name in (
        Event.objects.filter(project=project, verb=USED).order_by("id").values_list("target", "data__person")
    ):
        came.setdefault(int(target.rpartition(":")[2]), []).append(name)
    return came


def _was_removed(person: User, invitation: Invitation) -> bool:
    ended = Event.objects.filter(project=invitation.project, verb="membership ended", data__person=person.username)
    return ended.filter(created_at__gte=invitation.created_at).exclude(actor=person).exists()
