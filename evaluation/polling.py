"""A round asks people by itself whether its new model is better: a head to head with the one before, on held-out
prompts, mixed blind into the ordinary queue.

A round does not wait for people. It goes on, and once the new model has lost, or all is answered, its gate is written
down anew, what still waits is asked no more, and the leads are told (`settle`). One that wins is asked about to the
end: the rate at equal length has an interval that holds for one look alone.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse

from annotation import notices
from annotation.models import Label, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.people import Role
from evaluation import evidence, gate, head_to_head
from evaluation.evidence import FAILED
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
        _note(step, " ".join(standing.problems))
        return False
    if not (standing.is_over or _enough(current, standing)):
        _note(step, "")
        return False
    found = gate.verdict(current.challenger, champion=current.champion)
    step.detail |= {**gate.written(found), "settled": True}
    _note(step, "" if standing.people else "the comparison has ended, and nobody has compared the two")
    step.save(update_fields=["detail"])
    head_to_head.stop(match=match)
    said = "people have compared" if standing.people else "nobody has compared, before that ended,"
    words = f"{current}: {said} the new model with the one before. {found.words}"
    record("round judged", current, project=current.project, actor=None, outcome=found.outcome, words=found.words)
    leads = User.objects.filter(memberships__project=current.project, memberships__role=Role.LEAD)
    address = reverse("model", args=[current.project.slug, current.challenger.pk])
    notices.tell(people=leads, project=current.project, text=words, address=f"{address}#gate-title")
    return True


def _enough(current: Round, standing: head_to_head.Standing) -> bool:
    """Whether the new model has lost; where the gate asks for no wins, whether either is shown to be better."""
    least = gate.policy_of(current.project).min_win_rate
    if least is None:
        return standing.decided != 0
    return evidence.above(standing.interval, least, margin=evidence.SHARES).outcome == FAILED


def _note(step: RoundStep, why: str) -> None:
    """Write down why people are not asked, or that they are: runs that failed may be tried again."""
    if step.detail.get("not_asked", "") != why:
        step.detail.pop("not_asked", None)
        step.detail |= {"not_asked": why} if why else {}
        step.save(update_fields=["detail"])
