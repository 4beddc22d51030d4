"""The people of a project: their roles and teams, and how somebody leaves.

Changes of one project's memberships wait for each other on its leads' rows, so that two leads who act at the same
moment cannot leave it without one. Locks: memberships by id, then assignments, then items, as everywhere.
"""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from annotation import leasing
from annotation.models import Assignment, Membership, Project, Team, User
from annotation.models.events import record
from annotation.models.people import RANK, Role

LAST_LEAD = "A project needs a lead: make somebody else one first."


def welcome(*, membership: Membership, actor: User) -> None:
    """Put a new or changed membership on record, and open the admin to whoever became a lead."""
    if membership.role == Role.LEAD and not membership.person.is_staff:
        User.objects.filter(pk=membership.person_id).update(is_staff=True)
    _record("membership set", membership, actor)


def farewell(*, membership: Membership, actor: User | None) -> None:
    """After a membership has ended: what the person had leased goes back to the queue, and it is on record."""
    held = Assignment.objects.held().filter(person=membership.person_id, item__project=membership.project_id)
    held.update(draft={})  # what was typed would keep an item with them
    for assignment in held.order_by("id"):
        leasing.release(assignment=assignment)
    _record("membership ended", membership, actor)


@transaction.atomic
def enrol(*, person: User, project: Project, role: str, actor: User, team: Team | None = None) -> Membership | None:
    """Make somebody a member in this role and team; whoever is one keeps a higher role. None if nothing was new."""
    member, created = Membership.objects.get_or_create(person=person, project=project, defaults={"role": role})
    if not created:
        member = Membership.objects.select_for_update(no_key=True).select_related("person", "project").get(pk=member.pk)
    raised = not created and RANK[Role(role)] > RANK[Role(member.role)]
    if raised:
        member.role = role
        member.save(update_fields=["role"])
    joins = team is not None and not member.teams.filter(pk=team.pk).exists()
    if team is not None and joins:
        member.teams.add(team)
    if created or raised:
        welcome(membership=member, actor=actor)
    if team is not None and joins:
        _record("teams set", member, actor, teams=_names(member))
    return member if created or raised or joins else None


@transaction.atomic
def set_role(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role; raises ValidationError for the last lead."""
    member = _locked(membership)
    if member.role == role:
        return member
    if role not in Role.values:
        raise ValidationError("Choose annotator, reviewer or lead.")
    if member.role == Role.LEAD and not _other_leads(member):
        raise ValidationError(LAST_LEAD)
    member.role = role
    member.save(update_fields=["role"])
    welcome(membership=member, actor=actor)
    return member


@transaction.atomic
def set_teams(*, membership: Membership, teams: Iterable[Team], actor: User) -> Membership:
    """Put a member into exactly these teams of the project; what they have leased stays theirs."""
    member = _locked(membership)
    before = _names(member)
    member.teams.set([team for team in teams if team.project_id == member.project_id])
    if (now := _names(member)) != before:
        _record("teams set", member, actor, teams=now)
    return member


@transaction.atomic
def remove(*, membership: Membership, actor: User | None) -> None:
    """End a membership: what the person has leased goes back, what they said stays.

    Raises ValidationError for the last lead, and for somebody whose labels are excluded: that mark hangs on the
    membership, and their labels would count again.
    """
    member = _locked(membership)
    if reason := why_kept(member):
        raise ValidationError(reason)
    farewell(membership=member, actor=actor)
    member.delete()


def why_kept(member: Membership) -> str:
    """Why somebody cannot be taken out of their project, in a sentence; empty if they can."""
    if member.role == Role.LEAD and not _other_leads(member):
        return LAST_LEAD
    if member.excluded_at:
        return (
            f"The labels of {member.person} are excluded, and would count again once they are gone. "
            "Pause them instead, or let their labels count again first."
        )
    return ""


def _locked(membership: Membership) -> Membership:
    """The membership and the project's leads, locked until the transaction ends."""
    rows = Membership.objects.filter(Q(pk=membership.pk) | Q(role=Role.LEAD), project=membership.project_id)
    found = rows.select_for_update(of=["self"]).select_related("person", "project").order_by("pk")
    for one in found:
        if one.pk == membership.pk:
            return one
    raise ValidationError("They have left the project in the meantime.")


def _other_leads(member: Membership) -> bool:
    others = Membership.objects.leads().filter(project=member.project_id, person__is_active=True)
    return others.exclude(pk=member.pk).exists()


def _names(member: Membership) -> list[str]:
    return list(member.teams.values_list("name", flat=True))


def _record(verb: str, member: Membership, actor: User | None, **data: object) -> None:
    person, role = member.person.username, str(member.role)
    record(verb, member.project, project=member.project, actor=actor, person=person, role=role, **data)
