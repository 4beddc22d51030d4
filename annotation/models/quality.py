"""What is known about how well people judge: gold, reviews, consensus."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from annotation.models.items import Assignment, Item
from annotation.models.labels import Label
from annotation.models.people import User
from annotation.models.projects import Project


class Gold(models.Model):
    """The right answer to an item, which is asked to see how well people judge. It never counts as data.

    Demonstration: any of `verdicts` is right. Comparison: `ranks` by response id; a label is right when it puts
    every two answers of different rank in the same order, and calls unacceptable what is.
    """

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="gold")
    verdicts = ArrayField(models.CharField(max_length=8), default=list, blank=True)
    ranks = models.JSONField(default=dict, blank=True)
    unacceptable = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Response ids.")
    explanation = models.TextField(blank=True, help_text="Shown afterwards, if the project gives feedback.")
    quiz = models.BooleanField(default=False, help_text="Asked of new annotators, and of nobody else.")
    author = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "gold"

    def __str__(self) -> str:
        return f"gold of {self.item}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def open(self) -> "ReviewQuerySet":
        return self.filter(closed_at__isnull=True)


class Review(models.Model):
    """A case for the reviewers: an item on which people disagree, or that somebody flagged.

    It is claimed by an assignment of its own kind (`Assignment.review`), and closed by a label that decides.
    """

    class Reason(models.TextChoices):
        DISAGREEMENT = "disagreement", "People disagree"
        FLAG = "flag", "Somebody flagged it"
        ASKED = "asked", "A lead asked for it"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="reviews")
    reason = models.CharField(max_length=16, choices=Reason)
    assignment = models.OneToOneField(
        Assignment, on_delete=models.SET_NULL, null=True, blank=True, related_name="case", help_text="Who has it now."
    )
    decision = models.OneToOneField(Label, on_delete=models.PROTECT, null=True, blank=True, related_name="decides")
    opened_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(closed_at__isnull=True), name="one_open_case_per_item"
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["disagreement", "flag", "asked"]), name="review_reason_known"
            ),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(closed_at__isnull=True), name="review_open")]

    def __str__(self) -> str:
        return f"review of item {self.item_id}"


class QualityReport(models.Model):
    """Agreement and people's ways in a project with many labels, kept so that pages need not wait for them
    (annotation/kept.py)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="quality_report")
    agreement = models.JSONField()
    ways = models.JSONField()
    seen = models.BigIntegerField(help_text="The newest label at the time.")
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"quality of {self.project}"


class Consensus(models.Model):
    """What the people who labelled an item say together (annotation/consensus.py); made anew when labels change."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="consensus")
    method = models.CharField(max_length=24)
    outcome = models.JSONField(help_text="Demonstration: a verdict. Comparison: the ranks by response id.")
    confidence = models.FloatField(help_text="Probability that the outcome is right, by the method.")
    labels = ArrayField(models.BigIntegerField(), help_text="The labels behind it.")
    computed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "consensus"
        constraints = [
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="confidence_in_range")
        ]
        indexes = [
            models.Index(fields=["confidence", "id"], name="consensus_disputed"),
        ]

    def __str__(self) -> str:
        return f"consensus on item {self.item_id}"
