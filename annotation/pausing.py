"""Pausing people: they are given no items until a lead lets them go on."""

from functools import partial

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from annotation import leasing
from annotation.models import Assignment, Membership, User
from annotation.models.events import record
from annotation.notices import tell
from annotation.standing import leads


@transaction.atomic
def pause(*, membership: Membership, because: str, actor: User | None = None) -> bool:
    """Give the person no more items, and those they hold to others; their leads are told. False if they are paused
    already."""
    now, because = timezone.now(), because[:300]
    running = Membership.objects.filter(pk=membership.pk, paused_at__isnull=True)
    if not running.update(paused_at=now, paused_because=because):
        return False
    membership.paused_at, membership.paused_because = now, because
    project = membership.project
    record("person paused", membership, project=project, actor=actor, because=because)
    told = [lead for lead in leads(project) if lead != actor]
    address = reverse("gold", args=[project.slug]) + "#paused"
    tell(people=told, project=project, text=f"{membership.person} is paused: {because}", address=address)
    # After the commit, each on its own: whoever pauses holds a lock on an assignment, and perhaps on its item.
    transaction.on_commit(partial(_give_back, membership))
    return True


def _give_back(membership: Membership) -> None:
    held = Assignment.objects.held().filter(person_id=membership.person_id, item__project=membership.project_id)
    for assignment in held:
        leasing.release(assignment=assignment)


@transaction.atomic
def unpause(*, membership: Membership, actor: User | None = None, without_quiz: bool = False) -> bool:
    """Let somebody go on: gold is counted anew for them, and a quiz begins again with questions they have not met,
    or is taken as passed. False if they were not paused."""
    now = timezone.now()
    changes = {"paused_at": None, "paused_because": "", "gold_since": now}
    if without_quiz:
        changes["quiz_passed_at"] = now
    paused = Membership.objects.filter(pk=membership.pk, paused_at__isnull=False)
    if not paused.update(**changes):
        return False
    project = membership.project
    record("person let go on", membership, project=project, actor=actor, without_quiz=without_quiz)
    text = f"You can go on in {project}."
    tell(people=[membership.person], project=project, text=text, address=project.get_absolute_url())
    return True
