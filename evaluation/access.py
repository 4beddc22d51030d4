"""The way from a request to a row of this room; what a person may not see is "not found"."""

from django.http import Http404

from annotation.models import Membership, User
from evaluation.models import HeadToHead, Round
from training import access


def round(user: User, slug: str, number: int) -> tuple[Membership, Round]:
    member = access.lead(user, slug)
    found = (
        Round.objects.select_related("project", "champion", "challenger", "reward_model", "started_by")
        .filter(project=member.project, number=number)
        .first()
    )
    if found is None:
        raise Http404("No such round")
    return member, found


def head_to_head(user: User, slug: str, pk: int) -> tuple[Membership, HeadToHead]:
    member = access.lead(user, slug)
    found = (
        HeadToHead.objects.select_related("project", "champion", "challenger", "champion_run", "challenger_run")
        .filter(project=member.project, pk=pk)
        .first()
    )
    if found is None:
        raise Http404("No such comparison")
    return member, found
