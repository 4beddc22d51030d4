"""How many people judge an item: for new ones the project says it, for those in the queue a lead can change it."""

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Greatest

from annotation.models import Item, Project, User
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
