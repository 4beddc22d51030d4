"""Handing out items: who gets what next, for how long, and what happens when they leave.

An item is claimed by one conditional UPDATE of `taken` under `FOR NO KEY UPDATE SKIP LOCKED`, in the statement that
leases it, so people who ask at the same moment get different items without waiting for each other; the database itself
refuses `taken` above `wanted` and a second assignment of one person to one item.

Locks are taken in one order, so that no two requests wait for each other: the person's membership, then the
assignment, then the item or the case (annotation/reviewing.py). Only `next_assignment` locks an item before an
assignment: the person's own, which nobody else locks unless it is leased, and which the person's other requests
cannot hold without the membership.

A reviewer's claim on a case is an assignment too, with the same lease. It takes no place of the item, and whoever has
seen a case is not given its item to label.

Gold (annotation/gold.py) is drawn by lot at the project's share, and claimed by the same statement; a new annotator's
quiz comes before anything else.
"""

import random
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from annotation import at_hand, parts
from annotation.models import Assignment, Item, Membership, Project, Review
from annotation.models.events import record
from annotation.models.items import Purpose, State
from annotation.models.projects import SkipPolicy
from annotation.prepared import ask, through_migrations
from annotation.standing import Quiz, quiz_of
from annotation.text import storable

# Assignments that keep an item from being given to the same person again. `skipped` is left out when skipped
# items come back to whoever skipped them.
SPENT = (State.LEASED, State.SUBMITTED, State.RETRACTED, State.SKIPPED)
LONGEST_DRAFT = 400_000  # characters
MOST_HELD = 4  # items of a kind that one person may hold: what is on the page, the one fetched ahead, and a margin
STANDING = ("paused_at", "paused_because", "quiz_passed_at", "gold_since")  # what is read anew under the lock

# How a person will see the answers: drawn by lot. An item that comes back keeps its order, since a page of the first
# time may still be open, and be sent.
ORDER = """(SELECT array_agg(response_id ORDER BY gen_random_uuid())
      FROM annotation_itemresponse WHERE item_id = item.id)"""
# `held` is what the person holds of this kind; while they are in the quiz, of its questions. Nothing more is given
# while one of these is not on their page yet, or they are as many as may be.
FREE = "NOT EXISTS (SELECT FROM held WHERE id <> ALL(%(beyond)s::numeric[])) AND (SELECT count(*) FROM held) < %(most)s"
TAKE = f"""
WITH held AS (
    SELECT claim.id FROM annotation_assignment claim JOIN annotation_item item ON item.id = claim.item_id
    WHERE claim.person_id = %(person)s AND claim.state = 'leased' AND NOT claim.review
      AND item.project_id = %(project)s AND item.kind = %(kind)s AND NOT item.dropped AND (NOT %(in_quiz)s OR EXISTS (
        SELECT 1 FROM annotation_gold gold WHERE gold.item_id = item.id AND gold.quiz))
), candidate AS (
    SELECT item.id FROM {{among}}
    WHERE item.project_id = %(project)s AND item.kind = %(kind)s
      AND NOT item.dropped AND item.taken < item.wanted AND {{free}} AND {{asked_for}}
      AND NOT EXISTS (
        SELECT 1 FROM annotation_assignment mine
        WHERE mine.item_id = item.id AND mine.person_id = %(person)s
          AND (mine.state = ANY(%(spent)s) OR mine.review))
    ORDER BY {{order}}
    LIMIT 1
    FOR NO KEY UPDATE OF item {{locked}}
), item AS (
    UPDATE annotation_item SET taken = taken + 1
    FROM candidate WHERE annotation_item.id = candidate.id
    RETURNING annotation_item.*
), claim AS (
    INSERT INTO annotation_assignment
      (item_id, person_id, state, review, leased_at, lease_until, "order", skip_reason, draft)
    SELECT item.id, %(person)s, 'leased', false, %(now)s, %(until)s, coalesce({ORDER}, '{{{{}}}}'), '', '{{{{}}}}'
    FROM item
    ON CONFLICT (item_id, person_id) DO UPDATE SET state = 'leased', leased_at = EXCLUDED.leased_at,
      lease_until = EXCLUDED.lease_until, ended_at = NULL, skip_reason = ''
    RETURNING *
)
SELECT ARRAY(SELECT id FROM held ORDER BY id), {at_hand.ASSIGNMENT.sql}, {at_hand.ITEM.sql}, {at_hand.PROMPT.sql},
  {at_hand.ANSWERS}
FROM (VALUES (1)) one LEFT JOIN (
    claim JOIN item ON item.id = claim.item_id JOIN annotation_prompt prompt ON prompt.id = item.prompt_id
) ON true
"""  # noqa: S608  # names of columns
WORK = {"asked_for": "item.purpose <> 'gold'", "order": "{place}.priority DESC, {place}.id"}
QUIZ = {
    "asked_for": "EXISTS (SELECT 1 FROM annotation_gold gold WHERE gold.item_id = item.id AND gold.quiz)",
    "order": "random()",
}
# Only while there is other work for this person: at the end of the queue gold alone would show itself.
GOLD = {
    "asked_for": """EXISTS (SELECT 1 FROM annotation_gold gold WHERE gold.item_id = item.id AND NOT gold.quiz)
      AND EXISTS (
        SELECT 1 FROM {other}
        WHERE other.project_id = %(project)s AND other.kind = %(kind)s AND other.purpose <> 'gold'
          AND NOT other.dropped AND other.taken < other.wanted AND NOT EXISTS (
            SELECT 1 FROM annotation_assignment met
            WHERE met.item_id = other.id AND met.person_id = %(person)s
              AND (met.state = ANY(%(spent)s) OR met.review)))""",
    "order": "random()",
}
THIS = {"asked_for": "item.purpose <> 'gold' AND item.id = %(item)s", "order": "item.id"}
LOT = random.SystemRandom()


