"""How far the work is. Counts are derived from the rows each time."""

from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Sum

from annotation.models import Assignment, Item, Label, Membership, Project, User
from annotation.models.items import Kind, State
from annotation.models.projects import SkipPolicy


@dataclass(frozen=True)
class Progress:
    """Labels taken and wanted over the items of one kind that were not dropped."""

    kind: str
    items: int
    done: int
    wanted: int

    @property
    def left(self) -> int:
        return self.wanted - self.done

    @property
    def percent(self) -> int:
        return 100 * self.done // self.wanted if self.wanted else 0


def of_project(project: Project) -> dict[str, Progress]:
    """Progress by kind of item; a leased item counts as done once its label is in."""
    rows = (
        Item.objects.filter(project=project, dropped=False)
        .values("kind")
        .annotate(items=Count("id"), wanted_sum=Sum("wanted"))
    )
    done = {
        row["item__kind"]: row["n"]
        for row in Label.objects.live()
        .filter(project=project, item__dropped=False)
        .values("item__kind")
        .annotate(n=Count("id"))
    }
    found = {row["kind"]: row for row in rows}
    return {
        kind: Progress(
            kind=kind,
            items=found[kind]["items"] if kind in found else 0,
            done=done.get(kind, 0),
            wanted=found[kind]["wanted_sum"] if kind in found else 0,
        )
        for kind in Kind.values
    }


def waiting_for(membership: Membership) -> dict[str, int]:
    """How many items of each kind this person could still be given."""
    returning = {State.LEASED, State.EXPIRED}
    if membership.project.skip_policy == SkipPolicy.TO_ME:
        returning.add(State.SKIPPED)
    own_assignments = Assignment.objects.filter(item=OuterRef("pk"), person_id=membership.person_id)
    rows = (
        Item.objects.open()
        .filter(~Exists(own_assignments.exclude(state__in=returning)), project_id=membership.project_id)
        .values("kind")
        .annotate(n=Count("id"))
    )
    own = (
        Item.objects.filter(
            project_id=membership.project_id,
            dropped=False,
            taken=F("wanted"),
            assignments__person_id=membership.person_id,
            assignments__state="leased",
        )
        .values("kind")
        .annotate(n=Count("id"))
    )
    counts = dict.fromkeys(Kind.values, 0)
    for row in [*rows, *own]:
        counts[row["kind"]] += row["n"]
    return counts


def labels_by(user: User, project: Project) -> int:
    return Label.objects.live().filter(person=user, project=project).count()
