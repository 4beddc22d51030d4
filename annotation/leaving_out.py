"""Leaving prompts and answers out of everything, with a reason, and bringing them back. Nothing is deleted.

What is excluded is asked of nobody, sampled for nobody, trained on and measured by no more. Labels that people gave
stay on record and count again when it returns. Its items are set aside: they are dropped, so that the queue's one
index does not know them, and marked, so that they come back.
"""

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.models import Event, Finding, Project, Prompt, Response, User
from annotation.models.cleaning import Decision
from annotation.text import storable

LONGEST_REASON = 300

# Locks items in the order of their ids, as overlap.py does; whoever was given one goes on with it.
SET_ASIDE = """
WITH concerned AS (
    SELECT item.id FROM annotation_prompt prompt JOIN annotation_item item ON item.prompt_id = prompt.id
    WHERE prompt.project_id = %(project)s AND prompt.excluded_at IS NOT NULL AND NOT item.dropped
    UNION
    SELECT item.id FROM annotation_response response
    JOIN annotation_prompt prompt ON prompt.id = response.prompt_id
    JOIN annotation_itemresponse shown ON shown.response_id = response.id
    JOIN annotation_item item ON item.id = shown.item_id
    WHERE prompt.project_id = %(project)s AND response.excluded_at IS NOT NULL AND NOT item.dropped
), locked AS (
    SELECT id FROM annotation_item WHERE id IN (SELECT id FROM concerned) ORDER BY id FOR NO KEY UPDATE
)
UPDATE annotation_item SET dropped = true, set_aside = true FROM locked WHERE annotation_item.id = locked.id
"""
ASK_AGAIN = """
WITH locked AS (
    SELECT item.id FROM annotation_item item
    WHERE item.project_id = %(project)s AND item.set_aside
      AND NOT EXISTS (
        SELECT FROM annotation_prompt prompt WHERE prompt.id = item.prompt_id AND prompt.excluded_at IS NOT NULL)
      AND NOT EXISTS (
        SELECT FROM annotation_itemresponse shown JOIN annotation_response response ON response.id = shown.response_id
        WHERE shown.item_id = item.id AND response.excluded_at IS NOT NULL)
    ORDER BY item.id FOR NO KEY UPDATE OF item
)
UPDATE annotation_item SET dropped = false, set_aside = false FROM locked WHERE annotation_item.id = locked.id
"""


@transaction.atomic
def exclude(
    *,
    project: Project,
    prompts: Collection[int] = (),
    responses: Collection[int] = (),
    because: str,
    actor: User | None = None,
) -> int:
    """Leave these prompts and answers (ids) out of everything; returns how many were in until now.

    What was found in them is settled. Raises ValidationError without a reason.
    """
    because = storable(because).strip()[:LONGEST_REASON]
    if not because:
        raise ValidationError("Say why: whoever finds it gone wants to know.")
    lock(project)
    gone_prompts, gone_responses = _rows(project, prompts, responses, excluded=False)
    marks = {"excluded_at": timezone.now(), "excluded_because": because}
    Prompt.objects.filter(pk__in=gone_prompts).update(**marks)
    Response.objects.filter(pk__in=gone_responses).update(**marks)
    decided = {"state": Decision.EXCLUDED, "decided_at": timezone.now(), "decided_by": actor}
    _about(project, gone_prompts, gone_responses).open().update(**decided)  # type: ignore[attr-defined]
    _record("excluded", project, gone_prompts, gone_responses, actor, because=because)
    if gone_prompts or gone_responses:
        set_aside(project)
    return len(gone_prompts) + len(gone_responses)


@transaction.atomic
def bring_back(
    *,
    project: Project,
    prompts: Collection[int] = (),
    responses: Collection[int] = (),
    actor: User | None = None,
) -> int:
    """Have these prompts and answers (ids) back; returns how many were out. What was found in them is open again."""
    lock(project)
    back_prompts, back_responses = _rows(project, prompts, responses, excluded=True)
    marks = {"excluded_at": None, "excluded_because": ""}
    Prompt.objects.filter(pk__in=back_prompts).update(**marks)
    Response.objects.filter(pk__in=back_responses).update(**marks)
    findings = _about(project, back_prompts, back_responses).filter(state=Decision.EXCLUDED)
    still_out = Q(response__excluded_at__isnull=False) | Q(prompt__excluded_at__isnull=False)
    findings.exclude(pk__in=findings.filter(still_out).values("pk")).update(
        state=Decision.OPEN, decided_at=None, decided_by=None
    )
    _record("brought back", project, back_prompts, back_responses, actor)
    if back_prompts or back_responses:
        _lock_items()
        with connection.cursor() as cursor:
            cursor.execute(ASK_AGAIN, {"project": project.pk})
    return len(back_prompts) + len(back_responses)


@transaction.atomic
def set_aside(project: Project) -> int:
    """Have nobody asked about what is excluded, items that were made since too; returns how many items that were."""
    _lock_items()
    with connection.cursor() as cursor:
        cursor.execute(SET_ASIDE, {"project": project.pk})
        return cursor.rowcount


def lock(project: Project) -> None:
    """One at a time excludes, brings back and decides, so that no two wait for each other's rows."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _lock_items() -> None:
    with connection.cursor() as cursor:  # as `leasing.return_overdue`, which changes many items at once too
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('return_overdue'))")


def _rows(
    project: Project, prompts: Collection[int], responses: Collection[int], *, excluded: bool
) -> tuple[list[int], list[int]]:
    """Those of these rows of the project that are excluded, or are not, locked in the order of their ids."""
    now = {"excluded_at__isnull": not excluded}
    own_prompts: QuerySet[Prompt] = Prompt.objects.filter(project=project, pk__in=prompts, **now)
    own_responses: QuerySet[Response] = Response.objects.filter(prompt__project=project, pk__in=responses, **now)
    return (
        list(own_prompts.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)),
        list(own_responses.select_for_update(no_key=True, of=["self"]).order_by("pk").values_list("pk", flat=True)),
    )


def _about(project: Project, prompts: Collection[int], responses: Collection[int]) -> QuerySet[Finding]:
    return Finding.objects.filter(Q(prompt__in=prompts) | Q(response__in=responses), project=project)


def _record(
    what: str, project: Project, prompts: list[int], responses: list[int], actor: User | None, **data: object
) -> None:
    """An event for each, as `record` would write it."""
    Event.objects.bulk_create(
        Event(project=project, actor=actor, verb=f"{name} {what}", target=f"{name}:{pk}", data=data)
        for name, ids in (("prompt", prompts), ("response", responses))
        for pk in ids
    )
