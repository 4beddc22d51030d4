"""The registry of model versions, and who wrote which answer."""

import json
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models import Project, Response
from training.models.runs import Run


class ModelKind(models.TextChoices):
    POLICY = "policy", "Policy"
    REWARD = "reward", "Reward model"
    CLASSIFIER = "classifier", "Classifier"


class Format(models.TextChoices):
    FULL = "full", "Full weights"
    ADAPTER = "adapter", "Adapter"
    ENDPOINT = "endpoint", "Endpoint"


class Stage(models.TextChoices):
    CANDIDATE = "candidate", "Candidate"
    PRODUCTION = "production", "Production"
    RETIRED = "retired", "Retired"


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    def policies(self) -> "ModelVersionQuerySet":
        return self.filter(kind=ModelKind.POLICY)

    def production(self) -> "ModelVersionQuerySet":
        return self.policies().filter(stage=Stage.PRODUCTION)


class ModelVersion(models.Model):
    """What a run yielded, or a base model that was imported (then it has no run and no parent)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="model_versions")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=ModelKind)
    format = models.CharField(max_length=8, choices=Format)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.CANDIDATE)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="model_version")
    location = models.CharField(max_length=500, help_text="A folder: absolute, or below the artifact store.")
    sha256 = models.CharField(max_length=64, blank=True)
    card = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(kind="policy", stage="production"),
                name="one_production_policy_per_project",
            ),
            models.UniqueConstraint(fields=["project", "name"], name="model_name_once_per_project"),
            models.CheckConstraint(condition=Q(kind__in=ModelKind.values), name="model_kind_known"),
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="model_stage_known"),
            models.CheckConstraint(condition=~Q(format="adapter") | Q(parent__isnull=False), name="adapter_has_parent"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return Path(settings.ARTIFACTS) / self.location

    def ancestry(self) -> list["ModelVersion"]:
        """This version, its parent, and so on to the base model."""
        line: list[ModelVersion] = []
        version: ModelVersion | None = self
        while version is not None:
            line.append(version)
            version = version.parent
        return line

    @property
    def endpoint(self) -> dict[str, str] | None:
        """Where a model answers that has no weights here, `{"url", "model"}`; None for any other."""
        if self.format != Format.ENDPOINT:
            return None
        return json.loads((self.path / "endpoint.json").read_text())

    def full_weights(self) -> "ModelVersion":
        """This version, or the ancestor on whose weights its adapter lies."""
        return next(version for version in self.ancestry() if version.format == Format.FULL)

    def base_and_adapter(self) -> tuple[Path, Path | None]:
        """Folders a recipe loads: full weights, and this version's adapter on them if it is one."""
        return self.full_weights().path, (self.path if self.format == Format.ADAPTER else None)

    def missing(self) -> "ModelVersion | None":
        """Which of the folders that `base_and_adapter` names is gone: this version, the one under it, or none."""
        parts = {self.full_weights(): "config.json", self: "adapter_config.json"}
        if self.format == Format.FULL:
            parts = {self: "config.json"}
        there = {version for version, name in parts.items() if (version.path / name).is_file()}
        if (
            self.path / "head.json"
        ).is_file():  # an instant reward model or a classifier of tags is a head, and no adapter of PEFT's
            there.add(self)
        return next((version for version in parts if version not in there), None)


class Generation(models.Model):
    """One sampling of answers: which model, with what settings and seed, by which run."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="generations")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="generation")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="generations")
    settings = models.JSONField(default=dict)
    seed = models.PositiveIntegerField()
    responses = models.ManyToManyField(Response, through="Sample", related_name="generations")
    silent = models.JSONField(
        default=list, db_default=[], help_text="Prompts (ids) to which the model said nothing at all."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Generation {self.pk} by {self.model_version}"


class Sample(models.Model):
    """Links an answer to the model that gave it; kept out of room 1 so that no page there can show it.

    Two models, or one model twice, may give the same text: then one response has several samples.
    """

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="samples")
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="samples")
    index = models.PositiveSmallIntegerField(help_text="Which of the answers to one prompt.")
    tokens = models.PositiveIntegerField(default=0)
    finished = models.BooleanField(default=True, help_text="False if it was cut at the longest length.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "response", "index"], name="sample_once_per_generation"),
        ]

    def __str__(self) -> str:
        return f"sample {self.index} of generation {self.generation_id}"
