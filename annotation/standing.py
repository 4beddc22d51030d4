"""How a person stands: how often they were right on gold, how far they are in the quiz, why they are paused."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from annotation import parts
from annotation.models import Item, Label, Membership, Project, User
from annotation.models.items import Kind, Purpose
from annotation.models.people import Role


@dataclass(frozen=True)
class Score:
    """`right` of `answered` items whose right answer is known."""

    answered: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.answered if self.answered else None


@dataclass(frozen=True)
class Quiz:
    """Where a new annotator stands: `answered` of `length` questions, `right` of them so far."""

    length: int
    answered: int
    right: int

    @property
    def due(self) -> bool:
        return self.answered < self.length

    @property
    def number(self) -> int:
        """Of the question that comes next, counted from 1."""
        return self.answered + 1


def gold_answers(project: Project, *, retired: bool = False) -> QuerySet[Label]:
    """The answers to gold items that count: each person's last word, withdrawn or not; their first one where they
    are told afterwards what was right. Those to `retired` items are looked at, and held against nobody."""
    labels = Label.objects.filter(project=project, gold_correct__isnull=False, item__purpose=Purpose.GOLD)
    if not retired:
        labels = labels.filter(item__dropped=False)
    return labels.filter(**{"supersedes" if project.gold_feedback else "superseded_by": None})


def score_of(membership: Membership, *, quiz: bool = False) -> Score:
    """The person's answers to the project's gold, or to its quiz, since a lead last let them go on."""
    labels = gold_answers(membership.project).filter(person_id=membership.person_id, item__gold__quiz=quiz)
    if membership.gold_since:
        labels = labels.filter(created_at__gt=membership.gold_since)
    counts = labels.aggregate(answered=Count("id"), right=Count("id", filter=Q(gold_correct=True)))
    return Score(**counts)


def quiz_of(membership: Membership) -> Quiz | None:
    """The entry quiz of an annotator who has not passed it; None where there is none to take.

    It is shorter than the project wants if there are fewer questions that the person has not met before.
    """
    project = membership.project
    if not project.quiz_length or membership.quiz_passed_at or membership.role != Role.ANNOTATOR:
        return None
    score = score_of(membership, quiz=True)
    return Quiz(min(project.quiz_length, _questions(membership).count()), score.answered, score.right)


def quiz_kinds(membership: Membership) -> dict[str, int]:
    """How many questions of each kind the person has not answered."""
    answered = Label.objects.filter(person_id=membership.person_id, gold_correct__isnull=False).values("item")
    left = _questions(membership).exclude(pk__in=answered)
    return {kind: left.filter(kind=kind).count() for kind in Kind.values}


def _questions(membership: Membership) -> QuerySet[Item]:
    """The quiz of this person: its questions on their teams' part, less those of an attempt that is over."""
    items = Item.objects.filter(project=membership.project, purpose=Purpose.GOLD, gold__quiz=True, dropped=False)
    items = items.filter(parts.fitting(parts.of(membership)))
    if membership.gold_since is None:
        return items
    met = Label.objects.filter(person_id=membership.person_id, created_at__lte=membership.gold_since)
    return items.exclude(pk__in=met.filter(gold_correct__isnull=False).values("item"))


def why_nothing(membership: Membership) -> str:
    """Why a person who was given nothing was given nothing, in a sentence; empty if nothing waits for them."""
    if membership.paused_at:
        return why_paused(membership)
    quiz = quiz_of(membership)
    if quiz is not None and quiz.due:
        return f"The entry quiz goes on with the other kind: {quiz.answered} of {quiz.length} questions are answered."
    return ""


def why_paused(membership: Membership) -> str:
    because = f" {membership.paused_because}" if membership.paused_because else ""
    return f"You are paused in this project.{because} Your labels are kept. {whom_to_ask(membership.project)}"


def whom_to_ask(project: Project) -> str:
    names = [person.get_full_name() or person.username for person in leads(project).order_by("username")]
    return f"Ask {' or '.join(names)}, who can let you go on." if names else "A lead can let you go on."


def leads(project: Project) -> QuerySet[User]:
    return User.objects.filter(memberships__in=Membership.objects.leads().filter(project=project), is_active=True)
