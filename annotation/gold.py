"""Gold: items whose right answer is known, asked among the others to see how well people judge.

Whoever judges a gold item cannot tell it from another, and it never counts as data: its purpose keeps it out of
progress, agreement, exports and snapshots. Everybody may judge it, so that it wants as many labels as the column holds.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from annotation.models import Assignment, Consensus, Gold, Item, Label, Membership, Project, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose
from annotation.models.labels import Verdict
from annotation.models.people import Role
from annotation.pausing import pause
from annotation.standing import gold_answers, quiz_of, score_of
from annotation.statistics import percent

EVERYBODY = 32_767
BEFORE = "before_gold"  # in an item's selection: what it was
SET_ASIDE = "Its prompt or one of its answers is excluded: bring that back first."


@dataclass(frozen=True, kw_only=True)
class Right:
    """The right answer: to a demonstration any of `verdicts`, to a comparison `ranks` by response id, 1 is best."""

    verdicts: Sequence[str] = ()
    ranks: Mapping[int, int] = field(default_factory=dict)
    unacceptable: Collection[int] = ()


@transaction.atomic
def mark(*, item: Item, right: Right, explanation: str = "", quiz: bool = False, actor: User | None = None) -> Gold:
    """Make an item gold: what people said about it so far is data no more.

    Raises ValidationError if it is gold already, measures models, or the answer does not fit it.
    """
    item = Item.objects.select_for_update(no_key=True, of=["self"]).select_related("project").get(pk=item.pk)
    problems = problems_of(right, item)
    if item.purpose == Purpose.GOLD:
        problems = ["This item is gold already."]
    elif item.set_aside:
        problems = [SET_ASIDE]
    elif item.purpose == Purpose.HEAD_TO_HEAD:
        problems = ["This item compares two models head to head: it cannot be gold too."]
    if problems:
        raise ValidationError(problems)
    item.selection = {**item.selection, BEFORE: {"purpose": item.purpose, "wanted": item.wanted}}
    item.purpose, item.wanted, item.dropped = Purpose.GOLD, EVERYBODY, False
    item.save(update_fields=["selection", "purpose", "wanted", "dropped"])
    Consensus.objects.filter(item=item).delete()
    made = Gold.objects.create(item=item, explanation=explanation, quiz=quiz, author=actor, **_columns(right))
    record("gold made", item, project=item.project, actor=actor, quiz=quiz)
    return made


@transaction.atomic
def change(
    *,
    gold: Gold,
    right: Right | None = None,
    explanation: str | None = None,
    quiz: bool | None = None,
    actor: User | None = None,
) -> Gold:
    """Change what is given. Raises ValidationError for another right answer once somebody has answered: those
    answers were judged by the old one."""
    item = gold.item
    changes: dict[str, Any] = {}
    if right is not None and _columns(right) != _columns(right_answer(gold)):
        if problems := problems_of(right, item):
            raise ValidationError(problems)
        if answered := times_answered(gold):
            raise ValidationError(
                f"People were measured by it as it is (times: {answered}): retire this item and make another."
            )
        changes |= _columns(right)
    if explanation is not None and explanation != gold.explanation:
        changes["explanation"] = explanation
    if quiz is not None and quiz != gold.quiz:
        changes["quiz"] = quiz
    if changes:
        for name, value in changes.items():
            setattr(gold, name, value)
        gold.save(update_fields=list(changes))
        record("gold changed", item, project=item.project, actor=actor, fields=sorted(changes))
    return gold


@transaction.atomic
def retire(*, gold: Gold, actor: User | None = None, again: bool = False) -> None:
    """Ask it of nobody any more, or `again`. While it is retired nobody's answers to it are held against them.

    Raises ValidationError for gold that cannot be asked again, since its prompt or an answer is excluded."""
    item = Item.objects.filter(pk=gold.item_id)
    if again and item.filter(set_aside=True).exists():
        raise ValidationError(SET_ASIDE)
    asked = Q(dropped=True) if again else Q(dropped=False) | Q(set_aside=True)
    if item.filter(asked).update(dropped=not again, set_aside=False):
        record("gold used again" if again else "gold retired", gold.item, project=gold.item.project, actor=actor)


@transaction.atomic
def take_back(*, gold: Gold, actor: User | None = None) -> None:
    """Make it an item like the others again. Raises ValidationError once somebody has answered it as gold: those
    answers are no data."""
    item = Item.objects.select_for_update(no_key=True).get(pk=gold.item_id)
    if answered := times_answered(gold):
        raise ValidationError(f"It was answered as gold (times: {answered}), which never counts as data: retire it.")
    selection = dict(item.selection)
    before = selection.pop(BEFORE, {"purpose": Purpose.TRAIN, "wanted": item.project.labels_per_item})
    item.selection, item.purpose = selection, before["purpose"]
    item.wanted = max(before["wanted"], item.taken)
    item.save(update_fields=["selection", "purpose", "wanted"])
    record("gold taken back", item, project=item.project, actor=actor)
    gold.delete()


def times_answered(gold: Gold) -> int:
    return Label.objects.filter(item=gold.item_id, gold_correct__isnull=False).count()


def right_answer(gold: Gold) -> Right:
    return Right(
        verdicts=gold.verdicts,
        ranks={int(pk): rank for pk, rank in gold.ranks.items()},
        unacceptable=gold.unacceptable,
    )


def _columns(right: Right) -> dict[str, Any]:
    ranks = {str(pk): rank for pk, rank in sorted(right.ranks.items())}
    return {"verdicts": sorted(right.verdicts), "ranks": ranks, "unacceptable": sorted(right.unacceptable)}


def problems_of(right: Right, item: Item) -> list[str]:
    """Why this cannot be the right answer to the item, in sentences; empty if it can."""
    answers = set(item.answers.values_list("response_id", flat=True))
    if item.kind == Kind.DEMONSTRATION:
        if right.ranks or right.unacceptable:
            return ["A demonstration has verdicts, not ranks."]
        if not right.verdicts or not set(right.verdicts) <= set(Verdict.values):
            return ["Say which verdicts are right: accept, edit or reject."]
        if Verdict.ACCEPT in right.verdicts and not answers:
            return ["There is no answer to accept: people write one."]
        return []
    if right.verdicts:
        return ["A comparison has ranks, not verdicts."]
    if set(right.ranks) != answers or not all(1 <= rank <= len(answers) for rank in right.ranks.values()):
        return ["Give each answer a rank, from 1, the best, to the number of answers."]
    if not set(right.unacceptable) <= answers:
        return ["Only the item's own answers can be unacceptable."]
    if len(set(right.ranks.values())) == 1 and not right.unacceptable:
        return ["With all answers equal every judgement would be right: say which is better, or which is unacceptable."]
    return []


def is_right(gold: Gold, *, verdict: str, ranks: Mapping[int, int], unacceptable: Collection[int]) -> bool:
    """Whether a label says what is known to be right; ranks and marks by response id.

    >>> gold = Gold(ranks={"1": 1, "2": 2, "3": 2}, unacceptable=[3])
    >>> is_right(gold, verdict="", ranks={1: 1, 2: 2, 3: 3}, unacceptable=[3])
    True
    >>> is_right(gold, verdict="", ranks={1: 1, 2: 1, 3: 3}, unacceptable=[3])
    False
    """
    if gold.verdicts:
        return verdict in gold.verdicts
    right = right_answer(gold)
    if not set(right.unacceptable) <= set(unacceptable):
        return False
    return all(
        (ranks[a] < ranks[b]) == (right.ranks[a] < right.ranks[b]) and ranks[a] != ranks[b]
        for a, b in combinations(right.ranks, 2)
        if right.ranks[a] != right.ranks[b]
    )


def weigh(*, label: Label, membership: Membership) -> None:
    """What follows from an annotator's answer to gold: the quiz is passed, or they are paused. Call it inside the
    transaction that stores the label, with the membership locked."""
    project = membership.project
    if membership.role != Role.ANNOTATOR or membership.paused_at:
        return
    if label.item.gold.quiz:
        quiz = quiz_of(membership)
        if quiz is None or quiz.due:
            return
        if quiz.right < project.quiz_threshold * quiz.length:
            said = f"{quiz.right} of {quiz.length} answers in the quiz were as expected"
            pause(membership=membership, because=f"{said}; the project asks for {percent(project.quiz_threshold)}.")
            return
        membership.quiz_passed_at = timezone.now()
        membership.save(update_fields=["quiz_passed_at"])
        record("quiz passed", membership, project=project, actor=None, right=quiz.right, length=quiz.length)
    elif project.gold_threshold > 0:
        score = score_of(membership)
        if score.answered >= project.gold_minimum and score.right < project.gold_threshold * score.answered:
            said = f"{score.right} of {score.answered} answers to items whose right answer is known were as expected"
            pause(membership=membership, because=f"{said}; the project asks for {percent(project.gold_threshold)}.")


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What a person is told after a gold item."""

    label: int
    about: str
    correct: bool
    explanation: str