@through_migrations
def next_assignment(*, membership: Membership, kind: str, beyond: Collection[int] = ()) -> Assignment | None:
    """The person's next piece of work of this kind, leased to them; None if there is none for them, as in
    an archived project or while they are paused.

    Their own unfinished lease comes first and is renewed, unless it is one of `beyond`: assignments (ids) that are on
    their page already, while the item after them is fetched. Before giving up, overdue leases are taken back, and
    items that others are claiming at this moment are waited for: they may have room for one more. Raises
    Membership.DoesNotExist if they have left meanwhile.
    """
    given, more = _give(membership, kind, beyond)
    if given is None and more:  # the first look is over, and with it the locks on items that others took meanwhile
        given, _ = _give(membership, kind, beyond, wait=True)
    return given


@transaction.atomic
def _give(
    membership: Membership, kind: str, beyond: Collection[int], *, wait: bool = False
) -> tuple[Assignment | None, bool]:
    """One look for the next assignment, and whether to look again and `wait` for what others hold."""
    in_teams = _stand(membership)
    project = membership.project
    if project.archived or membership.paused_at:
        return None, False
    quiz = quiz_of(membership)
    in_quiz = quiz is not None and quiz.due
    own = parts.of(membership) if in_teams else []
    take = partial(_take, membership, kind, own, beyond=beyond, quiz=quiz if in_quiz else None)
    if in_quiz:
        return take(SPENT, QUIZ) or take(SPENT[:-1], QUIZ), False
    if not wait:
        given = take(SPENT, GOLD) if LOT.random() < project.gold_share else None
        given = given or take(SPENT)
    else:
        return_overdue(project_id=project.pk)  # from here on one person at a time, as its lock lasts until we commit
        given = take(SPENT, wait=True)
        if given is None and project.skip_policy == SkipPolicy.TO_ME:
            given = take(SPENT[:-1], wait=True)
    return given, True


STAND = """
SELECT paused_at, paused_because, quiz_passed_at, gold_since, EXISTS (
    SELECT 1 FROM annotation_team_members joined WHERE joined.membership_id = member.id)
FROM annotation_membership member WHERE id = %(member)s FOR NO KEY UPDATE
"""
MEMBER = """
SELECT id FROM annotation_membership WHERE person_id = %(person)s AND project_id = %(project)s FOR NO KEY UPDATE
"""


