"""Data on its way in: one row for each file, and one for each of its rows that was refused."""

from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from annotation.models.people import User
from annotation.models.projects import Project

LOST = timedelta(seconds=90)  # silence after which a running import is taken back


class Stage(models.TextChoices):
    UPLOADED = "uploaded", "Waits for you"
    WAITING = "waiting", "In line"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (Stage.WAITING, Stage.RUNNING)


class ImportQuerySet(models.QuerySet["Import"]):
    def silent(self, now: datetime) -> "ImportQuerySet":
        """Those whose worker says nothing any more."""
        return self.filter(status=Stage.RUNNING, heartbeat_at__lt=now - LOST)


class Import(models.Model):
    """A file that is brought into a project, or looked through first (`dry_run`, which stores none of it).

    The row is the truth, a queue message only wakes a worker. `number` and `offset` name the place up to which it was
    stored; they change with `counts` in the transaction that stores the rows up to there. `turn` is drawn anew by each
    worker that takes it, so that one that was thought lost stores nothing more.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=200, help_text="What its owner calls it.")
    location = models.CharField(
        max_length=300, blank=True, help_text="Below the artifact folder; empty once it is gone."
    )
    hub = models.CharField(max_length=300, blank=True, help_text="The dataset, where it comes from the hub.")
    size = models.BigIntegerField(default=0, help_text="In bytes.")
    shape = models.CharField(max_length=40, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=16, choices=Stage, default=Stage.UPLOADED)
    dry_run = models.BooleanField(default=False)
    number = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    done = models.FloatField(default=0, help_text="Share of the file, 0 to 1.")
    counts = models.JSONField(default=dict, blank=True)
    rejected = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    turn = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Stage.values), name="import_status_known"),
            models.CheckConstraint(condition=Q(done__gte=0, done__lte=1), name="import_done_in_range"),
        ]
        indexes = [
            models.Index(fields=["heartbeat_at"], condition=Q(status="running"), name="import_running"),
            models.Index(fields=["project", "-id"], name="import_newest"),
        ]

    def __str__(self) -> str:
        return f"import {self.pk} of {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("import_file", args=[self.project.slug, self.pk])

    @property
    def path(self) -> Path:
        return Path(settings.ARTIFACTS) / self.location

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def percent(self) -> int:
        return int(100 * self.done)

    @property
    def seconds(self) -> float | None:
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class RejectedRow(models.Model):
    """A row of a file that was refused, or something about it: its line, why, and what stood there."""

    source = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rejected_rows")
    line = models.BigIntegerField()
    reason = models.CharField(max_length=1000)
    raw = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
