"""A project: its guidelines and the rules its items follow."""

from typing import TYPE_CHECKING, Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from annotation.mentions import Names

if TYPE_CHECKING:
    from annotation.models.people import User

# Llama 2 (arXiv 2307.09288, section 3.2.1) asked annotators for these four degrees.
LLAMA2_STRENGTHS = ["negligibly better", "slightly better", "better", "significantly better"]


# Askell et al. 2021 (arXiv 2112.00861): what an assistant should be.
HELPFUL_HONEST_HARMLESS = ["helpful", "honest", "harmless"]
QUALITY_FLAGS = ["wrong facts", "incomplete", "off topic", "tone", "needs an expert"]


def llama2_strengths() -> list[str]:
    return list(LLAMA2_STRENGTHS)


def helpful_honest_harmless() -> list[str]:
    return list(HELPFUL_HONEST_HARMLESS)


def quality_flags() -> list[str]:
    return list(QUALITY_FLAGS)


class SkipPolicy(models.TextChoices):
    TO_ME = "to_me", "Comes back to me, after the rest"
    TO_OTHERS = "to_others", "Goes to somebody else"
    DROP = "drop", "Is dropped for everybody"


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> "ProjectQuerySet":
        """Those the person belongs to; all of them for a superuser. By an access key of one project, that one alone."""
        found = self.filter(pk=user.within) if getattr(user, "within", None) else self
        if user.is_superuser:
            return found
        return found.filter(memberships__person_id=user.pk) if user.is_authenticated else self.none()

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
    labels_per_item = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many people judge each new item.",
    )
    most_labels_per_item = models.PositiveSmallIntegerField(
        "Labels per item where in doubt",
        default=0,
        db_default=0,
        validators=[MaxValueValidator(50)],
        help_text="A comparison whose labels are doubted is shown to one person more, up to so many labels: 3 can "
        "settle what two left open. 0 asks nobody beyond the labels wanted.",
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
    criteria = models.JSONField(
        default=helpful_honest_harmless, blank=True, help_text="In what an answer can be better, besides over all."
    )
    flags = models.JSONField(default=quality_flags, blank=True, help_text="What may be wrong with an answer.")
    skip_policy = models.CharField(max_length=16, choices=SkipPolicy, default=SkipPolicy.TO_OTHERS)
    gold_share = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(0.5)],
        help_text="Share of the items people are given whose right answer is known.",
    )
    gold_feedback = models.BooleanField(default=False, help_text="Tell people afterwards whether they were right.")
    gold_threshold = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Who is right on less than this share of the gold items is paused; 0 pauses nobody.",
    )
    gold_minimum = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1)], help_text="Gold items answered before anybody is paused."
    )
    quiz_length = models.PositiveSmallIntegerField(
        default=0, help_text="Gold items a new annotator answers first; 0 for no quiz."
    )
    quiz_threshold = models.FloatField(
        default=0.8,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the quiz to get right.",
    )
    review_disagreement = models.BooleanField(
        default=True, help_text="Items on which people disagree go to the reviewers."
    )
    heldout_share = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0), MaxValueValidator(0.9)],
        help_text="Share of new prompts kept for evaluation and never trained on.",
    )
    licence = models.CharField(
        max_length=120,
        blank=True,
        help_text="Of the data, for its card when it is taken out, such as cc-by-4.0. Not stated if empty.",
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

    def member_names(self) -> Names:
        """Whom somebody can mention here."""
        return Names(self.memberships.values_list("person__username", flat=True))

    @property
    def current_guidelines(self) -> "Guidelines | None":
        return self.guidelines_versions.order_by("-number").first()

    @property
    def guidelines(self) -> str:
        """The text of the newest version; empty if nobody has written any."""
        current = self.current_guidelines
        return current.text if current else ""


class Guidelines(models.Model):
    """One version of a project's guidelines, in Markdown; shown beside the work, and never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines_versions")
    number = models.PositiveIntegerField(help_text="1 is the first.")
    text = models.TextField(blank=True)
    note = models.CharField(max_length=300, blank=True, help_text="What changed, for those who read the last one.")
    asks_again = models.BooleanField(default=True, help_text="People are asked to read it before they go on.")
    author: "models.ForeignKey[User | None, User | None]" = models.ForeignKey(
        "annotation.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        verbose_name_plural = "guidelines"
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="guidelines_numbered_per_project")]

    def __str__(self) -> str:
        return f"guidelines {self.number}"