def feedback(label: Label) -> Feedback | None:
    """None unless the label answers gold in a project that tells people afterwards."""
    if label.gold_correct is None or not label.item.project.gold_feedback:
        return None
    known = getattr(label.item, "gold", None)
    why = known.explanation if known else ""
    return Feedback(label=label.pk, about=label.item.prompt.last_turn, correct=label.gold_correct, explanation=why)


def feedback_of(person: User, label: str) -> Feedback | None:
    """The feedback on one of the person's own labels, by its id as it stands in an address."""
    if not (label.isascii() and label.isdigit() and len(label) < 19):
        return None
    found = (
        Label.objects.select_related("item__project", "item__prompt", "item__gold")
        .filter(pk=int(label), person=person)
        .first()
    )
    return feedback(found) if found else None


def candidates(project: Project, q: str = "", kind: str = "") -> QuerySet[Any]:
    """Items that could be made gold, each with how many `people` labelled it."""
    live = Q(labels__retracted_at__isnull=True, labels__superseded_by__isnull=True, labels__isnull=False)
    items = Item.objects.work().filter(project=project).exclude(purpose=Purpose.HEAD_TO_HEAD)
    if kind:
        items = items.filter(kind=kind)
    if q:
        items = items.filter(prompt__messages__icontains=q)
    return items.annotate(people=Count("labels", filter=live)).select_related("prompt")


