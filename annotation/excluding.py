"""Leaving somebody's labels out of everything: agreement, consensus, training and measuring. Nothing is deleted."""

from django.db import transaction
from django.utils import timezone

from annotation import consensus
from annotation.models import Membership, User
from annotation.models.events import record


@transaction.atomic
def exclude(*, membership: Membership, because: str, actor: User) -> bool:
    """Let a person's labels count for nothing, those to come too; False if they do already.

    The consensus is worked out anew, and what was trained on their labels is stale from now on.
    """
    counted = Membership.objects.filter(pk=membership.pk, excluded_at__isnull=True)
    if not counted.update(excluded_at=timezone.now()):
        return False
    _told("person excluded", membership, actor, because=because[:300])
    return True


@transaction.atomic
def include(*, membership: Membership, because: str = "", actor: User) -> bool:
    """Let a person's labels count again; False if they do."""
    excluded = Membership.objects.filter(pk=membership.pk, excluded_at__isnull=False)
    if not excluded.update(excluded_at=None):
        return False
    _told("person included again", membership, actor, because=because[:300])
    return True


def _told(verb: str, membership: Membership, actor: User, because: str) -> None:
    membership.refresh_from_db(fields=["excluded_at"])
    record(verb, membership, project=membership.project, actor=actor, person=membership.person_id, because=because)
    consensus.ask(project=membership.project, actor=actor)
