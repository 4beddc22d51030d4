"""An assignment with all that is needed to show it and to take its label, in one statement."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from annotation.models import Assignment, Gold, Guidelines, Item, Membership, Project, Prompt, Response
from annotation.prepared import Columns, ask

# What nobody looks at who judges, or is given, an item is left out.
ASSIGNMENT = Columns(Assignment, "claim")
ITEM = Columns(Item, "item", left_out=["fingerprint", "created_at"])
PROMPT = Columns(Prompt, "prompt", left_out=["excluded_at", "excluded_because", "created_at"])
PROJECT = Columns(Project, "project", left_out=["description", "heldout_share", "licence", "created_at"])
MEMBER = Columns(Membership, "member", left_out=["imported", "excluded_at", "reliability", "created_at"])
GOLD = Columns(Gold, "gold", left_out=["author", "created_at"])
NEWEST = Columns(Guidelines, "newest", left_out=["text", "note", "author", "created_at"])
ANSWER = Columns(Response, "answer", left_out=["excluded_at", "excluded_because", "created_at"])

ANSWERS = f"""(
    SELECT json_agg(json_build_array({ANSWER.sql}))
    FROM annotation_itemresponse answered JOIN annotation_response answer ON answer.id = answered.response_id
    WHERE answered.item_id = item.id
)"""  # noqa: S608  # names of columns
READ = f"""
SELECT {ASSIGNMENT.sql}, {ITEM.sql}, {PROMPT.sql}, {PROJECT.sql}, {MEMBER.sql}, {GOLD.sql}, {NEWEST.sql}, {ANSWERS}
FROM annotation_assignment claim
JOIN annotation_item item ON item.id = claim.item_id
JOIN annotation_prompt prompt ON prompt.id = item.prompt_id
JOIN annotation_project project ON project.id = item.project_id
LEFT JOIN annotation_membership member ON member.person_id = claim.person_id AND member.project_id = item.project_id
LEFT JOIN annotation_gold gold ON gold.item_id = item.id
LEFT JOIN LATERAL (
    SELECT * FROM annotation_guidelines WHERE project_id = item.project_id ORDER BY number DESC LIMIT 1
) newest ON true
WHERE claim.id = %(assignment)s
"""  # noqa: S608  # names of columns
LOCKED = f"{READ} FOR UPDATE OF claim"


def read(assignment_id: int, *, lock: bool = False) -> tuple[Assignment, Membership | None] | None:
    """The assignment with this id and its person's membership, unless they have left; None if there is none. Its item,
    prompt, project, gold and answers are with it, and the newest guidelines with the membership."""
    rows = ask(LOCKED if lock else READ, {"assignment": assignment_id})
    if not rows:
        return None
    values = iter(rows[0])
    assignment, item, prompt, project, member, gold, newest = (
        _next(values, columns) for columns in (ASSIGNMENT, ITEM, PROMPT, PROJECT, MEMBER, GOLD, NEWEST)
    )
    item.project = project
    Item.gold.related.set_cached_value(item, gold)  # type: ignore[attr-defined]  # the way back from Gold.item
    if member is not None:
        member.project, member.newest_guidelines = project, newest
    return _together(assignment, item, prompt, next(values)), member


def leased(row: Sequence[Any]) -> Assignment:
    """The assignment that a row of the columns ASSIGNMENT, ITEM, PROMPT and ANSWERS holds."""
    values = iter(row)
    assignment, item, prompt = (_next(values, columns) for columns in (ASSIGNMENT, ITEM, PROMPT))
    return _together(assignment, item, prompt, next(values))


def _next(values: Iterator[Any], columns: Columns[Any]) -> Any:
    """What the next columns hold; None where an outer join found nothing."""
    row = list(islice(values, len(columns)))
    return None if row[0] is None else columns.instance(row)


def _together(assignment: Assignment, item: Item, prompt: Prompt, answers: Sequence[Any] | None) -> Assignment:
    assignment.item, item.prompt = item, prompt
    by_id = {row[0]: ANSWER.instance(row) for row in answers or ()}
    assignment.seen = [by_id[pk] for pk in assignment.order]
    return assignment
