"""A round asks people by itself whether its new model is better: a head to head with the one before, on held-out
prompts, mixed blind into the ordinary queue.

A round does not wait for people. It goes on, and once the new model has lost, or fails the gate in another way, or all
is answered, its gate is written down anew, what still waits is asked no more, and the leads are told (`settle`). One
that wins is asked about to the end: the rate at equal length has an interval that holds for one look alone.

The next round leaves a match alone until it has a model of its own to ask about: till then the one before is the best
candidate there is, and people may still find it better. Then that match ends, so that people rank for one model.
"""

import logging

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction
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

log = logging.getLogger(__name__)


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
    if match.ended_at is None:  # a lead may have started it before
        _end_earlier(current, match)
    return {"match": match.pk}


def _end_earlier(current: Round, new: HeadToHead) -> None:
    """People are asked about the newest model alone."""
    gates = RoundStep.objects.filter(name=Step.GATED, round__project=current.project, round__number__lt=current.number)
    known = gates.filter(detail__match__isnull=False).values_list("detail__match", flat=True)
    earlier = head_to_head.of_project(current.project).filter(pk__in=list(known), ended_at=None)
    for match in earlier.exclude(pk=new.pk):
        head_to_head.stop(match=match, because=f"{current} asks about its own model, {new.challenger}")


def _people_compare(current: Round) -> bool:
    said = Label.objects.live().filter(project=current.project, item__kind=Kind.COMPARISON, simulated=False)
    return said.exists()


def settle() -> int:
    """Conclude the head to heads of rounds that have said enough; returns how many. Safe at any time.

    One that breaks holds up no other: it is logged, its round says so, and all of them are raised together at the end,
    so that the queue knows of it.
    """
    waiting = RoundStep.objects.filter(name=Step.GATED, detail__match__isnull=False, detail__settled__isnull=True)
    settled, broken = 0, []
    for pk in waiting.order_by("pk").values_list("pk", flat=True):
        try:
            settled += _settle(pk)
        except (InterfaceError, OperationalError):
            raise
        except Exception as error:
            log.exception("The head to head of step %s of a round could not be looked at", pk)
            broken.append(error)
            _note(
                RoundStep.objects.get(pk=pk), f"what they said could not be looked at ({type(error).__name__}: {error})"
            )
    head_to_head.withdraw_returned()
    if broken:
        raise ExceptionGroup("head to heads of rounds could not be looked at", broken)
    return settled


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
    found = gate.verdict(current.challenger, champion=current.champion)
    enough = _enough(current, standing, found)
    if not enough:
        _note(step, "")
        return False
    head_to_head.stop(match=match, because=enough)
    match.refresh_from_db()
    step.detail |= {**gate.written(found), "settled": True, "ended": head_to_head.standing(match).end}
    unasked = standing.silence_words or "The comparison has ended, and nobody has compared the two."
    _note(step, "" if standing.people else f"{unasked[:1].lower()}{unasked[1:]}".rstrip("."))
    step.save(update_fields=["detail"])
    said = "people have compared" if standing.people else "nobody has compared, before that ended,"
    compared = f"{current}: {said} the new model with the one before."
    words = " ".join(filter(None, [compared, standing.silence_words, found.words]))
    record("round judged", current, project=current.project, actor=None, outcome=found.outcome, words=found.words)
    leads = User.objects.filter(memberships__project=current.project, memberships__role=Role.LEAD)
    address = reverse("model", args=[current.project.slug, current.challenger.pk])
    notices.tell(people=leads, project=current.project, text=words, address=f"{address}#gate-title")
    return True


def _enough(current: Round, standing: head_to_head.Standing, found: gate.Verdict) -> str:
    """Why nothing more need be asked; empty while the new model may still win. Where the gate asks for no wins, it is
    enough that either is shown to be better."""
    if standing.is_over:
        return "all is answered"
    others = [row.name for row in found.rows if row.outcome == FAILED and row.name not in (gate.WON, gate.WON_EVEN)]
    if others:
        return f"the new model fails the gate whatever people say ({', '.join(others)})"
    least = gate.policy_of(current.project).min_win_rate
    lost = least is not None and evidence.above(standing.interval, least, margin=evidence.SHARES).outcome == FAILED
    return "enough was said" if lost or (least is None and standing.decided) else ""


def _note(step: RoundStep, why: str) -> None:
    """Write down why people are not asked, or that they are: runs that failed may be tried again."""
    if step.detail.get("not_asked", "") != why:
        step.detail.pop("not_asked", None)
        step.detail |= {"not_asked": why} if why else {}
        step.save(update_fields=["detail"])
