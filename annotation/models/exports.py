"""Files of data that leads had made."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.people import User
from annotation.models.projects import Project
from annotation.shapes.outgoing import SHAPES
from annotation.statistics import percent


class ExportQuerySet(models.QuerySet["Export"]):
    def unfinished(self) -> "ExportQuerySet":
        return self.filter(status__in=[Export.Status.WAITING, Export.Status.MAKING])


class Export(models.Model):
    """One file, made once and kept for some days (annotation/exporting/files.py). The row is the truth: a queue message
    only wakes a worker, who claims it first, and `touched_at` says that the worker is alive."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        MAKING = "making", "Being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exports")
    shape = models.CharField(max_length=24)
    wanted = models.JSONField(default=dict, help_text="What of the project is in it.")
    repository = models.CharField(max_length=96, blank=True, help_text="The data set on the hub that it becomes.")
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    touched_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    left_out = models.PositiveIntegerField(default=0, help_text="Rows that the shape cannot carry.")
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, editable=False)
    address = models.URLField(blank=True, help_text="Where it lies on the hub.")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "making", "ready", "failed"]), name="export_status_known"
            ),
            models.CheckConstraint(condition=~Q(status="ready") | ~Q(sha256=""), name="export_ready_has_hash"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="export_expiry")]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.MAKING)

    @property
    def title(self) -> str:
        return SHAPES[self.shape].title

    @property
    def in_words(self) -> str:
        """What of the project is in it."""
        said = [_in_words(name, value) for name, value in self.wanted.items()]
        return ", ".join(said) or "all of it"

    @property
    def path(self) -> Path:
        return Path(settings.ARTIFACTS) / self.project.slug / "exports" / f"{self.pk}.{SHAPES[self.shape].suffix}"

    @property
    def file_name(self) -> str:
        """As whoever downloads it gets it."""
        return f"{self.project.slug}-{self.shape}-{self.path.name}"


def _in_words(name: str, value: Any) -> str:
    match name:
        case "kind":
            return f"{value}s alone"
        case "split":
            return "prompts to train on" if value == "train" else "held-out prompts"
        case "tags":
            return f"tagged {' or '.join(value)}"
        case "languages":
            return f"in {' or '.join(value)}"
        case "decisions":
            return "reviewers' decisions alone" if value == "only" else "without reviewers' decisions"
        case "simulated":
            return f"{'with' if value else 'without'} simulated annotators"
        case "minimum_agreement":
            return f"majorities of at least {percent(value)}"
        case _:
            return "with user names"
