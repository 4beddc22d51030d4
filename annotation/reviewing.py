"""Cases for the reviewers: items on which people disagree, that somebody flagged, or that a lead wants looked at.

A case is opened in the transaction that gives the reason for it, and claimed like an item: under SKIP LOCKED, by an
assignment with a lease (`Assignment.review`). A reviewer sees what people said without their names, and decides by a
label, which settles the item. Nobody is given a case on an item that they were given to label or have decided before.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from itertools import combinations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from annotation import label_rows, parts
from annotation.leasing import return_overdue
from annotation.models import Assignment, Comment, Item, Label, Membership, Review, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose, State
from annotation.models.labels import Verdict
from annotation.models.people import Role
from annotation.models.quality import ReviewQuerySet
from annotation.notices import tell
from annotation.prepared import ask
from annotation.text import sha256

ALIKE = 0.8  # two edits with this share of their words in common are taken for the same repair
Reason = Review.Reason
OPEN = """
INSERT INTO annotation_review (item_id, reason, opened_at) VALUES (%(item)s, %(reason)s, %(now)s)
ON CONFLICT (item_id) WHERE closed_at IS NULL DO NOTHING RETURNING id
"""


# When there is a case


def open_case(*, item: Item, reason: str, actor: User | None = None) -> Review:
    """The item's open case, which is made if there is none. Gold never becomes data, and has none."""
    if item.purpose == Purpose.GOLD:
        raise ValidationError("The right answer to a gold item is known: there is nothing to review.")
    if item.dropped:
        raise ValidationError("This item was dropped: there is nothing to review.")
    _open(item, reason, actor)
    return Review.objects.open().get(item=item)


def _open(item: Item, reason: str, actor: User | None = None) -> None:
    if ask(OPEN, {"item": item.pk, "reason": reason, "now": timezone.now()}):
        record("case opened", item, project=item.project, actor=actor, reason=reason)


def close_unclaimed(*, item: Item, reasons: Sequence[str] = Reason.values) -> bool:
    """End an item's case that is needed no more, unless a reviewer is at it; whether there was one."""
    cases = Review.objects.open().filter(item=item, assignment=None, reason__in=reasons)
    return bool(cases.update(closed_at=timezone.now()))


def reconsider(item: Item, *, locked: bool = False) -> None:
    """After a label came, changed or went: open a case if all that were wanted are there and disagree.

    If they agree now, a case about their disagreement ends, unless a reviewer is at it. `locked`: the item is, by the
    statement that stored the label.
    """
    if not may_be_case(item):
        return
    if not locked:  # one at a time, so that of two last labels at the same moment the second to come sees the first
        label_rows.lock(item.pk)
    said, has_case = label_rows.said_of(item.pk)
    votes = [label for label in said if not label.decision]
    if len(votes) < item.wanted or not disagree(item.kind, votes):
        if has_case:
            close_unclaimed(item=item, reasons=[Reason.DISAGREEMENT])
    elif not has_case and not item.dropped and len(votes) == len(said):
        _open(item, Reason.DISAGREEMENT)


def may_be_case(item: Item) -> bool:
    """Whether people could disagree on it, and reviewers would be asked."""
    return item.wanted > 1 and item.purpose != Purpose.GOLD and item.project.review_disagreement


def disagree(kind: str, labels: Sequence[Label]) -> bool:
    """Whether any two say something else.

    Comparisons: another answer is best, or others share the first place, or one finds all unacceptable and another
    does not. Demonstrations: the verdicts differ, or two edits have less than four fifths of their words in common.
    """
    if kind == Kind.COMPARISON:
        return len({_best(label) for label in labels}) > 1
    if len({label.verdict for label in labels}) > 1:
        return True
    if labels[0].verdict != Verdict.EDIT:
        return False
    texts = {label.response.text for label in labels if label.response}
    pairs = combinations([text.split() for text in texts], 2)
    return any(SequenceMatcher(None, one, other, autojunk=False).quick_ratio() < ALIKE for one, other in pairs)


def _best(label: Label) -> tuple[bool, frozenset[int]]:
    judged = list(label.judgements.all())
    first = frozenset(one.response_id for one in judged if one.rank == 1)
    return all(one.unacceptable for one in judged), first


# Who decides it