@transaction.atomic
def take(*, membership: Membership, item: Item) -> Assignment | None:
    """This very item, leased to a person who knows it by its number; None where it is not theirs to judge: it has the
    labels it wants, is dropped or gold, or they have judged it. One that they hold already is renewed.

    Nothing is given to those who are paused or in their entry quiz, as in `next_assignment`.
    """
    _stand(membership)
    quiz = quiz_of(membership)
    if membership.project.archived or membership.paused_at or (quiz is not None and quiz.due):
        return None
    mine = Assignment.objects.held().filter(person=membership.person, item=item, review=False)
    given = _renewed(membership, list(mine.values_list("pk", flat=True)))
    return given or _take(membership, item.kind, [], SPENT[:-1], THIS, wait=True, item=item.pk)


def _stand(membership: Membership) -> bool:
    """Lock the membership, so that two open pages share one lease, and read anew how the person stands; returns whether
    they are in a team."""
    rows = ask(STAND, {"member": membership.pk})
    if not rows:
        raise Membership.DoesNotExist(f"Membership {membership.pk} has ended.")
    *standing, in_teams = rows[0]
    for name, value in zip(STANDING, standing, strict=True):
        setattr(membership, name, value)
    return bool(in_teams)


def lock_member(*, person_id: int, project_id: int) -> None:
    """One request of a person at a time; raises Membership.DoesNotExist if they have left."""
    if not ask(MEMBER, {"person": person_id, "project": project_id}):
        raise Membership.DoesNotExist(f"Person {person_id} has left project {project_id}.")


def _renewed(membership: Membership, ids: Sequence[int]) -> Assignment | None:
    """The first of these assignments that is still the person's, its lease renewed."""
    now = timezone.now()
    until = lease_end(membership.project, now)
    for pk in ids:
        if Assignment.objects.held().filter(pk=pk).update(leased_at=now, lease_until=until):
            found = at_hand.read(pk)
            return _as_theirs(found[0], membership) if found else None
    return None


def _as_theirs(assignment: Assignment, membership: Membership) -> Assignment:
    assignment.person, assignment.item.project = membership.person, membership.project
    return assignment


def _take(
    membership: Membership,
    kind: str,
    own: Sequence[parts.Part],
    spent: tuple[State, ...],
    among: dict[str, str] = WORK,
    *,
    beyond: Collection[int] = (),
    quiz: Quiz | None = None,
    wait: bool = False,
    **more: int,
) -> Assignment | None:
    """Claim one of these items and lease it to the person, in one statement; or renew what they hold that is not one of
    `beyond`. None if there is none for them. While they are in the `quiz`, they hold as many items as it has questions
    left, since what comes after the last hangs on it."""
    now = timezone.now()
    most = min(MOST_HELD, quiz.length - quiz.answered) if quiz else MOST_HELD
    asked = {
        "project": membership.project_id,
        "kind": kind,
        "person": membership.person_id,
        "spent": [str(state) for state in spent],
        "now": now,
        "until": lease_end(membership.project, now),
        "in_quiz": quiz is not None,
        "beyond": list(beyond),
        "most": most,
        **more,
    }
    sources = parts.sources(own, asked, thorough=wait) if among is WORK else [parts.directly(own, asked)]
    where = {
        "free": "true" if among is THIS else FREE,
        "asked_for": among["asked_for"].format(other=parts.table(own, "other")),
        "locked": "" if wait else "SKIP LOCKED",
    }
    for table, place, parameters in sources:
        order = among["order"].format(place=place)
        statement = TAKE.format(among=table, order=order, **where)
        # From the gold, or from the items: which is fewer.
        ((held, *leased),) = ask(statement, parameters, anew=among in (GOLD, QUIZ))
        if leased[0] is not None:
            return _as_theirs(at_hand.leased(leased), membership)
        if among is not THIS and (set(held) - set(beyond) or len(held) >= most):
            return _renewed(membership, [pk for pk in held if pk not in beyond])
    return None


def lease_end(project: Project, now: datetime) -> datetime:
    return now + timedelta(minutes=project.lease_minutes)


def heartbeat(*, assignment: Assignment) -> bool:
    """Renew the lease while the page is open; False if it has ended."""
    until = lease_end(assignment.item.project, timezone.now())
    return bool(Assignment.objects.held().filter(pk=assignment.pk).update(lease_until=until))


