"""Starting, claiming, stopping and recovering runs. The row is the truth; a queue message only wakes a worker."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task
from pydantic import ValidationError as SettingsError

from annotation.models import Project, User
from annotation.models.events import record
from training.methods import APART, CONVERT, JUDGE, METHODS, TOXICITY, Method
from training.methods.weights import MERGEABLE, WAYS, WHOLE
from training.models import ModelVersion, Run, Snapshot, Source
from training.models.registry import Format, ModelKind
from training.models.runs import Spread, Status
from training.processes import end_family, is_here

GPU = "gpu"
WORK = "training.tasks.work"


@dataclass(frozen=True)
class Plan:
    """How a run is carried out, which changes nothing of what it learns: for how long at most, after which others, on
    how many devices (several see as many times more examples in each step), and before or after all others."""

    limit_minutes: int | None = None
    after: tuple[Run, ...] = ()
    devices: int = 1
    spread: str = Spread.DDP
    priority: int = 0


def method_of(name: str) -> Method:
    """The method of this name; raises ValidationError if there is none."""
    if name in APART:
        return APART[name]
    try:
        return METHODS[name]
    except KeyError:
        raise ValidationError(f"There is no method {name!r}; there are {', '.join(METHODS)}.") from None


def checked_settings(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """All settings of a method, defaults filled in; raises ValidationError in words for people."""
    try:
        return method_of(method).settings.model_validate(given).model_dump(mode="json")
    except SettingsError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or method}: {e['msg']}" for e in error.errors()]
        raise ValidationError(problems) from None


@transaction.atomic
def start(
    *,
    project: Project,
    method: str,
    base: ModelVersion | None = None,
    snapshot: Snapshot | None = None,
    others: Iterable[Snapshot] = (),
    teacher: ModelVersion | None = None,
    settings: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
    seed: int = 17,
    plan: Plan = Plan(),
    continues: Run | None = None,
    repeats: Run | None = None,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run and wake a gpu worker for it. `others` are mixed in beside the snapshot, as its settings say.

    Raises ValidationError if the settings, the snapshot, the base model or the teacher do not fit the method, or if
    what it should wait for is in another project or can succeed no more.
    """
    wanted = method_of(method)
    others = list(dict.fromkeys(others))
    _fits(project, wanted, base, snapshot, others, teacher, continues)
    _can_wait(project, plan.after)
    if plan.devices > 1 and wanted.produces in (None, ModelKind.CLASSIFIER):
        raise ValidationError(f"{wanted.title} uses one device.")
    run = Run.objects.create(
        project=project,
        method=method,
        base=base,
        snapshot=snapshot,
        teacher=teacher,
        settings=_going_on(wanted, base, checked_settings(method, settings or {}), settings or {}),
        inputs=inputs or {},
        seed=seed,
        limit_minutes=plan.limit_minutes,
        devices=plan.devices,
        spread=plan.spread,
        priority=plan.priority,
        continues=continues,
        repeats=repeats,
        created_by=actor,
    )
    run.waits_for.set(plan.after)
    Source.objects.bulk_create(Source(run=run, snapshot=other) for other in others)
    record("run started", run, project=project, actor=actor, method=method)
    if wake:
        transaction.on_commit(wake_gpu)
    return run


def _can_wait(project: Project, after: tuple[Run, ...]) -> None:
    for other in after:
        if other.project_id != project.pk:
            raise ValidationError("That belongs to another project.")
        if not other.is_open and other.status != Status.SUCCEEDED:
            raise ValidationError(f"The {other} did not succeed: retry it first, or do not wait for it.")


def _fits(
    project: Project,
    method: Method,
    base: ModelVersion | None,
    snapshot: Snapshot | None,
    others: list[Snapshot],
    teacher: ModelVersion | None,
    continues: Run | None,
) -> None:
    if method.snapshot_kind and (snapshot is None or snapshot.kind != method.snapshot_kind):
        raise ValidationError(f"{method.title} needs a snapshot of {method.snapshot_kind}.")
    if method is not CONVERT and base is None:
        raise ValidationError(f"{method.title} needs a model to start from.")
    if others and "replay_share" not in method.settings.model_fields:
        raise ValidationError(f"{method.title} learns from one data set.")
    if snapshot in others or any(other.kind != method.snapshot_kind for other in others):
        raise ValidationError(f"What is mixed in must be other snapshots of {method.snapshot_kind}.")
    if (teacher.kind if teacher else None) != method.learns_from:
        needs = {"reward": "needs a reward model", "policy": "needs a model that answers", None: "has no model"}
        raise ValidationError(f"{method.title} {needs[method.learns_from]} to learn from.")
    if teacher is not None and teacher.format == Format.ENDPOINT:
        raise ValidationError(f"{teacher} answers elsewhere, and its weights are not here: learn from its answers.")
    for row in (base, snapshot, teacher, *others):
        if row is not None and row.project_id != project.pk:
            raise ValidationError("That belongs to another project.")
    if base is not None:
        further = continues is not None and method.produces == "reward"
        needs = {"score": ModelKind.REWARD, "suggest": ModelKind.CLASSIFIER, TOXICITY.name: ModelKind.CLASSIFIER}
        expected = ModelKind.REWARD if further else needs.get(method.name, ModelKind.POLICY)
        if base.format == Format.ENDPOINT and method.name not in ("generate", "paraphrase", JUDGE.name):
            raise ValidationError(f"{base} answers elsewhere, and its weights are not here: choose another model.")
        if base.format != Format.ENDPOINT and method is JUDGE:
            raise ValidationError(f"{base} is no endpoint: import one, such as https://host/v1#model, and choose it.")
        if base.kind != expected:
            raise ValidationError(f"{method.title} cannot start from a {base.get_kind_display().lower()}.")


