"""Labelled items as lines of JSON, put together by PostgreSQL: each with its answers and every vote, oldest first.

Items are chosen in one statement and read in batches, so no transaction stays open while somebody downloads slowly,
memory stays flat, and an item stands in the file once, whatever is said meanwhile.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.utils.crypto import salted_hmac

from annotation.exporting import ids
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Label, Project, User

BATCH = 1_000  # items in memory at once

# What people said of an item. Names of columns are those of the rows, in their order.
SAID = """
    SELECT l.id, %(names)s::jsonb ->> l.person_id::text AS person, l.simulated, l.decision, l.comment, l.criteria,
           l.flags, l.seconds,
           to_char(l.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS created_at, r.text AS text
"""
ITEMS = f"""
WITH answers AS (
    SELECT a.item_id,
           json_agg(row_to_json((SELECT one FROM (
               SELECT r.id, r.text, r.origin, r.excluded_because AS excluded) one)) ORDER BY a.order) AS said
    FROM annotation_itemresponse a JOIN annotation_response r ON r.id = a.response_id
    WHERE a.item_id = ANY(%(items)s) GROUP BY a.item_id
), live AS MATERIALIZED (
    SELECT l.* FROM annotation_label l
    WHERE l.item_id = ANY(%(items)s) AND l.retracted_at IS NULL
      AND NOT EXISTS (SELECT FROM annotation_label later WHERE later.supersedes_id = l.id)
      AND (%(decisions)s = '' OR l.decision = (%(decisions)s = 'only'))
      AND (%(simulated)s OR NOT l.simulated)
), votes AS (
    SELECT j.label_id, json_agg(row_to_json((SELECT one FROM (
        SELECT j.response_id AS answer, j.position, j.rank, j.unacceptable) one)) ORDER BY j.position) AS votes
    FROM annotation_judgement j WHERE j.label_id = ANY(ARRAY(SELECT id FROM live)) GROUP BY j.label_id
), labels AS (
    SELECT l.item_id, json_agg(CASE
        WHEN i.kind = 'comparison' THEN
            row_to_json((SELECT one FROM ({SAID}, l.strength, COALESCE(v.votes, '[]') AS votes) one))
        WHEN r.prompt_id <> i.prompt_id THEN
            row_to_json((SELECT one FROM ({SAID}, l.verdict, p.messages AS prompt) one))
        ELSE row_to_json((SELECT one FROM ({SAID}, l.verdict) one))
    END ORDER BY l.id) AS said
    FROM live l JOIN annotation_item i ON i.id = l.item_id
    LEFT JOIN votes v ON v.label_id = l.id
    LEFT JOIN annotation_response r ON r.id = l.response_id
    LEFT JOIN annotation_prompt p ON p.id = r.prompt_id AND p.id <> i.prompt_id
    GROUP BY l.item_id
)
SELECT row_to_json((SELECT one FROM (
    SELECT i.id AS item, i.kind, i.purpose, p.split, p.language, p.tags, p.metadata, p.excluded_because AS excluded,
           p.messages AS prompt, COALESCE(a.said, '[]') AS answers, l.said AS labels) one))::text
FROM annotation_item i JOIN annotation_prompt p ON p.id = i.prompt_id JOIN labels l ON l.item_id = i.id
LEFT JOIN answers a ON a.item_id = i.id
WHERE i.id = ANY(%(items)s) ORDER BY i.id
"""  # noqa: S608  (of parts that stand above)


def labelled_rows(
    *, project: Project, kind: str = "", wanted: Wanted | None = None, tally: Tally | None = None
) -> Iterator[dict[str, Any]]:
    """The project's labelled items with their answers and every vote, oldest first.

    People appear under pseudonyms, unless names are wanted. Memory stays flat, however many rows there are.
    """
    wanted = wanted or Wanted.model_validate({"kind": kind})
    for lines in labelled_lines(project=project, wanted=wanted, tally=tally or Tally()):
        yield from map(json.loads, lines)


def labelled_lines(*, project: Project, wanted: Wanted, tally: Tally) -> Iterator[list[str]]:
    """The same as lines of JSON, a batch at a time."""
    asked: dict[str, Any] = {
        "names": json.dumps(people(project=project, names=wanted.names)),
        "decisions": wanted.decisions,
        "simulated": wanted.simulated is not False,
    }
    chosen = ids.read(wanted.items(project).order_by("id").values_list("pk"))
    tally.total += len(chosen)
    for start in range(0, len(chosen), BATCH):
        with connection.cursor() as cursor:
            cursor.execute(ITEMS, {**asked, "items": chosen[start : start + BATCH].tolist()})
            lines = [line for (line,) in cursor.fetchall()]
        yield lines
        tally.step(len(lines))


def people(*, project: Project, names: bool) -> dict[int, str]:
    """What those who said something in the project are called outside of it."""
    said = Label.objects.filter(project=project).order_by().values("person_id").distinct()
    if names:
        return dict(User.objects.filter(pk__in=said).values_list("pk", "username"))
    return {pk: pseudonym(project=project, person_id=pk) for pk in said.values_list("person_id", flat=True)}


def pseudonym(*, project: Project, person_id: int) -> str:
    """The same for a person throughout a project, and of no use outside this server."""
    return salted_hmac("touchstone.export", f"{project.pk}:{person_id}", algorithm="sha256").hexdigest()[:12]