def with_scores(project: Project) -> list[Gold]:
    """The project's gold, each with how many people `answered` it and were `right`; what is doubtful first.

    A bad gold item shows by the `good` people who fail it: those who answered three others or more, and were right on
    three of four of them. Where half of them or more fail it, and two at least, it is `doubtful`.
    """
    rows = list(Gold.objects.filter(item__project=project).select_related("item__prompt").order_by("-id"))
    said = gold_answers(project, retired=True).values_list("item", "person", "gold_correct")
    by_person: dict[int, list[bool]] = defaultdict(list)
    by_item: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for item, person, correct in said:
        by_person[person].append(bool(correct))
        by_item[item].append((person, bool(correct)))
    for gold in rows:
        answers = by_item[gold.item_id]
        good = [correct for person, correct in answers if _is_good(by_person[person], correct)]
        failed = good.count(False)
        gold.answered, gold.right = len(answers), sum(correct for _, correct in answers)  # type: ignore[attr-defined]
        gold.good, gold.good_failed = len(good), failed  # type: ignore[attr-defined]
        gold.doubtful = failed >= 2 and 2 * failed >= len(good)  # type: ignore[attr-defined]
    return sorted(rows, key=lambda gold: not gold.doubtful)  # type: ignore[attr-defined]


def _is_good(answers: list[bool], this_one: bool) -> bool:
    others, right = len(answers) - 1, sum(answers) - this_one
    return others >= 3 and 4 * right >= 3 * others


def set_rules(*, project: Project, actor: User | None = None, **rules: Any) -> None:
    """Change the project's rules for gold. Who has labelled before a quiz is asked for is not new any more."""
    with transaction.atomic():
        before = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        changed = sorted(name for name, value in rules.items() if getattr(before, name) != value)
        if not changed:
            return
        for name in changed:
            setattr(project, name, rules[name])
        project.save(update_fields=changed)
        if "quiz_length" in changed and not before.quiz_length:
            known = Assignment.objects.filter(item__project=project, state="submitted").values("person")
            new = Membership.objects.filter(project=project, person__in=known, quiz_passed_at__isnull=True)
            new.update(quiz_passed_at=timezone.now())
        record("gold rules changed", project, project=project, actor=actor, **{name: rules[name] for name in changed})
