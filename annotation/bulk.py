"""One change of many prompts: tags put on and taken off, or how soon their items are asked.

A change is a row first, then goes on in batches, each a transaction with an event that names what it changed, and where
the next one begins. So a worker that dies leaves nothing half done, and undoing puts back what was changed and no more.
"""

from collections.abc import Collection
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.tasks import async_task

from annotation import asked
from annotation.browsing import Place, each
from annotation.filters import ANSWERS, LABELS, PROMPTS
from annotation.models import BulkChange, Event, Label, Project, Prompt, Response, User
from annotation.models.browsing import FURTHEST_PRIORITY
from annotation.models.events import PRIORITISED, TAGGED, record
from annotation.text import why_unstorable

AT_ONCE = 1_000  # prompts of one transaction
SELECTED = 500  # rows that are chosen by hand
MOST_TAGS = 20
LONGEST_TAG = 64
TASK = "annotation.tasks.change"

PUT_ON = """
UPDATE annotation_prompt SET tags = array_append(tags, %(tag)s::varchar)
WHERE id IN (SELECT id FROM annotation_prompt WHERE id = ANY(%(prompts)s) AND project_id = %(project)s
             AND NOT tags @> ARRAY[%(tag)s::varchar] ORDER BY id FOR NO KEY UPDATE)
RETURNING id"""
TAKE_OFF = """
UPDATE annotation_prompt SET tags = array_remove(tags, %(tag)s::varchar)
WHERE id IN (SELECT id FROM annotation_prompt WHERE id = ANY(%(prompts)s) AND project_id = %(project)s
             AND tags @> ARRAY[%(tag)s::varchar] ORDER BY id FOR NO KEY UPDATE)
RETURNING id"""
# Gold is drawn by lot, and what is done or dropped is asked no more: their places in the queue mean nothing.
ASK_AT = """
WITH before AS (
    SELECT id, prompt_id, priority FROM annotation_item
    WHERE prompt_id = ANY(%(prompts)s) AND project_id = %(project)s AND purpose <> 'gold'
      AND NOT dropped AND taken < wanted AND priority <> %(priority)s ORDER BY id FOR NO KEY UPDATE
)
UPDATE annotation_item item SET priority = %(priority)s FROM before WHERE item.id = before.id
RETURNING item.id, before.prompt_id, before.priority"""
ASK_AS_BEFORE = """
UPDATE annotation_item item SET priority = before.priority
FROM unnest(%(items)s::bigint[], %(priorities)s::float8[]) AS before (id, priority)
WHERE item.id = before.id AND item.project_id = %(project)s AND item.priority = %(set)s
RETURNING item.id"""


def start(
    *,
    project: Project,
    actor: User,
    query: dict[str, str] | None = None,
    prompts: Collection[int] = (),
    add_tags: Collection[str] = (),
    remove_tags: Collection[str] = (),
    priority: float | None = None,
) -> BulkChange:
    """Change these prompts (ids), at once; or, by the queue, all that are found by `query`, what an address of Browse
    says. Rows of answers and labels stand for their prompts."""
    add_tags, remove_tags = check(add_tags=add_tags, remove_tags=remove_tags, priority=priority)
    if (query is None) == (not prompts):
        raise ValidationError("Choose at least one row, or everything that is found.")
    if len(prompts) > SELECTED:
        raise ValidationError(f"{SELECTED} rows can be chosen by hand; narrow the filter and change all it finds.")
    if query is not None:
        asked.wanted(project, query, lead=True)  # raises ValidationError for what is no filter
    with transaction.atomic():
        made = BulkChange.objects.create(
            project=project,
            actor=actor,
            query=query or {},
            prompts=sorted(prompts),
            add_tags=add_tags,
            remove_tags=remove_tags,
            priority=priority,
        )
        if query is not None:
            transaction.on_commit(partial(async_task, TASK, made.pk, cluster="default"))
    if query is None:
        go_on(change_id=made.pk)
        made.refresh_from_db()
    return made


@transaction.atomic
def undo(*, change: BulkChange, actor: User) -> BulkChange:
    """Put back what a change changed, by the queue; what was changed again since stays."""
    found = BulkChange.objects.select_for_update(no_key=True).get(pk=change.pk)
    if found.undoes_id is not None:
        raise ValidationError("This took a change back: make the change again instead.")
    if found.finished_at is None:
        raise ValidationError("This change is still going on: wait until it is done.")
    if BulkChange.objects.filter(undoes=found).exists():
        raise ValidationError("This change was undone already.")
    made = BulkChange.objects.create(project=found.project, actor=actor, undoes=found)
    transaction.on_commit(partial(async_task, TASK, made.pk, cluster="default"))
    return made


def go_on(*, change_id: int) -> bool:
    """Do what is left of a change, batch by batch; whether there was anything. Another that is at it does it alone."""
    began = False
    while _batch(change_id):
        began = True
    return began


@transaction.atomic
def _batch(change_id: int) -> bool:
    rows = BulkChange.objects.select_for_update(skip_locked=True, of=["self"], no_key=True).unfinished()
    change = rows.select_related("project", "actor", "undoes").filter(pk=change_id).first()
    if change is None:
        return False
    if change.undoes is not None:
        _undo_batch(change, change.undoes)
        return True
    try:
        prompts, change.place = _next(change)
    except ValidationError as error:  # a filter that a later version does not know
        change.problem, change.place, prompts = " ".join(error.messages)[:300], None, []
    change.looked_at += len(prompts)
    change.changed += sum(_tag(change, tag, True, prompts) for tag in change.add_tags)
    change.changed += sum(_tag(change, tag, False, prompts) for tag in change.remove_tags)
    if change.priority is not None:
        change.changed += _ask_at(change, prompts)
    _keep(change)
    return True


