"""Saying something about an item: submitting, revising and withdrawing labels."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.db.models import F, Q
from django.db.transaction import atomic
from django.utils import timezone
from psycopg.errors import UniqueViolation

from annotation import at_hand, gold, label_rows, leasing, ranking, reviewing
from annotation.asking import add_response
from annotation.guidelines import seen_by
from annotation.mending import changed, differences, mended_prompt, problem_of
from annotation.models import Assignment, Gold, Item, Label, Membership, Response, Review
from annotation.models.events import record
from annotation.models.items import Kind, Purpose, State
from annotation.models.labels import Verdict
from annotation.models.prompts import Origin
from annotation.prepared import through_migrations
from annotation.text import why_unstorable


class LeaseLost(Exception):
    """The lease ended and the item went to somebody else, so that there is no room for this label."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person says, in the terms of the page they see.

    `ranks` and `unacceptable` run over the answers as shown, left first; rank 1 is best and equal ranks are
    ties. `strength` says how much better the one best answer is than the next: 1 (weakest) to the number of the
    project's levels, None for a tie. `criteria` names for each criterion that was judged the place of the answer that
    is better in it, None for no difference. `text` is an edit: of the draft, or of the one best answer. `turns` are
    new words of earlier turns of the assistant, by their place in the conversation; they go with an edit of the draft.
    """

    client_uuid: uuid.UUID = field(default_factory=uuid.uuid4)
    verdict: str = ""
    text: str = ""
    turns: Mapping[int, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    ranks: Sequence[int] = ()
    unacceptable: Sequence[bool] = ()
    strength: int | None = None
    criteria: Mapping[str, int | None] = field(default_factory=dict)
    comment: str = ""
    seconds: float | None = None


@contextmanager
def _as_one() -> Iterator[None]:
    """All of it or nothing; also as a decorator. Raises ValidationError where the database knows a label that came
    at the same moment."""
    try:
        with atomic():
            yield
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        raise ValidationError("Another label of yours arrived first; reload the page.") from error


@through_migrations
def submit(*, assignment: Assignment, said: Said, member: Membership | None = None) -> Label:
    """Store a label, once: sent again with the same UUID it is the same label, and is returned as `resent`. `member`
    comes with an assignment that was read a moment ago with all there is to know about it (annotation/at_hand.py).

    Raises ValidationError if it does not fit the item, LeaseLost if the item has no place left for it, and
    Membership.DoesNotExist if the person has left the project, in this very moment perhaps.
    """
    if member is None and (found := at_hand.read(assignment.pk)) is not None:
        assignment, member = found
    label = _say_plainly(assignment, member, said) if member is not None else None
    return label or _say(assignment=assignment, said=said)


def _say_plainly(assignment: Assignment, member: Membership, said: Said) -> Label | None:
    """Store a label as nearly all are: on a lease that runs, for the first time, of an item that is data, with no text
    to keep. What makes it so is in the one statement that stores it; None if any of it is missing."""
    item = assignment.item
    written = said.verdict == Verdict.EDIT or bool(said.text.strip())
    if assignment.review or written or item.purpose == Purpose.GOLD or getattr(item, "gold", None) is not None:
        return None
    if problems_of(said, item, assignment.shown()):
        return None
    label = _label(assignment, member, said, supersedes=None)
    may_be_case = reviewing.may_be_case(item)
    try:
        with atomic() if may_be_case or connection.in_atomic_block else nullcontext():  # one statement is one anyway
            if not label_rows.store_first(label, said, assignment.shown(), lock=may_be_case):
                return None
            if may_be_case:
                reviewing.reconsider(item, locked=True)
            return label
    except IntegrityError as error:  # while it waited, what it looked for came, and was taken back
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        return None


@_as_one()
def _say(*, assignment: Assignment, said: Said) -> Label:
    """Store a label step by step, whatever is special about it, one request of a person at a time."""
    assignment, member = _locked(assignment)
    there = list(Label.objects.filter(Q(client_uuid=said.client_uuid) | Q(assignment=assignment)))
    for known in there:
        if known.client_uuid == said.client_uuid:
            if known.assignment_id != assignment.pk:
                raise ValidationError("This UUID belongs to another label.")
            known.resent = True
            return known
    if assignment.state == State.SUBMITTED:
        raise ValidationError("You have judged this item already.")
    if assignment.review:
        if not reviewing.hold(assignment):
            raise LeaseLost("This case is closed, or another reviewer has it now.")
    elif assignment.state != State.LEASED:
        _take_back(assignment)
    replaced = {one.supersedes_id for one in there}
    withdrawn = next((one for one in there if one.pk not in replaced), None)
    label = _store(assignment, member, said, supersedes=withdrawn)
    assignment.state = State.SUBMITTED
    assignment.ended_at = timezone.now()
    assignment.draft = {}
    assignment.save(update_fields=["state", "ended_at", "draft"])
    if label.decision:
        reviewing.settle(label)
    else:
        reviewing.reconsider(assignment.item)
    return label


@through_migrations
@_as_one()
def revise(*, label: Label, said: Said) -> Label:
    """Replace one's own label by a new one; the old one stays on record.

    Raises ValidationError if the label is no longer the live one or the new one does not fit the item.
    """
    assignment, member = _locked(label.assignment)
    known = Label.objects.filter(client_uuid=said.client_uuid).first()
    if known is not None and known.supersedes_id == label.pk:
        return known
    if not Label.objects.live().filter(pk=label.pk).exists():
        raise ValidationError("This label was revised or withdrawn already.")
    revised = _store(assignment, member, said, supersedes=label)
    if revised.decision:
        Review.objects.filter(decision=label).update(decision=revised)
    else:
        reviewing.reconsider(assignment.item)
    return revised


@through_migrations
@atomic
def undo(*, assignment: Assignment) -> Assignment:
    """Take back one's own last word on an item and hold the item again, with what was said as its draft.

    The label stays on record as withdrawn. Raises ValidationError if there is nothing to take back, or if the
    person has been told the right answer since.
    """
    assignment, _ = _locked(assignment)
    label = Label.objects.live().filter(assignment=assignment).prefetch_related("judgements").first()
    if assignment.state != State.SUBMITTED or label is None or label.decision:
        raise ValidationError("There is no label of yours to take back here.")
    if assignment.item.purpose == Purpose.GOLD and assignment.item.project.gold_feedback:
        raise ValidationError("You have been told the answer to this one, so what you said stands.")
    now = timezone.now()
    Label.objects.filter(pk=label.pk).update(retracted_at=now)
    assignment.state = State.LEASED
    assignment.leased_at = now
    assignment.lease_until = leasing.lease_end(assignment.item.project, now)
    assignment.ended_at = None
    assignment.draft = fields_of(label)
    assignment.save(update_fields=["state", "leased_at", "lease_until", "ended_at", "draft"])
    record("label undone", label, project=assignment.item.project, actor=assignment.person)
    reviewing.reconsider(assignment.item)
    return assignment


def fields_of(label: Label) -> dict[str, object]:
    """What a label says, as the fields of the page it was said on: to be filled in again."""
    fields: dict[str, object] = {"comment": label.comment}
    if label.flags:
        fields["flags"] = label.flags
    if label.verdict:
        fields |= {"verdict": label.verdict}
        if label.verdict == Verdict.EDIT and label.response:
            kept = label.response
            turns = differences(label.item.prompt.messages, kept.prompt.messages)
            fields |= {"text": kept.text, **{f"turn_{place}": words for place, words in turns.items()}}
        return fields
    return fields | ranking.fields_of(label)


@atomic
def retract(*, label: Label, actor: Membership) -> None:
    """Withdraw a label: it stays on record, counts for nothing, and its item asks for another."""
    assignment = (
        Assignment.objects.select_for_update(of=["self"]).select_related("item__project").get(pk=label.assignment_id)
    )
    now = timezone.now()
    if not Label.objects.live().filter(pk=label.pk).update(retracted_at=now):
        raise ValidationError("This label was revised or withdrawn already.")
    assignment.state = State.RETRACTED
    assignment.save(update_fields=["state"])
    record("label retracted", label, project=actor.project, actor=actor.person)
    if label.decision:
        reviewing.reopen(label, actor.person)
    else:
        Item.objects.filter(pk=label.item_id).update(taken=F("taken") - 1)
        reviewing.reconsider(assignment.item)


def _locked(assignment: Assignment) -> tuple[Assignment, Membership]:
    """The assignment and its person's membership, one request at a time; raises DoesNotExist if either is gone."""
    # The membership first, as in `leasing.next_assignment`, which may be leasing this very item to the person again.
    leasing.lock_member(person_id=assignment.person_id, project_id=assignment.item.project_id)
    found = at_hand.read(assignment.pk, lock=True)
    if found is None or found[1] is None:
        raise Assignment.DoesNotExist(f"Assignment {assignment.pk} is gone.")
    locked, member = found[0], found[1]
    member.person = locked.person = assignment.person
    return locked, member


