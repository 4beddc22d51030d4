"""A round asks people by itself whether its new model is better: a head to head with the one before, on held-out
prompts, mixed blind into the ordinary queue.

A round does not wait for people. It goes on, and once they have said enough, its gate is written down anew, what still
waits is asked no more, and the leads are told (`settle`).
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse

from annotation import notices
from annotation.models import Label, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.people import Role
from evaluation import gate, head_to_head
from evaluation.evidence import FAILED, UNDECIDED
from evaluation.models import HeadToHead, Round, RoundStep, Step
from evaluation.policy import RoundSettings


def ask_people(current: Round, settings: RoundSettings, found: gate.Verdict) -> dict[str, object]:
    """Start the head to head that the project's gate asks for; what is to be kept of it, or why there is none.

    Nobody is asked about a model that has failed already, or where no person compares answers. Safe to call again.
    """
    challenger, champion = current.challenger, current.champion
    assert challenger is not None
    assert champion is not None
    wanted = gate.policy_of(current.project).blind_prompts
    if not wanted or not _people_compare(current):
        return {}
    if found.outcome == FAILED:
        return {"not_asked": "it has failed already, so people are not asked to compare it"}
    match = HeadToHead.objects.filter(challenger=challenger, champion=champion).first()
    if match is None:
        answering = {name: value for name, value in settings.generate.items() if name != "samples_per_prompt"}
        try:
            match = head_to_head.start(
                challenger=challenger,
                champion=champion,
                prompts=wanted,
                settings=answering,
                seed=settings.seed,
                actor=current.started_by,
            )
        except ValidationError as error:
            return {"not_asked": " ".join(error.messages)}
    return {"match": match.pk}


def _people_compare(current: Round) -> bool:
    said = Label.objects.live().filter(project=current.project, item__kind=Kind.COMPARISON, simulated=False)
    return said.exists()


def settle() -> int:
    """Conclude the head to heads of rounds that have said enough; returns how many. Safe at any time."""
    waiting = RoundStep.objects.filter(name=Step.GATED, detail__match__isnull=False, detail__settled__isnull=True)
    return sum(_settle(pk) for pk in waiting.values_list("pk", flat=True))


@transaction.atomic
def _settle(pk: int) -> bool:
    rows = RoundStep.objects.select_for_update(of=["self"], skip_locked=True).select_related("round__project")
    step = rows.filter(pk=pk, detail__settled__isnull=True).first()
    if step is None:
        return False
    current, match = step.round, HeadToHead.objects.get(pk=step.detail["match"])
    assert current.challenger is not None
    standing = head_to_head.standing(match)
    if match.identical is None and match.ended_at is None:
        return False
    found = gate.verdict(current.challenger, champion=current.champion)
    asked = gate.of_people(found)
    enough = all(row.outcome != UNDECIDED for row in asked) if asked else standing.decided != 0
    if not (enough or standing.is_over):
        return False
    step.detail |= {**gate.written(found), "settled": True}
    step.save(update_fields=["detail"])
    head_to_head.stop(match=match)
    words = f"{current}: people have compared the new model with the one before. {found.words}"
    record("round judged", current, project=current.project, actor=None, outcome=found.outcome, words=found.words)
    leads = User.objects.filter(memberships__project=current.project, memberships__role=Role.LEAD)
    address = reverse("model", args=[current.project.slug, current.challenger.pk])
    notices.tell(people=leads, project=current.project, text=words, address=f"{address}#gate-title")
    return True
