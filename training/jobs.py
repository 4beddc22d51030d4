"""Fine-tuning jobs: a file becomes a snapshot, and the snapshot a run like any other.

`create` takes the order down and wakes the queue; `prepare` reads the files there, since large ones take a while, and
queues the run. From then on the run's row is the truth: cancel, retry, recovery and progress are the run's.
"""

import logging
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django_q.tasks import async_task

from annotation.models import Project, Prompt, User
from annotation.models.events import record
from annotation.models.prompts import Split
from training import filerows, files, preflight, runs, snapshots
from training.models import ModelVersion, Run, Snapshot, TrainingFile, TuningJob
from training.models.jobs import Way
from training.models.registry import Format, ModelKind
from training.models.snapshots import SnapshotKind

log = logging.getLogger(__name__)

PREPARE = "training.tasks.prepare_job"
METHODS = {Way.SUPERVISED: ("sft", SnapshotKind.DEMONSTRATIONS), Way.DPO: ("dpo", SnapshotKind.PREFERENCES)}
SHOWN = 3  # of what is wrong with a file


class Unusable(Exception):
    """A file cannot be trained on: which, and why."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


@transaction.atomic
def create(
    *,
    project: Project,
    base: ModelVersion,
    training_file: TrainingFile,
    validation_file: TrainingFile | None = None,
    method: str = Way.SUPERVISED,
    hyperparameters: dict[str, Any] | None = None,
    suffix: str = "",
    seed: int = 17,
    metadata: dict[str, str] | None = None,
    actor: User | None = None,
) -> TuningJob:
    """Take a job down, and have its files checked; if they can be learnt from, it gets a run.

    Raises ValidationError if nothing can be trained from this model, or for settings that do not fit.
    """
    if base.kind != ModelKind.POLICY or base.format == Format.ENDPOINT:
        raise ValidationError({"model": f"{base} cannot be tuned here: choose a model that answers, with weights."})
    if why := preflight.no_template(base):
        raise ValidationError({"model": why})
    given = {name: value for name, value in (hyperparameters or {}).items() if value is not None}
    job = TuningJob.objects.create(
        project=project,
        base=base,
        training_file=training_file,
        validation_file=validation_file,
        method=method,
        hyperparameters=given,
        settings=settings_of(method, given),
        suffix=suffix,
        seed=seed,
        metadata=metadata or {},
        created_by=actor,
    )
    record("tuning job created", job, project=project, actor=actor, file=training_file.key, model=base.name)
    transaction.on_commit(lambda: async_task(PREPARE, job.pk, cluster="default"))
    return job


def settings_of(method: str, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """The settings of our method for hyperparameters as hosted services name them; "auto" is our default.

    Raises ValidationError for values that the method does not take.
    """
    ours, _ = METHODS[Way(method)]
    given = {name: value for name, value in hyperparameters.items() if value != "auto"}
    names = {"n_epochs": "epochs", "batch_size": "batch_size", "beta": "beta"}
    chosen = {names[name]: value for name, value in given.items() if name in names}
    if "learning_rate_multiplier" in given:
        usual = runs.checked_settings(ours, {})["learning_rate"]
        chosen["learning_rate"] = usual * given["learning_rate_multiplier"]
    runs.checked_settings(ours, chosen)
    return chosen


@transaction.atomic
def prepare(*, job_id: int) -> TuningJob | None:
    """Check a job's files and queue its run, or say why it has none; None if somebody else does, or has.

    A held-out prompt is never trained on: lines that contain one are left out, and the job's events say how many.
    """
    unread = TuningJob.objects.unread().select_for_update(of=["self"], skip_locked=True)
    job = unread.select_related("project", "base", "training_file", "validation_file").filter(pk=job_id).first()
    if job is None:
        return None
    ours, _ = METHODS[Way(job.method)]
    try:
        snapshot = _freeze(job, job.training_file, "training_file")
        inputs: dict[str, Any] = {"name": job.model_name}
        if job.validation_file is not None:
            inputs["validation_snapshot"] = _freeze(job, job.validation_file, "validation_file").pk
        with transaction.atomic():
            run = runs.start(
                project=job.project,
                method=ours,
                base=job.base,
                snapshot=snapshot,
                settings=job.settings,
                inputs=inputs,
                seed=job.seed,
                actor=job.created_by,
            )
    except Unusable as error:
        job.error = {"code": f"invalid_{error.param}", "message": str(error), "param": error.param}
    except ValidationError as error:
        job.error = {"code": "invalid_job", "message": " ".join(error.messages), "param": None}
    else:
        job.snapshot, job.run = snapshot, run
    job.checked_at = timezone.now()
    job.save(update_fields=["report", "error", "snapshot", "run", "checked_at"])
    return job


def _freeze(job: TuningJob, file: TrainingFile, param: str) -> Snapshot:
    """The file's rows, less those with a held-out prompt, as a snapshot; raises Unusable."""
    try:
        with files.lines_of(file) as lines:
            found = filerows.read(lines, job.method)
    except OSError:
        raise Unusable(param, f"{file.name} is not what was sent any more: send it again.") from None
    if found.problems:
        shown = "; ".join(f"line {number}: {why}" for number, why in found.problems[:SHOWN])
        more = len(found.problems) - SHOWN
        raise Unusable(param, f"{file.name} cannot be used. {shown}{f'; and {more} more' if more > 0 else ''}.")
    if not found.rows:
        raise Unusable(param, f"{file.name} has no examples.")
    asked = set().union(*map(filerows.prompts_of, found.rows))
    heldout = _heldout(job.project, asked)
    kept = [row for line in found.rows if not filerows.prompts_of(line) & heldout for row in line]
    dropped = sum(bool(filerows.prompts_of(line) & heldout) for line in found.rows)
    job.report[param] = {"lines": found.lines, "examples": len(kept), "held_out": dropped}
    if not kept:
        raise Unusable(param, f"Every prompt of {file.name} is held out for evaluation, and is never trained on.")
    return snapshots.of_rows(
        project=job.project,
        kind=METHODS[Way(job.method)][1],
        rows=kept,
        source={"file": file.key, "file_sha256": file.sha256},
        actor=job.created_by,
    )


