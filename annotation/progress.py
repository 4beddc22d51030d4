"""How far the work is. Counts are derived from the rows each time, and leave gold out, which is no work that waits.

Where gold is mixed in, annotators see counts of the project in tens: one that stands still after a label would tell
that it was gold. Their own labels are counted with gold in it, for the same reason.
"""

from dataclasses import dataclass, replace

from django.db.models import Count, Exists, OuterRef, Sum

from annotation import parts
from annotation.models import Assignment, Item, Label, Membership, Project, User
from annotation.models.items import Kind, Purpose, State
from annotation.models.people import Role
from annotation.models.projects import SkipPolicy

TENS = 10


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
        Item.objects.work()
        .filter(project=project, dropped=False)
        .values("kind")
        .annotate(items=Count("id"), wanted_sum=Sum("wanted"))
    )
    done = {
        row["item__kind"]: row["n"]
        for row in Label.objects.votes()
        .filter(project=project, item__dropped=False)
        .exclude(item__purpose=Purpose.GOLD)
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


def as_seen_by(membership: Membership) -> dict[str, Progress]:
    """The project's progress, as this person may know it."""
    exact = of_project(membership.project)
    if not _in_tens(membership):
        return exact
    return {kind: replace(one, done=one.done - one.done % TENS) for kind, one in exact.items()}


def _in_tens(membership: Membership) -> bool:
    return membership.role == Role.ANNOTATOR and membership.project.gold_share > 0


def waiting_for(membership: Membership) -> dict[str, int]:
    """How many items of each kind this person could still be given: those they hold, and those of their teams'
    part that have room for them."""
    returning = {State.EXPIRED}
    if membership.project.skip_policy == SkipPolicy.TO_ME:
        returning.add(State.SKIPPED)
    met = Assignment.objects.filter(item=OuterRef("pk"), person_id=membership.person_id)
    items = Item.objects.work().filter(project_id=membership.project_id)
    rows = items.open().filter(
        parts.fitting(parts.of(membership)), ~Exists(met.exclude(state__in=returning, review=False))
    )
    held = items.filter(
        dropped=False, pk__in=Assignment.objects.held().filter(person=membership.person_id, review=False).values("item")
    )
    counts = dict.fromkeys(Kind.values, 0)
    for found in (rows, held):
        for row in found.values("kind").annotate(n=Count("id")):
            counts[row["kind"]] += row["n"]
    if _in_tens(membership):
        return {kind: count if count < TENS else count - count % TENS for kind, count in counts.items()}
    return counts


def labels_by(user: User, project: Project) -> int:
    return Label.objects.live().filter(person=user, project=project).count()
