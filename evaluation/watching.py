"""Following a round from a terminal until it ends."""

import time
from collections.abc import Callable

from evaluation import report
from evaluation.models import Round, RoundStatus, Step, StepRun
from training import watching
from training.models.runs import OPEN


def follow(current: Round, say: Callable[[str], object]) -> Round:
    """Tell how a round goes, whenever something has changed, until it has ended; returns the fresh row."""
    told = ""
    while True:
        current.refresh_from_db()
        if current.status != RoundStatus.ACTIVE:
            return current
        now = progress(current)
        if now != told:
            told = now
            say(now)
        else:
            time.sleep(watching.PAUSE)


def progress(current: Round) -> str:
    """Where a round is, in a line, with the runs that its step waits for."""
    if current.status != RoundStatus.ACTIVE:
        return outcome(current)
    said = f"{current}, {current.get_step_display().lower()}"
    step = current.steps.filter(name=current.step).first()
    if current.step == Step.COLLECTING and step is not None and "wanted" in step.detail:
        said += f": {step.detail.get('preferences', 0)} of {step.detail['wanted']} preferences"
    waits_for = StepRun.objects.filter(step__round=current, run__status__in=OPEN).select_related("run").order_by("id")
    runs = " ".join(watching.progress(one.run) for one in waits_for)
    return f"{said}. {runs}".rstrip()


def outcome(current: Round) -> str:
    """How a round that has ended went, in sentences."""
    if current.status == RoundStatus.DONE:
        return " ".join([f"{current} is done.", *report.sentences(current)])
    if current.status == RoundStatus.CANCELLED:
        return f"{current} was cancelled."
    return f"{current} failed: {current.error}"
