"""How many people judge an item: for new ones the project says it, for those in the queue a lead can change it, and
where labels are doubted one more can be asked, up to the project's limit (evaluation/relabelling.py).

Such an item keeps in its `selection` after how many labels it was doubted: those beyond were not asked for at random,
and agreement is measured without them.
"""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import Greatest

from annotation.models import Item, Label, Membership, Project, User
from annotation.models.events import record

MOST_PEOPLE = 50


@transaction.atomic
def ask_people(*, project: Project, items: QuerySet[Item], people: int, actor: User | None = None) -> int:
    """Have each of these items of the project judged by so many people, and by no fewer than have it already; returns
    how many items that changed. Gold and dropped items stay as they are."""
    if not 1 <= people <= MOST_PEOPLE:
        raise ValidationError(f"Between 1 and {MOST_PEOPLE} people can judge an item.")
    with connection.cursor() as cursor:  # as `leasing.return_overdue`, which changes many items at once too
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('return_overdue'))")
    wanted = Greatest(F("taken"), Value(people))
    chosen = Item.objects.work().filter(pk__in=items.values("pk"), project=project, dropped=False)
    changed = chosen.exclude(wanted=wanted).update(wanted=wanted)
    if changed:
        record("people per item set", project, project=project, actor=actor, people=people, items=changed)
    return changed


def could_be_asked(project: Project, *, simulated: bool = False) -> QuerySet[Membership, int]:
    """Those (ids of people) who have labelled here and are given items; `simulated` ones where their labels count."""
    said = Label.objects.filter(person=OuterRef("person"), project=OuterRef("project"))
    members = project.memberships.filter(Exists(said), paused_at=None, excluded_at=None, imported=False)
    members = members if simulated else members.filter(simulated=False)
    return members.values_list("person", flat=True)


ANOTHER = """
WITH closed AS (
    SELECT item.id FROM annotation_item item JOIN annotation_project project ON project.id = item.project_id
    WHERE item.id = ANY(%(items)s) AND item.project_id = %(project)s AND item.purpose = 'train' AND NOT item.dropped
      AND item.taken = item.wanted AND item.wanted < project.most_labels_per_item
      AND NOT EXISTS (SELECT 1 FROM annotation_review review WHERE review.item_id = item.id)
      AND EXISTS (
        SELECT 1 FROM unnest(%(people)s::bigint[]) person WHERE NOT EXISTS (
            SELECT 1 FROM annotation_assignment met WHERE met.item_id = item.id AND met.person_id = person))
    ORDER BY item.id FOR NO KEY UPDATE OF item SKIP LOCKED
)
UPDATE annotation_item item SET wanted = item.wanted + 1,
    selection = jsonb_build_object('doubted_after', item.wanted) || item.selection
FROM closed WHERE item.id = closed.id RETURNING item.id
"""


def ask_another(*, project: Project, items: Sequence[int], simulated: bool = False) -> set[int]:
    """Have one person more judge each of these items (ids), as its labels are doubted; returns those that wait now.

    Left as they are: items that still wait for labels or have the project's most, that a reviewer has to decide or has
    decided, of which everybody who could be asked was given them before, and any that are being changed.
    """
    people = list(could_be_asked(project, simulated=simulated))
    with connection.cursor() as cursor:
        cursor.execute(ANOTHER, {"items": list(items), "project": project.pk, "people": people})
        return {row[0] for row in cursor.fetchall()}
