"""Runs: work for a gpu worker, and how it went."""

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from annotation.models import Project, User
from training.models.snapshots import Snapshot


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (Status.QUEUED, Status.RUNNING)


class RunQuerySet(models.QuerySet["Run"]):
    def open(self) -> "RunQuerySet":
        return self.filter(status__in=OPEN)

    def silent(self) -> "RunQuerySet":
        """Running by the row, but nobody has said so for `RUN_LOST_SECONDS`."""
        limit = timezone.now() - timedelta(seconds=settings.RUN_LOST_SECONDS)
        return self.filter(status=Status.RUNNING, heartbeat_at__lt=limit)


class Run(models.Model):
    """One execution of a method. The row is the truth; a queue message only wakes a worker to claim it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    method = models.CharField(max_length=32)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    base = models.ForeignKey(
        "training.ModelVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="runs_from"
    )
    settings = models.JSONField(default=dict, blank=True)
    seed = models.PositiveIntegerField(default=17)
    inputs = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

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
        ]
        indexes = [models.Index(fields=["heartbeat_at"], condition=models.Q(status="running"), name="run_heartbeat")]

    def __str__(self) -> str:
        return f"{self.method} run {self.pk}"

    @property
    def folder(self) -> Path:
        return Path(settings.ARTIFACTS) / self.project.slug / "runs" / str(self.pk)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

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


class Metric(models.Model):
    """What a run reported at one step."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metric_rows")
    step = models.PositiveIntegerField()
    values = models.JSONField()

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="one_metric_per_step")]

    def __str__(self) -> str:
        return f"step {self.step} of run {self.run_id}"
