"""What happened to a job, told from what is on record: its row, its run's, the log of events, the figures of steps."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from annotation.models import Event
from training.jobs import figures, model_of
from training.models import Run, TuningJob
from training.models.runs import Status

ON_RECORD = {  # verbs of a run's events, in words
    "run requeued": "The worker was lost; the run waits to go on from its last checkpoint.",
    "run eased": "Memory ran out; it goes on with half the batch.",
}


@dataclass(frozen=True)
class Told:
    """One event; `order` is its place among those of the same moment."""

    at: datetime
    order: int
    key: str
    message: str
    level: str = "info"
    type: str = "message"
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[datetime, int]:
        return self.at, self.order


def page(job: TuningJob, *, after: str | None, limit: int) -> tuple[list[Told], bool] | None:
    """So many events, newest first, those after (older than) the one named; and whether there are more. None if there
    is no such event."""
    milestones = sorted(_milestones(job), key=lambda one: one.place, reverse=True)
    beyond: tuple[datetime, int] | None = None
    if after is not None:
        named = next((one for one in milestones if one.key == after), None) or _step_named(job, after)
        if named is None:
            return None
        beyond = named.place
    found = [one for one in milestones if beyond is None or one.place < beyond]
    found += _steps(job, beyond, limit + 1)
    found.sort(key=lambda one: one.place, reverse=True)
    return found[:limit], len(found) > limit


def _milestones(job: TuningJob) -> Iterator[Told]:
    """Few, whatever the length of the run. Steps come after the start and before the end of theirs."""

    def told(at: datetime, order: int, name: str, message: str, **more: Any) -> Told:
        return Told(at, order, f"ftevent-{job.key.removeprefix('ftjob-')}-{name}", message, **more)

    yield told(job.created_at, 0, "created", f"Created fine-tuning job: {job.key}")
    if job.checked_at is not None:
        for number, (param, counts) in enumerate(job.report.items()):
            said = f"{param}: lines {counts['lines']}, examples {counts['examples']}."
            if counts["held_out"]:
                said += f" {counts['held_out']} lines were left out: their prompts are held out for evaluation."
            level = "warn" if counts["held_out"] else "info"
            yield told(job.checked_at, number, param, said, level=level, data=counts)
        if job.error:
            yield told(job.checked_at, 9, "refused", job.error["message"], level="error", data=job.error)
    if job.cancelled_at is not None:
        yield told(job.cancelled_at, 9, "cancelled", "The job was cancelled.")
    run = job.run
    if run is None:
        return
    yield told(
        job.checked_at or run.created_at,
        10,
        "queued",
        f"Files are valid; run {run.pk} is queued.",
        data={"run": run.pk},
    )
    if run.started_at is not None:
        yield told(run.started_at, 11, "started", "Fine-tuning job started.")
    if run.attempt > 1 or run.eased:  # rare, and the log is long
        kept = Event.objects.filter(project=job.project, target=f"run:{run.pk}", verb__in=ON_RECORD)
        for event in kept.order_by("id"):
            yield told(event.created_at, 12, f"{event.pk}", ON_RECORD[event.verb], level="warn", data=event.data)
    if run.finished_at is not None and not run.is_open:
        yield told(run.finished_at, 2**40, "ended", _end(job, run), level=_level(run))


def _end(job: TuningJob, run: Run) -> str:
    if run.status == Status.SUCCEEDED:
        model = model_of(job)
        return f"New fine-tuned model created: {model}" if model else "The job succeeded; its model was deleted since."
    if run.status == Status.CANCELLED:
        return "The job was cancelled."
    return f"{run.error} {run.advice}".strip()


def _level(run: Run) -> str:
    return "error" if run.status == Status.FAILED else "info"


STEPS = 100  # the order of the first step, after what begins a run


def _steps(job: TuningJob, beyond: tuple[datetime, int] | None, count: int) -> list[Told]:
    """The newest steps before a place. Those that were read at one time are in their own order."""
    if job.run is None:
        return []
    rows = job.run.metric_rows.filter(created_at__isnull=False).order_by("-created_at", "-step")
    if beyond is not None:
        at, order = beyond
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, step__lt=order - STEPS))
    return [_step(job, row.step, row.created_at, row.values) for row in rows[:count] if row.created_at]


def _step(job: TuningJob, step: int, at: datetime, values: dict[str, Any]) -> Told:
    said = figures(values)
    total = job.run.total if job.run else 0
    loss = f": training loss={said['train_loss']:.4f}" if "train_loss" in said else ""
    watched = f", validation loss={said['valid_loss']:.4f}" if "valid_loss" in said else ""
    key = f"ftevent-{job.key.removeprefix('ftjob-')}-step-{step}"
    message = f"Step {step}/{total}{loss}{watched}"
    return Told(at, STEPS + step, key, message, type="metrics", data={"step": step, "total_steps": total, **said})


def _step_named(job: TuningJob, key: str) -> Told | None:
    number = key.rpartition("-step-")[2]
    if job.run is None or not number.isdecimal() or len(number) > 9:
        return None
    row = job.run.metric_rows.filter(step=int(number), created_at__isnull=False).first()
    found = _step(job, row.step, row.created_at, row.values) if row and row.created_at else None
    return found if found and found.key == key else None