def cases_for(member: Membership) -> ReviewQuerySet:
    """The open cases a reviewer could be given, or has already: of their teams' part, as items are."""
    theirs = Assignment.objects.filter(item=OuterRef("item"), person_id=member.person_id)
    barred = theirs.exclude(review=True, state__in=[State.EXPIRED, State.LEASED])
    free = Q(assignment=None) | Q(assignment__person_id=member.person_id)
    cases = Review.objects.open().filter(free, ~Exists(barred), item__project_id=member.project_id)
    if own := parts.of(member):
        cases = cases.filter(item__in=Item.objects.filter(parts.fitting(own)))
    return cases.filter(item__dropped=False)


@transaction.atomic
def next_case(*, membership: Membership) -> Review | None:
    """The reviewer's next case, leased to them as an item is; None if there is none for them.

    One that they have already comes first, and is renewed; cases whose reviewer went away come back.
    """
    # One request of a person at a time, as in `leasing.next_assignment`.
    Membership.objects.select_for_update(no_key=True).get(pk=membership.pk)
    project, person = membership.project, membership.person
    if project.archived or not membership.at_least(Role.REVIEWER):
        return None
    now = timezone.now()
    until = now + timedelta(minutes=project.lease_minutes)
    cases = cases_for(membership).select_related("item__prompt", "item__project").order_by("id")
    case = cases.filter(assignment__person=person, assignment__state=State.LEASED).first()
    if case is not None and case.assignment is not None:
        mine = Assignment.objects.held().filter(pk=case.assignment.pk)
        if mine.update(leased_at=now, lease_until=until):
            case.assignment.leased_at, case.assignment.lease_until = now, until
            return case
    free = cases.filter(assignment=None).select_for_update(of=["self"], skip_locked=True, no_key=True)
    case = free.first()
    if case is None and return_overdue(project_id=project.pk):
        case = free.all().first()
    if case is None:
        return None
    order = list(case.item.answers.values_list("response_id", flat=True))
    random.SystemRandom().shuffle(order)
    lease = {"state": State.LEASED, "leased_at": now, "lease_until": until, "ended_at": None, "review": True}
    case.assignment, _ = Assignment.objects.update_or_create(
        item=case.item, person=person, defaults=lease, create_defaults={**lease, "order": order}
    )
    case.save(update_fields=["assignment"])
    return case


def case_of(assignment: Assignment) -> Review | None:
    """The open case that a reviewer has by this assignment."""
    cases = Review.objects.open().select_related("item__prompt", "item__project", "assignment")
    return cases.filter(assignment=assignment).first()


def hold(assignment: Assignment) -> bool:
    """Whether the reviewer may still decide the case: it is theirs, or came back and nobody has it."""
    free = Q(assignment=None) | Q(assignment=assignment)
    return bool(Review.objects.open().filter(free, item=assignment.item_id).update(assignment=assignment))


def settle(decision: Label) -> None:
    """The case is decided: it is closed, and with it the flags on its item; those who raised them are told."""
    now = timezone.now()
    Review.objects.open().filter(assignment=decision.assignment_id).update(
        closed_at=now, decision=decision, assignment=None
    )
    flags = Comment.objects.open_flags().filter(item=decision.item_id).select_related("author")
    for flag in flags.exclude(author=decision.person_id):
        tell(
            people=[flag.author],
            project=decision.project,
            text="A reviewer has decided the item that you flagged.",
            address=flag.get_absolute_url(),
        )
    flags.update(settled_at=now, settled_by=decision.person_id)
    record("case decided", decision.item, project=decision.project, actor=decision.person, label=decision.pk)


def reopen(decision: Label, actor: User) -> None:
    """A decision was withdrawn: the item needs another, unless it has one."""
    if not Label.objects.live().filter(item=decision.item_id, decision=True).exists() and not decision.item.dropped:
        case = Review.objects.filter(decision=decision).first()
        open_case(item=decision.item, reason=case.reason if case else Reason.ASKED, actor=actor)


# What a reviewer sees


@dataclass(frozen=True)
class Voice:
    """What one person said about the item of a case, under a number."""

    name: str
    label: Label


def voices(case: Review) -> list[Voice]:
    """The labels on the item, without names: in an order that tells nothing, and that is the same each time."""
    labels = Label.objects.votes().filter(item=case.item_id).select_related("response", "project")
    mixed = sorted(labels.prefetch_related("judgements"), key=lambda label: sha256(f"{case.pk}:{label.pk}"))
    return [Voice(str(place), label) for place, label in enumerate(mixed, start=1)]
