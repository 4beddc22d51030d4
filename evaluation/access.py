"""The way from a request to a row of this room; what a person may not see is "not found"."""

from django.http import Http404

from annotation.models import Membership, User
from evaluation.models import Round
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