def _next(change: BulkChange) -> tuple[list[int], Any]:
    """The prompts of the next batch, and where the one after it begins; None if there is none."""
    if change.prompts:
        own = Prompt.objects.filter(project=change.project, pk__in=change.prompts)
        return list(own.values_list("pk", flat=True)), None
    wanted = asked.wanted(change.project, change.query, lead=True)
    after = Place.parse(change.place) if change.place else None
    found, rest = next(iter(each(wanted, after=after, size=AT_ONCE)))
    return prompts_of(wanted.view, found), str(rest) if rest else None


def prompts_of(view: str, rows: Collection[int]) -> list[int]:
    """The prompts that rows of this kind (ids) stand for."""
    if view == PROMPTS:
        return list(rows)
    found = {
        ANSWERS: Response.objects.filter(pk__in=rows).values_list("prompt_id", flat=True),
        LABELS: Label.objects.filter(pk__in=rows).values_list("item__prompt_id", flat=True),
    }[view]
    return sorted(set(found))


def _keep(change: BulkChange) -> None:
    if change.place is None:
        change.finished_at = timezone.now()
    change.save(update_fields=["place", "looked_at", "changed", "problem", "finished_at"])


def _tag(change: BulkChange, tag: str, on: bool, prompts: Collection[int]) -> int:
    values = {"tag": tag, "prompts": list(prompts), "project": change.project_id}
    touched = sorted(row[0] for row in _run(PUT_ON if on else TAKE_OFF, values))
    if touched:
        way = "added" if on else "removed"
        _record(TAGGED, change, tag=tag, way=way, prompts=touched)
        told = import_string(settings.TAGS_CHANGED)
        told(
            project=change.project_id,
            tag=tag,
            on=on,
            prompts=touched,
            actor=change.actor,
            undoes=change.undoes_id is not None,
        )
    return len(touched)


def _ask_at(change: BulkChange, prompts: Collection[int]) -> int:
    _one_at_a_time()
    values = {"prompts": list(prompts), "project": change.project_id, "priority": change.priority}
    rows = sorted(_run(ASK_AT, values))
    if rows:
        items, of_prompts, before = (list(column) for column in zip(*rows, strict=True))
        named = {"items": items, "before": before, "prompts": sorted(set(of_prompts))}
        _record(PRIORITISED, change, priority=change.priority, **named)
    return len(rows)


def _undo_batch(change: BulkChange, undone: BulkChange) -> None:
    events = Event.objects.filter(target=f"bulkchange:{undone.pk}", pk__gt=change.place or 0).order_by("pk")
    event = events.first()
    if event is not None and event.verb == TAGGED:
        prompts = event.data["prompts"]
        change.changed += _tag(change, event.data["tag"], event.data["way"] == "removed", prompts)
        change.looked_at += len(prompts)
    elif event is not None and event.verb == PRIORITISED:
        _one_at_a_time()
        data = event.data
        values = {"items": data["items"], "priorities": data["before"], "set": data["priority"]}
        back = sorted(row[0] for row in _run(ASK_AS_BEFORE, {**values, "project": change.project_id}))
        if back:
            _record(PRIORITISED, change, items=back, prompts=data["prompts"])
        change.changed += len(back)
        change.looked_at += len(data["prompts"])
    change.place = event.pk if event else None
    _keep(change)


def _record(verb: str, change: BulkChange, **data: object) -> None:
    record(verb, change, project=change.project, actor=change.actor, **data)


def _one_at_a_time() -> None:
    """As `leasing.return_overdue`, which changes many items at once too: neither then waits for the other's locks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('return_overdue'))")


def _run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def check(
    *, add_tags: Collection[str] = (), remove_tags: Collection[str] = (), priority: float | None = None
) -> tuple[list[str], list[str]]:
    """The tags as they are stored. Raises ValidationError for what cannot be done."""
    on, off = _tags(add_tags), _tags(remove_tags)
    if both := set(on) & set(off):
        raise ValidationError(f'"{sorted(both)[0]}" cannot be put on and taken off at once.')
    if not on and not off and priority is None:
        raise ValidationError("Say what to change: tags, or how soon to ask.")
    if priority is not None and not -FURTHEST_PRIORITY <= priority <= FURTHEST_PRIORITY:
        raise ValidationError(f"A priority is a number from -{FURTHEST_PRIORITY} to {FURTHEST_PRIORITY}.")
    return on, off


def _tags(given: Collection[str]) -> list[str]:
    tags = list(dict.fromkeys(tag.strip() for tag in given if tag.strip()))
    if len(tags) > MOST_TAGS:
        raise ValidationError(f"{MOST_TAGS} tags at once are the most.")
    for tag in tags:
        if len(tag) > LONGEST_TAG:
            raise ValidationError(f"A tag has {LONGEST_TAG} characters at most: {tag[:20]}…")
        if why := why_unstorable(tag):
            raise ValidationError(f"A tag {why}.")
    return tags