def _going_on(
    method: Method, base: ModelVersion | None, checked: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Settings of a run that goes on training an adapter: in the way it was begun, unless another is asked for.

    Raises ValidationError if that way goes no further, or cannot be changed into the one asked for.
    """
    if method.produces != ModelKind.POLICY or "tuning" not in checked or base is None or base.format != Format.ADAPTER:
        return checked
    way = base.run.settings.get("tuning", "lora") if base.run else "lora"
    name = WAYS[way].partition(":")[0]
    if way not in MERGEABLE:
        raise ValidationError(
            f"{base} was trained by {name}, which goes no further: start from the model before it, on the earlier "
            "data and the new together."
        )
    if "tuning" not in given:
        return checked_settings(method.name, {**given, "tuning": way})
    if checked["tuning"] not in WHOLE and _plain(checked["tuning"]) != _plain(way):
        raise ValidationError(f"{base} was trained by {name}, and goes on that way: choose {name}, or all weights.")
    return checked


def _plain(way: str) -> str:
    """QLoRA leaves a plain LoRA adapter."""
    return "lora" if way == "qlora" else way


def wake_gpu() -> None:
    async_task(WORK, cluster=GPU)


CLAIM = """
UPDATE training_run SET status = 'running', attempt = attempt + 1, worker = %(worker)s, heartbeat_at = %(now)s,
    started_at = coalesce(started_at, %(now)s), reason = '', error = '', pid = NULL, pid_started = NULL
WHERE id = (
    SELECT id FROM training_run queued
    WHERE status = 'queued' AND devices <= %(devices)s AND method = ANY(%(known)s)
    AND (%(run)s::bigint IS NULL OR id = %(run)s)
    AND NOT EXISTS (
        SELECT FROM training_run_waits_for JOIN training_run other ON other.id = to_run_id
        WHERE from_run_id = queued.id AND other.status <> 'succeeded')
    ORDER BY priority DESC, coalesce(place, id), id LIMIT 1 FOR UPDATE OF queued SKIP LOCKED)
RETURNING id
"""


def claim(*, worker: str, run_id: int | None = None, devices: int = 1) -> Run | None:
    """Take the first queued run (or the one named) for a worker with so many devices; None if there is none to take.

    A run that waits for others is not taken before all of them have succeeded; one of a method that came with a newer
    release is left to that release's workers.
    """
    known = [*METHODS, *APART]
    with transaction.atomic(), connection.cursor() as cursor:
        asked = {"worker": worker, "run": run_id, "devices": devices, "known": known, "now": timezone.now()}
        cursor.execute(CLAIM, asked)
        row = cursor.fetchone()
    return Run.objects.select_related("project", "base", "snapshot", "teacher").get(pk=row[0]) if row else None


def has_passes(run: Run) -> bool:
    """Whether its method goes over the data a number of times."""
    return "epochs" in method_of(run.method).settings.model_fields


def carry_on(*, run: Run, epochs: float, actor: User | None = None, wake: bool = True) -> Run:
    """Queue a new run that trains what this one made for more passes over the same data, with the same settings
    otherwise.

    Its learning rate begins anew, the order of the examples is another (seed + 1), and a method with a reference takes
    the model as it is now for it. Raises ValidationError if this run made no model.
    """
    made = ModelVersion.objects.filter(run=run).first()
    if made is None or run.snapshot is None or not has_passes(run):
        raise ValidationError("Only a run that made a model from frozen data can be continued.")
    return start(
        project=run.project,
        method=run.method,
        base=made,
        snapshot=run.snapshot,
        others=run.snapshots[1:],
        settings={**run.used_settings, "epochs": epochs},
        inputs={name: value for name, value in run.inputs.items() if name != "name"},
        seed=(run.seed + 1) % 2**31,
        plan=Plan(limit_minutes=run.limit_minutes, devices=run.devices, spread=run.spread),
        continues=run,
        actor=actor,
        wake=wake,
    )


@transaction.atomic
def cancel(*, run: Run, actor: User | None = None) -> bool:
    """Stop a run: at once if it waits, within seconds if it runs; False if it has ended already."""
    fresh = Run.objects.select_for_update().get(pk=run.pk)
    if not fresh.is_open:
        return False
    fresh.cancel_requested = True
    if fresh.status == Status.QUEUED:
        fresh.status, fresh.reason, fresh.finished_at = Status.CANCELLED, "cancelled", timezone.now()
        transaction.on_commit(lambda: tell_finished(run.pk))
    fresh.save(update_fields=["cancel_requested", "status", "reason", "finished_at"])
    give_up_waiting()
    record("run cancelled", run, project=run.project, actor=actor)
    return True


@transaction.atomic
def retry(*, run: Run, actor: User | None = None) -> bool:
    """Queue a run that failed or was cancelled again; it goes on from its last checkpoint. False if it cannot.

    Raises ValidationError if it waits for a run that did not succeed.
    """
    _can_wait(run.project, tuple(run.waits_for.all()))
    again = Run.objects.filter(pk=run.pk, status__in=[Status.FAILED, Status.CANCELLED]).update(
        status=Status.QUEUED, cancel_requested=False, finished_at=None, attempt=0, error="", reason=""
    )
    if not again:
        return False
    record("run retried", run, project=run.project, actor=actor)
    transaction.on_commit(wake_gpu)
    return True


def recover() -> dict[str, int]:
    """Take back runs whose worker fell silent, and wake a worker if runs wait; safe at any time."""
    counts = {"requeued": 0, "failed": 0, "cancelled": 0}
    for pk in Run.objects.silent().values_list("pk", flat=True):
        if outcome := _take_back(pk):
            counts[outcome] += 1
    give_up_waiting()
    waiting = Run.objects.filter(status=Status.QUEUED).exists()
    if waiting and not OrmQ.objects.filter(key=GPU, lock__lte=timezone.now()).exists():
        wake_gpu()
    return counts


@transaction.atomic
def _take_back(pk: int) -> str:
    """What becomes of a run whose worker is lost: cancelled if that was asked, queued again, or given up.

    Nothing, and an empty word, if its worker spoke after all, or if somebody else is taking it back.
    """
    run = Run.objects.silent().select_for_update(of=["self"], skip_locked=True).filter(pk=pk).first()
    if run is None:
        return ""
    end_process(run)  # before the row is free, so that two processes never write to one folder
    outcome = "requeued"
    changes: dict[str, Any] = {"status": Status.QUEUED, "worker": "", "pid": None, "pid_started": None}
    if run.cancel_requested:
        outcome, changes = "cancelled", {"status": Status.CANCELLED, "reason": "cancelled"}
    elif run.attempt >= run.max_attempts:
        outcome = "failed"
        changes = {
            "status": Status.FAILED,
            "reason": "lost_worker",
            "error": f"The worker was lost {run.attempt} times.",
        }
    if outcome != "requeued":
        changes["finished_at"] = timezone.now()
    Run.objects.filter(pk=pk).update(**changes)
    record(f"run {outcome}", run, project=run.project, actor=None, attempt=run.attempt)
    if outcome != "requeued":
        transaction.on_commit(lambda: tell_finished(pk))
    return outcome


@transaction.atomic
def give_up_waiting() -> None:
    """Fail queued runs that wait for one which did not succeed; those that wait for them follow."""
    ended = [Status.FAILED, Status.CANCELLED]
    missed = Run.objects.filter(waited_for_by=OuterRef("pk"), status__in=ended)
    waiting = Run.objects.filter(Exists(missed), status=Status.QUEUED).order_by("id")
    while in_vain := list(waiting.select_for_update(skip_locked=True)):
        for run in in_vain:
            other = run.waits_for.filter(status__in=ended).earliest("id")
            error = f"It waited for the {other}, which did not succeed."
            Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(
                status=Status.FAILED, reason="dependency", error=error, finished_at=timezone.now()
            )
            record("run failed", run, project=run.project, actor=None, waited_for=other.pk)
            transaction.on_commit(lambda pk=run.pk: tell_finished(pk))  # type: ignore[misc]


def end_process(run: Run) -> None:
    """End a run's process and what it started, if it is still the one that the run started on this machine."""
    if run.pid and is_here(run.worker):
        end_family(run.pid, run.pid_started)


def tell_finished(run_id: int) -> None:
    """Wake whoever waits for runs to end (a round)."""
    async_task(settings.RUN_FINISHED_TASK, run_id, cluster="default")
