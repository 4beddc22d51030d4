"""What people said in a project, as columns of numbers: agreement, bias watch and consensus are worked out from them.

One statement fetches what one kind of item needs, and all else happens in numpy: a page over 100,000 labels must not
make 100,000 objects. What counts is what `LabelQuerySet.live` says, less gold, less reviewers' decisions (which settle
what people said, and are not one more voice), and less simulated people unless they are asked for.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.models import Project
from annotation.models.labels import Verdict

Column = NDArray[np.float64]
Integers = NDArray[np.int64]
WINDOW = 100_000  # labels looked at: the newest of the project
VERDICTS = list(Verdict.values)


@dataclass(frozen=True)
class Votes:
    """A row for each time a person judged a unit: a demonstration, or a pair of an item's answers.

    `value` is the verdict's number; of a pair -1, 0 or 1: the second answer is better, a tie, the first is, where the
    first is the one with the lower id. `strength` is 0 for ties and where none was given. What no kind of vote has is
    zero.
    """

    label: Integers
    item: Integers
    person: Integers
    excluded: Integers  # 1 if the person's labels count for nothing
    doubted: Integers  # 1 if the person was asked because the labels before were doubted (annotation/overlap.py)
    day: Integers  # since 1970
    seconds: Column  # NaN where it is not known
    value: Integers
    first: Integers  # response ids
    second: Integers
    strength: Integers
    first_left: Integers
    first_bytes: Integers
    second_bytes: Integers

    def __len__(self) -> int:
        return len(self.label)

    def where(self, wanted: NDArray[np.bool_]) -> "Votes":
        return Votes(**{field.name: getattr(self, field.name)[wanted] for field in fields(self)})

    def counted(self) -> "Votes":
        """Those of people who were not excluded."""
        return self.where(self.excluded == 0)

    def asked_anyway(self) -> "Votes":
        """Without those that were asked for because the labels before were doubted: where people are asked again just
        there, they agree less often than elsewhere, and it says nothing of them."""
        return self.where(self.doubted == 0)

    def unit(self) -> Integers:
        """The number of each row's unit, from 0 on."""
        if not len(self):
            return np.zeros(0, np.int64)
        same = (np.diff(self.item) == 0) & (np.diff(self.first) == 0) & (np.diff(self.second) == 0)
        return np.concatenate([[0], np.cumsum(~same)])  # rows come in order of their unit


# Each step is worked out before the next: were the planner free to join all at once, and took the tables for empty as
# it does when they have just been filled, it would try every answer with every other.
SAID = """
    WITH said AS MATERIALIZED (
        SELECT label.id, label.item_id, label.person_id, (member.excluded_at IS NOT NULL)::int AS excluded,
            CASE WHEN item.selection ? 'doubted_after' THEN ((
                SELECT count(*) FROM annotation_assignment own
                JOIN annotation_assignment earlier ON earlier.item_id = own.item_id AND earlier.ended_at < own.ended_at
                WHERE own.id = label.assignment_id AND earlier.state = 'submitted' AND NOT earlier.review
            ) >= (item.selection ->> 'doubted_after')::int)::int ELSE 0 END AS doubted,
            extract(epoch FROM label.created_at)::bigint / 86400 AS day, coalesce(label.seconds, 'NaN') AS seconds,
            coalesce(label.strength, 0) AS strength, label.verdict, label.criteria
        FROM annotation_label label
        JOIN annotation_item item ON item.id = label.item_id
        LEFT JOIN annotation_membership member
            ON member.project_id = label.project_id AND member.person_id = label.person_id
        WHERE label.project_id = %(project)s AND item.kind = %(kind)s AND item.purpose <> 'gold'
          AND label.retracted_at IS NULL AND NOT label.decision AND (%(simulated)s OR NOT label.simulated)
          AND NOT EXISTS (SELECT 1 FROM annotation_label later WHERE later.supersedes_id = label.id)
          AND label.id >= coalesce((
            SELECT newest.id FROM annotation_label newest WHERE newest.project_id = %(project)s
            ORDER BY newest.id DESC OFFSET %(window)s - 1 LIMIT 1), 0))"""