def _take_back(assignment: Assignment) -> None:
    """The lease ended before the label came; the label is still welcome if the item has room for it."""
    room = Item.objects.open().filter(pk=assignment.item_id).update(taken=F("taken") + 1)
    if not room:
        raise LeaseLost("This item went to somebody else when its lease ended.")


def _store(assignment: Assignment, member: Membership, said: Said, *, supersedes: Label | None) -> Label:
    shown = assignment.shown()
    if problems := problems_of(said, assignment.item, shown):
        raise ValidationError(problems)
    label = _label(assignment, member, said, supersedes=supersedes)
    label_rows.store(label, said, shown)
    if label.gold_correct is not None:
        gold.weigh(label=label, membership=member)
    return label


def _label(assignment: Assignment, member: Membership, said: Said, *, supersedes: Label | None) -> Label:
    """What was said as a label, not stored yet; new texts in it are."""
    item, shown = assignment.item, assignment.shown()
    return Label(
        project_id=item.project_id,
        item=item,
        assignment=assignment,
        person=assignment.person,
        client_uuid=said.client_uuid,
        verdict=said.verdict,
        response=_kept_text(item, shown, said) if item.kind == Kind.DEMONSTRATION else ranking.edit(item, shown, said),
        flags=list(dict.fromkeys(said.flags)),
        strength=said.strength if ranking.best(said.ranks) is not None else None,
        criteria=ranking.by_response(said.criteria, shown),
        comment=said.comment,
        seconds=said.seconds,
        simulated=member.simulated,
        guidelines=seen_by(member),
        decision=assignment.review,
        gold_correct=_gold_correct(item, shown, said, before=supersedes),
        supersedes=supersedes,
        created_at=timezone.now(),
    )