def why_no_draft(draft: object) -> str | None:
    """Why this is no draft, in a sentence; None if it is: a form's fields by name, each a text or a list of texts."""
    if not isinstance(draft, dict) or len(draft) > 100:
        return "A draft is an object of texts, or of lists of texts."
    texts = [text for value in draft.values() for text in (value if isinstance(value, list) else [value])]
    if not all(isinstance(text, str) for text in texts):
        return "A draft is an object of texts, or of lists of texts."
    if sum(map(len, texts)) > LONGEST_DRAFT:
        return f"A draft has {LONGEST_DRAFT:,} characters at most."
    return None


def save_draft(*, assignment: Assignment, draft: dict[str, object]) -> bool:
    """Keep what was typed so far, and the lease with it; False if the lease has ended."""
    until = lease_end(assignment.item.project, timezone.now())
    draft = {storable(key): _storable(value) for key, value in draft.items()}
    return bool(Assignment.objects.held().filter(pk=assignment.pk).update(draft=draft, lease_until=until))


def _storable(value: object) -> object:
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return storable(value) if isinstance(value, str) else value


@transaction.atomic
def skip(*, assignment: Assignment, reason: str = "") -> bool:
    """Give an item back under the project's skip policy; False if the lease had ended already."""
    reason = storable(reason)[:300]
    skipped = Assignment.objects.held().filter(pk=assignment.pk)
    if not skipped.update(state=State.SKIPPED, skip_reason=reason, ended_at=timezone.now()):
        return False
    item = assignment.item
    if assignment.review:  # the case goes to another reviewer
        Review.objects.filter(assignment=assignment).update(assignment=None)
        record("case passed on", item, project=item.project, actor=assignment.person, reason=reason)
        return True
    drop = item.project.skip_policy == SkipPolicy.DROP and item.purpose != Purpose.GOLD
    changes = {"dropped": True, "set_aside": False} if drop else {}
    Item.objects.filter(pk=item.pk).update(taken=F("taken") - 1, **changes)
    record("item skipped", item, project=item.project, actor=assignment.person, reason=reason, dropped=drop)
    return True


@transaction.atomic
def release(*, assignment: Assignment, leased_at: datetime | None = None) -> bool:
    """Give an item back at once, as when its page is closed; it may come to the same person again.

    With `leased_at`, only if it was not given to another page since: a page that is reloaded may say goodbye after
    its successor has come. What was typed keeps the item: it is not released, and waits for its person until the
    lease is over. False if nothing was released.
    """
    mine = Assignment.objects.held().filter(pk=assignment.pk, draft={})
    if leased_at is not None:
        mine = mine.filter(leased_at=leased_at)
    if not mine.update(state=State.EXPIRED, ended_at=timezone.now()):
        return False
    if assignment.review:
        Review.objects.filter(assignment=assignment).update(assignment=None)
    else:
        Item.objects.filter(pk=assignment.item_id).update(taken=F("taken") - 1)
    return True


RETURN_OVERDUE = """
WITH overdue AS (
    SELECT assignment.id FROM annotation_assignment assignment
    JOIN annotation_item item ON item.id = assignment.item_id
    WHERE assignment.state = 'leased' AND assignment.lease_until < %(now)s
      AND (%(project)s::bigint IS NULL OR item.project_id = %(project)s)
    FOR UPDATE OF assignment SKIP LOCKED
), expired AS (
    UPDATE annotation_assignment SET state = 'expired', ended_at = %(now)s
    FROM overdue WHERE annotation_assignment.id = overdue.id
    RETURNING annotation_assignment.id, annotation_assignment.item_id, annotation_assignment.review
), freed AS (
    SELECT item_id, count(*) AS places FROM expired WHERE NOT review GROUP BY item_id
), items AS (
    UPDATE annotation_item SET taken = taken - freed.places FROM freed WHERE annotation_item.id = freed.item_id
), cases AS (
    UPDATE annotation_review SET assignment_id = NULL FROM expired WHERE annotation_review.assignment_id = expired.id
)
SELECT count(*) FROM expired
"""


def return_overdue(*, project_id: int | None = None) -> int:
    """Take back leases whose time is over, of one project or of all; returns how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: two of these could free places of the same items in opposite order and deadlock.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('return_overdue'))")
        cursor.execute(RETURN_OVERDUE, {"now": timezone.now(), "project": project_id})
        return int(cursor.fetchone()[0])
