"""Runs: work for a gpu worker, and how it went."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from annotation.models import Project, User
from training.causes import CAUSES
from training.methods import APART, METHODS
from training.models.snapshots import Snapshot


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


SHORT = {  # what lists call a run of these; the others are known by their letters: SFT, DPO
    "classify": "Tagging",
    "convert": "Import",
    "distill": "Distillation",
    "features": "Features",
    "generate": "New answers",
    "judge": "Second opinion",
    "measure": "Measures",
    "merge": "Merge",
    "paraphrase": "Paraphrases",
    "probe": "Probe",
    "reward": "Reward",
    "score": "Scores",
    "suggest": "Suggested tags",
    "suite": "Public suites",
    "toxicity": "Toxicity",
}


class Spread(models.TextChoices):
    """How one run uses several devices."""

    DDP = "ddp", "Each device has the whole model (DDP)"
    FSDP = "fsdp", "The model is divided among the devices (FSDP)"
    DEEPSPEED = "deepspeed", "The same by DeepSpeed ZeRO, if it is installed"


OPEN = (Status.QUEUED, Status.RUNNING)


class RunQuerySet(models.QuerySet["Run"]):
    def open(self) -> "RunQuerySet":
        return self.filter(status__in=OPEN)

    def silent(self) -> "RunQuerySet":
        """Running by the row, but nobody has said so for `RUN_LOST_SECONDS`."""
        limit = timezone.now() - timedelta(seconds=settings.RUN_LOST_SECONDS)
        return self.filter(status=Status.RUNNING, heartbeat_at__lt=limit)


class Run(models.Model):
    """One execution of a method. The row is the truth; a queue message only wakes a worker to claim it.

    What it was started with never changes afterwards; what memory made necessary is in `eased`.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    method = models.CharField(max_length=32)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    base = models.ForeignKey(
        "training.ModelVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="runs_from"
    )
    teacher = models.ForeignKey(
        "training.ModelVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="pupils",
        help_text="The model it learns from.",
    )
    settings = models.JSONField(default=dict, blank=True)
    eased = models.JSONField(
        default=dict, blank=True, help_text="Settings that were changed after memory had run out: name → value."
    )
    seed = models.PositiveIntegerField(default=17)
    inputs = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    continues = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="continued_by",
        help_text="The run whose model it trains further.",
    )
    repeats = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="repeated_by",
        help_text="The run that it does again, to see whether the same comes of it.",
    )

    limit_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="After which an attempt is stopped; empty is the installation's limit."
    )
    devices = models.PositiveSmallIntegerField(default=1, help_text="How many devices work on it together.")
    spread = models.CharField(max_length=16, choices=Spread, default=Spread.DDP)
    priority = models.SmallIntegerField(default=0, help_text="Higher is claimed first.")
    place = models.BigIntegerField(
        null=True, blank=True, help_text="In the queue, among equal priorities; empty is by the order of asking."
    )
    waits_for = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="waited_for_by")

    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    cancel_requested = models.BooleanField(default=False)
    worker = models.CharField(max_length=120, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    pid_started = models.FloatField(null=True, blank=True, help_text="When the process began; a pid is reused.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    step = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    rows = models.JSONField(default=dict, blank=True, help_text="Rows read, kept, dropped and cut.")
    metrics = models.JSONField(default=dict, blank=True)
    environment = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True)

    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="run_status_known"),
            models.CheckConstraint(
                condition=models.Q(attempt__lte=models.F("max_attempts")), name="run_attempts_bounded"
            ),
            models.CheckConstraint(condition=models.Q(reason__in=["", *CAUSES]), name="run_reason_known"),
            models.CheckConstraint(condition=models.Q(spread__in=Spread.values), name="run_spread_known"),
            models.CheckConstraint(condition=models.Q(devices__gte=1), name="run_has_a_device"),
        ]
        indexes = [models.Index(fields=["heartbeat_at"], condition=models.Q(status="running"), name="run_heartbeat")]

    def __str__(self) -> str:
        return f"{self.method} run {self.pk}"

    @property
    def short_name(self) -> str:
        """As lists have it: `SFT 3`, `New answers 4`."""
        return f"{SHORT.get(self.method, self.method.upper())} {self.pk}"

    @property
    def title(self) -> str:
        """What it does, in a few words; of a method of another release, its name."""
        method = METHODS.get(self.method) or APART.get(self.method)
        return method.title if method else self.method

    @property
    def folder(self) -> Path:
        return Path(settings.ARTIFACTS) / self.project.slug / "runs" / str(self.pk)

    @property
    def snapshots(self) -> list[Snapshot]:
        """All data it learns from, its own first."""
        others = [source.snapshot for source in self.sources.select_related("snapshot")]
        return [*([self.snapshot] if self.snapshot else []), *others]

    @property
    def validation(self) -> Snapshot | None:
        """Data that it is measured on while it learns, and learns nothing from."""
        pk = self.inputs.get("validation_snapshot")
        return Snapshot.objects.get(pk=pk, project=self.project_id) if pk else None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def used_settings(self) -> dict[str, Any]:
        """With what memory made necessary."""
        return {**self.settings, **self.eased}

    @property
    def minutes(self) -> int:
        """How long an attempt may take."""
        return self.limit_minutes or settings.RUN_LIMIT_MINUTES

    @property
    def advice(self) -> str:
        """What to do about the cause of its end; empty if it went well."""
        return CAUSES[self.reason].advice if self.reason else ""

    @property
    def seconds(self) -> float | None:
        """How long it has run, or ran; None before it began."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def percent(self) -> int:
        return round(100 * self.step / self.total) if self.total else 0

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the process printed."""
        try:
            with (self.folder / "log.txt").open("rb") as log:
                log.seek(0, 2)
                log.seek(max(0, log.tell() - 64 * 1024))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


class Source(models.Model):
    """Data that a run mixes in beside its own snapshot: earlier rounds', another task's, a general set."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="sources")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="mixed_into")

    class Meta:
        ordering = ["snapshot"]
        constraints = [models.UniqueConstraint(fields=["run", "snapshot"], name="source_once_per_run")]

    def __str__(self) -> str:
        return f"snapshot {self.snapshot_id} in run {self.run_id}"


class Metric(models.Model):
    """What a run reported at one step."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metric_rows")
    step = models.PositiveIntegerField()
    values = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True, null=True)  # empty in rows that are older than it

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="one_metric_per_step")]

    def __str__(self) -> str:
        return f"step {self.step} of run {self.run_id}"