def _gold_correct(item: Item, shown: Sequence[Response], said: Said, *, before: Label | None) -> bool | None:
    """Whether the label says what is known to be right; None where nothing is. Whoever was told what is right would
    only repeat it: there the first word stands."""
    if before is not None and before.gold_correct is not None and item.project.gold_feedback:
        return before.gold_correct
    return correctness(getattr(item, "gold", None), shown, said)


def correctness(known: Gold | None, shown: Sequence[Response], said: Said) -> bool | None:
    """Whether what was said is right by an item's gold; None where it has none."""
    if known is None:
        return None
    bad = [response.pk for response, marked in zip(shown, said.unacceptable, strict=False) if marked]
    ranks = {response.pk: rank for response, rank in zip(shown, said.ranks, strict=False)}
    return gold.is_right(known, verdict=said.verdict, ranks=ranks, unacceptable=bad)


def problems_of(said: Said, item: Item, shown: Sequence[Response]) -> list[str]:
    """Why a label does not fit its item, in sentences for the person; empty if it does."""
    if said.seconds is not None and not 0 <= said.seconds < 1e7:
        return ["The time spent is a number of seconds, and not negative."]
    if reason := why_unstorable([said.text, *said.turns.values(), said.comment, said.flags, said.criteria]):
        return [f"What you wrote {reason}."]
    if unknown := sorted(set(said.criteria) - set(item.project.criteria)):
        return [f"This project has no criterion called {', '.join(unknown)}."]
    if unknown := sorted(set(said.flags) - set(item.project.flags)):
        return [f"This project has no flag called {', '.join(unknown)}."]
    if said.turns and item.kind != Kind.DEMONSTRATION:
        return ["In a comparison the conversation stays as it is."]
    if item.kind == Kind.DEMONSTRATION:
        if said.ranks or said.verdict not in Verdict.values:
            return ["Choose accept, edit or reject."]
        if said.verdict == Verdict.EDIT and not said.text.strip():
            return ["The edited answer is empty: write one, or reject the item."]
        if said.verdict == Verdict.ACCEPT and not shown:
            return ["There is no answer to accept yet: write one."]
        if said.criteria:
            return ["Criteria are for comparing answers."]
        if said.verdict == Verdict.EDIT and (problem := problem_of(item.prompt.messages, said.turns)):
            return [problem]
        return []
    return ranking.problems_of(said, item.project, shown)


def _kept_text(item: Item, shown: Sequence[Response], said: Said) -> Response | None:
    """The answer a demonstration label stands for: accepted, edited or newly written; None if rejected.

    Where earlier turns were mended it answers the conversation that came of it.
    """
    original = shown[0] if shown else None
    if said.verdict == Verdict.REJECT:
        return None
    if said.verdict == Verdict.ACCEPT:
        return original
    text = said.text.strip()
    turns = changed(item.prompt.messages, said.turns)
    if original is not None and text == original.text.strip() and not turns:
        raise ValidationError("Nothing was changed: accept the answer, or edit it.")
    prompt = mended_prompt(prompt=item.prompt, turns=turns)
    origin = Origin.EDIT if original else Origin.HUMAN
    response, _ = add_response(prompt=prompt, text=text, origin=origin, edited_from=original)
    return response
