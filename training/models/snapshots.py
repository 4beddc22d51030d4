"""Frozen data sets."""

from pathlib import Path

from django.conf import settings
from django.db import models

from annotation.models import Label, Project, User


class SnapshotKind(models.TextChoices):
    DEMONSTRATIONS = "demonstrations", "Demonstrations"
    PREFERENCES = "preferences", "Preferences"
    UNPAIRED = "unpaired", "Good and bad answers"


class RecipeVersion(models.Model):
    """What snapshots are made of, under a name: a kind and a rule. A version never changes; saving makes another."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="recipes")
    name = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=SnapshotKind)
    rule = models.JSONField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name", "number"], name="recipe_version_once"),
            models.CheckConstraint(condition=models.Q(kind__in=SnapshotKind.values), name="recipe_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"


class Snapshot(models.Model):
    """Rows frozen to Parquet with a manifest; `sha256` is of their contents (training/snapshots/files.py)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="snapshots")
    kind = models.CharField(max_length=16, choices=SnapshotKind)
    rule = models.JSONField(help_text="The filters and the aggregation that made it.")
    other_rules = models.JSONField(
        default=list, blank=True, editable=False, help_text="Other rules that gave the very same rows later."
    )
    recipe = models.ForeignKey(
        RecipeVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="snapshots",
        help_text="The saved recipe that the rule was taken from.",
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


class FreezeState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Freezing(models.Model):
    """A snapshot that was asked for, and how far it is. The row is the truth; a queue message only wakes a worker."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="freezings")
    kind = models.CharField(max_length=16, choices=SnapshotKind)
    rule = models.JSONField()
    recipe = models.ForeignKey(RecipeVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=8, choices=FreezeState, default=FreezeState.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveIntegerField(default=0, help_text="Rows written.")
    total = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="freezings")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=FreezeState.values), name="freeze_state_known"),
            models.CheckConstraint(condition=models.Q(kind__in=SnapshotKind.values), name="freeze_kind_known"),
            models.CheckConstraint(
                condition=~models.Q(state="done") | models.Q(snapshot__isnull=False), name="frozen_means_snapshot"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "running"]), name="freeze_open")
        ]

    def __str__(self) -> str:
        return f"freezing {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.state in (FreezeState.WAITING, FreezeState.RUNNING)

    @property
    def percent(self) -> int:
        return round(100 * self.done / self.total) if self.total else 0


class ComparisonAsked(models.Model):
    """That two snapshots are to be laid side by side, and how far that is. The row is the truth; what is found is kept
    in a file beside the snapshots (training/snapshots/comparing.py)."""

    first = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=FreezeState, default=FreezeState.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveIntegerField(default=0, help_text="Rows read, of both.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="two_snapshots_one_comparison"),
            models.CheckConstraint(condition=models.Q(state__in=FreezeState.values), name="comparison_state_known"),
        ]

    def __str__(self) -> str:
        return f"comparison {self.pk}"

    @property
    def total(self) -> int:
        return sum(int(one.counts.get("rows", 0)) for one in (self.first, self.second))
