"""The rows of a label: itself, what it says of each answer, and the assignment that it ends, in one statement. And the
rows of all that was said of an item, in another."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from annotation.models import Judgement, Label, Response
from annotation.prepared import ask, remember

if TYPE_CHECKING:
    from annotation.labelling import Said

# The claim of a first label: it stores nothing unless the lease runs and nobody has said anything under this assignment
# or this UUID, whatever came a moment before. Locks as in annotation/leasing.py: the membership, then the assignment.
FIRST = """
WITH member AS (
    SELECT id FROM annotation_membership WHERE person_id = %(person)s AND project_id = %(project)s FOR NO KEY UPDATE
), claim AS (
    UPDATE annotation_assignment SET state = 'submitted', ended_at = %(now)s::timestamptz, draft = '{}'
    FROM member
    WHERE annotation_assignment.id = %(assignment)s AND state = 'leased' AND NOT review AND NOT EXISTS (
        SELECT 1 FROM annotation_label known
        WHERE known.client_uuid = %(client_uuid)s OR known.assignment_id = %(assignment)s)
    RETURNING annotation_assignment.id
)"""
# Whoever stores any other has locked its assignment, and says what becomes of it.
ANY = "WITH claim AS (SELECT %(assignment)s::bigint AS id)"
ROWS = """, label AS (
    INSERT INTO annotation_label (
      project_id, item_id, assignment_id, person_id, client_uuid, verdict, response_id, flags, strength, criteria,
      comment, seconds, simulated, guidelines_id, decision, gold_correct, supersedes_id, created_at)
    SELECT
      %(project)s, %(item)s, claim.id, %(person)s, %(client_uuid)s::uuid, %(verdict)s, %(response)s::bigint,
      %(flags)s::jsonb, %(strength)s::smallint, %(criteria)s::jsonb,
      %(comment)s, %(seconds)s::float8, %(simulated)s::bool, %(guidelines)s::bigint, %(decision)s::bool,
      %(gold_correct)s::bool, %(supersedes)s::bigint, %(now)s::timestamptz
    FROM claim RETURNING id
), judged AS (
    INSERT INTO annotation_judgement (label_id, response_id, position, rank, unacceptable)
    SELECT label.id, one.response, one.place - 1, one.rank, one.unacceptable
    FROM label, unnest(%(responses)s::bigint[], %(ranks)s::smallint[], %(unacceptable)s::bool[])
      WITH ORDINALITY AS one (response, rank, unacceptable, place)
    RETURNING id, position
)
SELECT id, ARRAY(SELECT judged.id FROM judged ORDER BY position)
"""
# Whoever goes on to look at all labels of the item locks it, last, in the same statement.
LOCKED = """, (
    SELECT item.id FROM annotation_item item, claim WHERE item.id = %(item)s FOR NO KEY UPDATE OF item)
"""
FROM = "FROM label"
LOCK = "SELECT FROM annotation_item WHERE id = %(item)s FOR NO KEY UPDATE"
SAID_OF = """
SELECT EXISTS (SELECT 1 FROM annotation_review WHERE item_id = item.id AND closed_at IS NULL),
  label.id, label.decision, label.verdict, response.text,
  (SELECT json_agg(json_build_array(response_id, rank, unacceptable)) FROM annotation_judgement
   WHERE label_id = label.id)
FROM annotation_item item
LEFT JOIN annotation_label label ON label.item_id = item.id AND label.retracted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM annotation_label later WHERE later.supersedes_id = label.id)
LEFT JOIN annotation_response response ON response.id = label.response_id
WHERE item.id = %(item)s
"""


def store_first(label: Label, said: "Said", shown: Sequence[Response], *, lock: bool = False) -> bool:
    """Store a person's first word on an item that they hold, and end the assignment; False, and nothing is stored, if
    it is not the first, or they do not hold it. With `lock`, the item is locked until the transaction ends."""
    return _store(f"{FIRST}{ROWS}{LOCKED if lock else ''}{FROM}", label, said, shown)


def store(label: Label, said: "Said", shown: Sequence[Response]) -> None:
    """Store any label, whose assignment is locked. It stays as it is."""
    _store(f"{ANY}{ROWS}{FROM}", label, said, shown)


def _store(sql: str, label: Label, said: "Said", shown: Sequence[Response]) -> bool:
    """`shown` are the answers as they were seen, which what was `said` of a comparison goes by."""
    judgements = [
        Judgement(
            response=response,
            position=position,
            rank=rank,
            unacceptable=bool(said.unacceptable and said.unacceptable[position]),
        )
        for position, (response, rank) in enumerate(zip(shown, said.ranks, strict=False))
    ]
    rows = ask(
        sql,
        {
            "project": label.project_id,
            "item": label.item_id,
            "assignment": label.assignment_id,
            "person": label.person_id,
            "client_uuid": label.client_uuid,
            "verdict": label.verdict,
            "response": label.response_id,
            "flags": json.dumps(label.flags),
            "strength": label.strength,
            "criteria": json.dumps(label.criteria),
            "comment": label.comment,
            "seconds": label.seconds,
            "simulated": label.simulated,
            "guidelines": label.guidelines_id,
            "decision": label.decision,
            "gold_correct": label.gold_correct,
            "supersedes": label.supersedes_id,
            "now": label.created_at,
            "responses": [one.response_id for one in judgements],
            "ranks": [one.rank for one in judgements],
            "unacceptable": [one.unacceptable for one in judgements],
        },
    )
    if not rows:
        return False
    label.pk, judged = rows[0][:2]
    label._state.adding, label._state.db = False, "default"
    for one, pk in zip(judgements, judged, strict=True):
        one.pk, one.label_id = pk, label.pk
        one._state.adding, one._state.db = False, "default"
    remember(label, "judgements", judgements)
    return True


def lock(item_id: int) -> None:
    """Until the transaction ends, nobody else looks at all labels of this item to make something of them."""
    ask(LOCK, {"item": item_id})


def said_of(item_id: int) -> tuple[list[Label], bool]:
    """The live labels of an item, reviewers' decisions among them, and whether it has an open case.

    Of a label only that is there which reviewing.disagree and its callers go by.
    """
    rows = ask(SAID_OF, {"item": item_id})
    labels = []
    for pk, decision, verdict, text, judged in (row[1:] for row in rows if row[1] is not None):
        response = Response(text=text) if text is not None else None
        label = Label(pk=pk, decision=decision, verdict=verdict, response=response)
        names = ("response_id", "rank", "unacceptable")
        remember(label, "judgements", [Judgement(**dict(zip(names, one, strict=True))) for one in judged or ()])
        labels.append(label)
    return labels, any(row[0] for row in rows)
