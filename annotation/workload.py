"""Who does how much in a project: leases, labels, pace. Derived from the rows each time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, Exists, FloatField, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.models import Assignment, Label, Membership, Project, User

DAYS = 7


class Median(Aggregate):
    """PostgreSQL's: of an even number of values, the middle of the two in the middle."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class Workload:
    """One member's. Labels are live ones: neither withdrawn nor replaced by a later word of the same person."""

    member: Membership
    leases: int = 0
    recent: int = 0
    labels: int = 0
    median_seconds: float | None = None
    last_active: datetime | None = None


def of(members: Iterable[Membership]) -> list[Workload]:
    """The workload of members of one project, in their order."""
    members = list(members)
    if not members:
        return []
    project, people = members[0].project_id, [one.person_id for one in members]
    labels = _by_person(
        Label.objects.live().filter(project=project, person__in=people),
        labels=Count("id"),
        recent=Count("id", filter=Q(created_at__gte=timezone.now() - timedelta(days=DAYS))),
        median_seconds=Median("seconds"),
        last=Max("created_at"),
    )
    leases = _by_person(
        Assignment.objects.held().filter(item__project=project, person__in=people),
        leases=Count("id"),
        last=Max("leased_at"),
    )
    return [_one(member, labels.get(member.person_id, {}), leases.get(member.person_id, {})) for member in members]


def former(project: Project) -> QuerySet[User]:
    """People who said something in the project and are in it no more."""
    said = Label.objects.filter(project=project, person=OuterRef("pk"))
    return User.objects.filter(Exists(said)).exclude(memberships__project=project).order_by("username")


def _by_person(rows: QuerySet[Any], **figures: Any) -> dict[int, dict[str, Any]]:
    return {row["person_id"]: row for row in rows.order_by().values("person_id").annotate(**figures)}


def _one(member: Membership, labels: dict[str, Any], leases: dict[str, Any]) -> Workload:
    seen = [moment for moment in (labels.get("last"), leases.get("last")) if moment]
    return Workload(
        member=member,
        leases=leases.get("leases", 0),
        recent=labels.get("recent", 0),
        labels=labels.get("labels", 0),
        median_seconds=labels.get("median_seconds"),
        last_active=max(seen, default=None),
    )