WHO = "said.id, said.item_id, said.person_id, said.excluded, said.doubted, said.day, said.seconds"
# The size of a long text is read without the text, which counting its characters is not.
COMPARISONS = f"""{SAID}, judged AS MATERIALIZED (
        SELECT said.id, judgement.response_id, judgement.rank, judgement.position, octet_length(answer.text) AS bytes
        FROM said JOIN annotation_judgement judgement ON judgement.label_id = said.id
        JOIN annotation_response answer ON answer.id = judgement.response_id)
    SELECT {WHO}, sign(other.rank - one.rank)::int, one.response_id, other.response_id, said.strength,
        (one.position < other.position)::int, one.bytes, other.bytes
    FROM said JOIN judged one ON one.id = said.id
    JOIN judged other ON other.id = said.id AND other.response_id > one.response_id
    ORDER BY said.item_id, one.response_id, other.response_id"""  # noqa: S608  # of the constants above
DEMONSTRATIONS = f"""{SAID}
    SELECT {WHO}, array_position(%(verdicts)s, said.verdict::text) - 1, 0, 0, 0, 0,
        coalesce(octet_length(answer.text), 0), 0
    FROM said LEFT JOIN annotation_itemresponse shown ON shown.item_id = said.item_id AND shown."order" = 0
    LEFT JOIN annotation_response answer ON answer.id = shown.response_id
    ORDER BY said.item_id"""  # noqa: S608
# Who is better in one criterion, as a vote on each pair with that answer in it; 0 means that none is.
CRITERIA = f"""{SAID}, better AS MATERIALIZED (
        SELECT said.id, criterion.key AS name, criterion.value AS answer
        FROM said CROSS JOIN LATERAL jsonb_each_text(said.criteria) criterion)
    SELECT {WHO},
        CASE better.answer WHEN one.response_id::text THEN 1 WHEN other.response_id::text THEN -1 ELSE 0 END,
        one.response_id, other.response_id, 0, 0, 0, 0, better.name
    FROM said JOIN better ON better.id = said.id
    JOIN annotation_itemresponse one ON one.item_id = said.item_id
    JOIN annotation_itemresponse other ON other.item_id = said.item_id AND other.response_id > one.response_id
    WHERE better.answer IN ('0', one.response_id::text, other.response_id::text)
    ORDER BY said.item_id, one.response_id, other.response_id"""  # noqa: S608  # of the constants above


def comparisons(project: Project, *, simulated: bool = False, everything: bool = False) -> Votes:
    """Of the newest labels, or of all of them."""
    return _votes(_fetched(COMPARISONS, project, "comparison", simulated, everything))


def demonstrations(project: Project, *, simulated: bool = False, everything: bool = False) -> Votes:
    return _votes(_fetched(DEMONSTRATIONS, project, "demonstration", simulated, everything))


def criteria(project: Project, *, simulated: bool = False) -> dict[str, Votes]:
    """Votes on each of the project's criteria that anybody used."""
    rows = _fetched(CRITERIA, project, "comparison", simulated)
    return {
        name: _votes([row[:-1] for row in rows if row[-1] == name])
        for name in project.criteria
        if any(row[-1] == name for row in rows)
    }


def tags(project: Project) -> dict[str, Integers]:
    """The items of each tag of a prompt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT tag, array_agg(item.id) FROM annotation_item item
            JOIN annotation_prompt prompt ON prompt.id = item.prompt_id CROSS JOIN LATERAL unnest(prompt.tags) tag
            WHERE item.project_id = %s AND item.taken > 0 GROUP BY tag ORDER BY tag""",
            [project.pk],
        )
        return {tag: np.array(items, np.int64) for tag, items in cursor.fetchall()}


def _fetched(
    statement: str, project: Project, kind: str, simulated: bool, everything: bool = False
) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {"project": project.pk, "kind": kind, "simulated": simulated}
        window = 2**62 if everything else WINDOW
        cursor.execute(statement, {**asked, "verdicts": VERDICTS, "window": window})
        return cursor.fetchall()


def _votes(rows: list[tuple[object, ...]]) -> Votes:
    table = np.array(rows, float).T if rows else np.zeros((len(fields(Votes)), 0))  # ids are exact up to 2 ** 53
    columns = {field.name: column for field, column in zip(fields(Votes), table, strict=True)}
    return Votes(**{name: column if name == "seconds" else column.astype(np.int64) for name, column in columns.items()})
