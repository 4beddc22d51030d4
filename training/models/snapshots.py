"""Frozen data sets."""

from pathlib import Path

from django.conf import settings
from django.db import models

from annotation.models import Label, Project, User


class SnapshotKind(models.TextChoices):
    DEMONSTRATIONS = "demonstrations", "Demonstrations"
    PREFERENCES = "preferences", "Preferences"
    UNPAIRED = "unpaired", "Good and bad answers"


class Snapshot(models.Model):
    """Rows frozen to Parquet with a manifest; `sha256` is of their contents (training/snapshots.py)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="snapshots")
    kind = models.CharField(max_length=16, choices=SnapshotKind)
    rule = models.JSONField(help_text="The filters and the aggregation that made it.")
    other_rules = models.JSONField(
        default=list, blank=True, editable=False, help_text="Other rules that gave the very same rows later."
    )
    source = models.JSONField(
        default=dict, blank=True, editable=False, help_text="The file it was made of in place of labels: id and sha256."
    )
    sha256 = models.CharField(max_length=64, editable=False)
    folder = models.CharField(max_length=300, editable=False, help_text="Below the artifact store.")
    counts = models.JSONField(default=dict)
    labels = models.ManyToManyField(Label, through="SnapshotLabel", related_name="snapshots")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "sha256"], name="same_rows_one_snapshot"),
            models.CheckConstraint(condition=models.Q(kind__in=SnapshotKind.values), name="snapshot_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.sha256[:8]}"

    @property
    def path(self) -> Path:
        return Path(settings.ARTIFACTS) / self.folder


class SnapshotLabel(models.Model):
    """A label behind a snapshot."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE)
    label = models.ForeignKey(Label, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "label"], name="label_once_per_snapshot"),
        ]

    def __str__(self) -> str:
        return f"label {self.label_id} in snapshot {self.snapshot_id}"