def _heldout(project: Project, prompts: set[str]) -> set[str]:
    """Which of these conversations, by their hash, the project holds out."""
    rows = Prompt.objects.filter(project=project, split=Split.HELDOUT, sha256__in=prompts)
    return set(rows.values_list("sha256", flat=True))


@transaction.atomic
def cancel(*, job: TuningJob, actor: User | None = None) -> bool:
    """Stop a job; False if it has ended already."""
    fresh = TuningJob.objects.select_for_update(of=["self"]).select_related("run").get(pk=job.pk)
    if fresh.run is not None:
        return runs.cancel(run=fresh.run, actor=actor)
    if fresh.error or fresh.cancelled_at:
        return False
    fresh.cancelled_at = timezone.now()
    fresh.save(update_fields=["cancelled_at"])
    record("tuning job cancelled", fresh, project=fresh.project, actor=actor)
    return True


def recover() -> int:
    """Have files checked whose message was lost; safe at any time. Returns how many jobs waited.

    One whose files cannot be checked, for a reason that nobody foresaw, has failed, and holds up nothing else.
    """
    done = 0
    for pk in list(TuningJob.objects.unread().values_list("pk", flat=True)):
        try:
            done += prepare(job_id=pk) is not None
        except (InterfaceError, OperationalError):
            raise
        except Exception:
            log.exception("The files of job %s could not be checked", pk)
            error = {"code": "server_error", "message": "The files could not be checked: see the log.", "param": None}
            TuningJob.objects.unread().filter(pk=pk).update(error=error, checked_at=timezone.now())
    return done


@dataclass(frozen=True)
class Checkpoint:
    """A model that came of a job, with the figures of its step."""

    job: TuningJob
    run: Run
    model: ModelVersion
    metrics: dict[str, Any]


def checkpoints(job: TuningJob) -> list[Checkpoint]:
    """The models one can ask: the one at the end. (What a run saves on its way is for itself, to go on from.)"""
    model = model_of(job)
    if model is None or job.run is None:
        return []
    last = job.run.metric_rows.order_by("-step").first()
    return [Checkpoint(job, job.run, model, {"step": job.run.step, **figures(last.values if last else {})})]


def model_of(job: TuningJob) -> ModelVersion | None:
    """What came of it, if that is there."""
    return ModelVersion.objects.filter(run=job.run_id).first() if job.run_id else None


def figures(values: dict[str, Any]) -> dict[str, Any]:
    """A step's figures under the names that hosted services give them."""
    names = {"loss": "train_loss", "validation_loss": "valid_loss", "token_accuracy": "train_mean_token_accuracy"}
    return {names[name]: value for name, value in values.items() if name in names and value is not None}
