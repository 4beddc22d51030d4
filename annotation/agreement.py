"""How often two people who judged the same item said the same: the raw share, not corrected for chance."""

from dataclasses import dataclass
from itertools import combinations, groupby

from django.db.models import Count

from annotation.models import Label, Project
from annotation.models.items import Kind


@dataclass(frozen=True)
class Agreement:
    """`agreed` of `comparisons`: judgements of two people laid side by side, over `items`."""

    kind: str
    items: int
    comparisons: int
    agreed: int

    @property
    def agreement(self) -> float | None:
        """None when no item was judged by two people."""
        return self.agreed / self.comparisons if self.comparisons else None


def of_project(project: Project, *, simulated: bool = False) -> dict[str, Agreement]:
    """Agreement by kind of item. Demonstrations agree in their verdict; comparisons pair by pair of answers:
    both people preferred the same one, or both called a tie."""
    return {kind: _of_kind(project, kind, simulated) for kind in Kind.values}


def _of_kind(project: Project, kind: str, simulated: bool) -> Agreement:
    counted = Label.objects.live().filter(project=project, item__kind=kind)
    if not simulated:
        counted = counted.filter(simulated=False)
    twice = counted.values("item").annotate(n=Count("id")).filter(n__gte=2).values("item")
    labels = counted.filter(item__in=twice).prefetch_related("judgements").order_by("item_id", "id")
    items = comparisons = agreed = 0
    for _, group in groupby(labels.iterator(chunk_size=500), key=lambda label: label.item_id):
        items += 1
        for one, other in combinations([_said(label, kind) for label in group], 2):
            shared = one.keys() & other.keys()
            comparisons += len(shared)
            agreed += sum(one[key] == other[key] for key in shared)
    return Agreement(kind, items, comparisons, agreed)


def _said(label: Label, kind: str) -> dict[tuple[int, ...], object]:
    """What a label says, by pair of answers (or once, for a demonstration)."""
    if kind == Kind.DEMONSTRATION:
        return {(): label.verdict}
    ranks = sorted((judged.response_id, judged.rank) for judged in label.judgements.all())
    return {(a, b): (x > y) - (x < y) for (a, x), (b, y) in combinations(ranks, 2)}
