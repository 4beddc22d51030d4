"""Fine-tuning from files, as other programs ask for it: files that were sent, and jobs that train on them."""

import secrets
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models import Project, User
from training.models.registry import ModelVersion
from training.models.runs import Run
from training.models.snapshots import Snapshot


def file_key() -> str:
    return f"file-{secrets.token_hex(12)}"


def job_key() -> str:
    return f"ftjob-{secrets.token_hex(12)}"


class TrainingFileQuerySet(models.QuerySet["TrainingFile"]):
    def there(self) -> "TrainingFileQuerySet":
        return self.filter(deleted_at=None)


class TrainingFile(models.Model):
    """A file of examples that was sent to the project. Its row stays when the file is deleted, since models may have
    been made of it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="training_files")
    key = models.CharField(max_length=40, unique=True, default=file_key, editable=False)
    name = models.CharField(max_length=255)
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = TrainingFileQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"

    @property
    def location(self) -> str:
        """Below the artifact store."""
        return f"{self.project.slug}/files/{self.key}.jsonl"

    @property
    def path(self) -> Path:
        return Path(settings.ARTIFACTS) / self.location


class Way(models.TextChoices):
    SUPERVISED = "supervised", "Supervised"
    DPO = "dpo", "Direct preference optimisation"


class TuningJobQuerySet(models.QuerySet["TuningJob"]):
    def unread(self) -> "TuningJobQuerySet":
        """Those whose files have yet to be checked."""
        return self.filter(run=None, error={}, cancelled_at=None)


class TuningJob(models.Model):
    """What was asked for. Its files are checked first; then it has a run, and from there on that says how it goes."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tuning_jobs")
    key = models.CharField(max_length=40, unique=True, default=job_key, editable=False)
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="tuning_jobs")
    training_file = models.ForeignKey(TrainingFile, on_delete=models.PROTECT, related_name="trains")
    validation_file = models.ForeignKey(
        TrainingFile, on_delete=models.PROTECT, null=True, blank=True, related_name="validates"
    )
    method = models.CharField(max_length=16, choices=Way)
    hyperparameters = models.JSONField(default=dict, blank=True, help_text="As they were given.")
    settings = models.JSONField(default=dict, blank=True, help_text="What they come to for the run.")
    suffix = models.CharField(max_length=64, blank=True)
    seed = models.PositiveIntegerField()
    metadata = models.JSONField(default=dict, blank=True)
    report = models.JSONField(default=dict, blank=True, help_text="What was found in the files.")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="tuning_jobs")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="tuning_job")
    error = models.JSONField(default=dict, blank=True, help_text="Why there is no run: code, message and param.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    objects = TuningJobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(method__in=Way.values), name="tuning_job_method_known"),
            models.CheckConstraint(
                condition=Q(run=None) | Q(error={}, cancelled_at=None), name="tuning_job_runs_or_ended"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def model_name(self) -> str:
        """What the model is called that comes of it."""
        base = self.base.full_weights().name[:28]
        return f"ft:{base}:{self.project.slug[:14]}:{self.suffix}:{self.key[-8:]}"

    @property
    def status(self) -> str:
        if self.run is not None:
            return self.run.status
        if self.cancelled_at:
            return "cancelled"
        return "failed" if self.error else "validating_files"
