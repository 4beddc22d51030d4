"""A project: its guidelines and the rules its items follow."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

# Llama 2 (arXiv 2307.09288, section 3.2.1) asked annotators for these four degrees.
LLAMA2_STRENGTHS = ["negligibly better", "slightly better", "better", "significantly better"]


def llama2_strengths() -> list[str]:
    return list(LLAMA2_STRENGTHS)


class SkipPolicy(models.TextChoices):
    TO_ME = "to_me", "Comes back to me, after the rest"
    TO_OTHERS = "to_others", "Goes to somebody else"
    DROP = "drop", "Is dropped for everybody"


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> "ProjectQuerySet":
        """Those the person belongs to; all of them for a superuser."""
        if user.is_superuser:
            return self
        return self.filter(memberships__person_id=user.pk) if user.is_authenticated else self.none()

    def led_by(self, user: Any) -> "ProjectQuerySet":
        if user.is_superuser:
            return self
        return self.filter(memberships__person_id=user.pk, memberships__role="lead")

    def active(self) -> "ProjectQuerySet":
        return self.filter(archived=False)


class Project(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=300, blank=True)
    guidelines = models.TextField(blank=True, help_text="Markdown; shown beside the work.")
    labels_per_item = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many people judge each new item.",
    )
    lease_minutes = models.PositiveSmallIntegerField(
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text="An item that is opened and left goes back to the queue after this long.",
    )
    ties_allowed = models.BooleanField(default=True)
    strength_levels = models.JSONField(
        default=llama2_strengths, help_text="How much better an answer can be, weakest first."
    )
    criteria = models.JSONField(default=list, blank=True, help_text='For example ["helpful", "honest"].')
    skip_policy = models.CharField(max_length=16, choices=SkipPolicy, default=SkipPolicy.TO_OTHERS)
    gold_share = models.FloatField(default=0, validators=[MinValueValidator(0), MaxValueValidator(0.5)])
    heldout_share = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0), MaxValueValidator(0.9)],
        help_text="Share of new prompts kept for evaluation and never trained on.",
    )
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(heldout_share__gte=0, heldout_share__lte=0.9),
                name="heldout_share_in_range",
            ),
            models.CheckConstraint(condition=models.Q(labels_per_item__gte=1), name="labels_per_item_positive"),
            models.CheckConstraint(condition=models.Q(lease_minutes__gte=1), name="lease_minutes_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("project", args=[self.slug])
