"""By which classifier a project's texts are read for toxicity, and what it made of each."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from annotation.models import Project, Prompt, Response
from training.models.registry import ModelVersion


class ToxicityPolicy(models.Model):
    """A project that has none is not read for toxicity."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="toxicity_policy")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="toxicity_policies")
    labels = models.JSONField(help_text="Those of the model's labels that mean toxic.")
    threshold = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.01), MaxValueValidator(0.99)],
        help_text="A text is found that is toxic with this probability or a higher one.",
    )

    class Meta:
        verbose_name = "reading for toxicity"
        verbose_name_plural = "readings for toxicity"

    def __str__(self) -> str:
        return f"Reading of {self.project} for toxicity"


class ToxicityScore(models.Model):
    """How likely an answer is toxic, or a prompt where `response` is empty: the worst of its users' turns.

    `start` to `end` is the worst window, in characters of the answer or of this `turn`; empty if all of it was read at
    once. The texts without one are those that are still to be read.
    """

    policy = models.ForeignKey(ToxicityPolicy, on_delete=models.CASCADE, related_name="scores", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="+", db_index=False)
    response = models.ForeignKey(
        Response, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    value = models.FloatField()
    label = models.CharField(max_length=64)
    turn = models.PositiveSmallIntegerField(null=True, blank=True)
    start = models.PositiveIntegerField(null=True, blank=True)
    end = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "response"], nulls_distinct=False, name="toxicity_once_per_text"),
            models.CheckConstraint(condition=Q(value__gte=0, value__lte=1), name="toxicity_is_a_probability"),
        ]
        indexes = [models.Index(fields=["policy", "value"], name="toxicity_worst")]

    def __str__(self) -> str:
        return f"{self.label} {self.value:.3f}"
