"""Pieces of work, and people's claims on them."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from annotation.models.people import User
from annotation.models.projects import Project
from annotation.models.prompts import Prompt, Response


class Kind(models.TextChoices):
    DEMONSTRATION = "demonstration", "Demonstration"
    COMPARISON = "comparison", "Comparison"


class Purpose(models.TextChoices):
    TRAIN = "train", "Training"
    GOLD = "gold", "Gold"
    HEAD_TO_HEAD = "head_to_head", "Head to head"
    AUDIT = "audit", "Audit"


class ItemQuerySet(models.QuerySet["Item"]):
    def open(self) -> "ItemQuerySet":
        """Those that can still be handed to somebody."""
        return self.filter(dropped=False, taken__lt=F("wanted"))

    def work(self) -> "ItemQuerySet":
        """Those that are asked for their answers: gold is asked to see how well people judge."""
        return self.exclude(purpose=Purpose.GOLD)

    def of_kind(self, kind: str) -> "ItemQuerySet":
        return self.filter(kind=kind)


class Item(models.Model):
    """A piece of work: clean or write one answer, or rank 2 to 8 answers.

    `taken` counts the assignments that are leased or submitted. It is changed in the statement that claims
    the item (annotation/leasing.py), and the database refuses a value above `wanted`: that is what keeps
    labels from exceeding what was wanted, however many people ask at once.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="items")
    kind = models.CharField(max_length=16, choices=Kind)
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.TRAIN)
    priority = models.FloatField(default=0, help_text="Higher is asked first.")
    wanted = models.PositiveSmallIntegerField(default=1)
    taken = models.PositiveSmallIntegerField(default=0, editable=False)
    dropped = models.BooleanField(default=False)
    set_aside = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Dropped while its prompt or one of its answers is excluded; asked again when that returns.",
    )
    selection = models.JSONField(default=dict, blank=True, help_text="How it was chosen: selector and scores.")
    fingerprint = models.CharField(max_length=64, editable=False)
    responses = models.ManyToManyField(Response, through="ItemResponse", related_name="items")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "fingerprint"], name="item_asked_once_per_project"),
            models.CheckConstraint(condition=Q(taken__lte=F("wanted")), name="item_never_over_wanted"),
            models.CheckConstraint(condition=Q(set_aside=False) | Q(dropped=True), name="item_set_aside_is_dropped"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="item_kind_known"),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="item_purpose_known"),
        ]
        indexes = [
            models.Index(
                "project",
                "kind",
                F("priority").desc(),
                "id",
                condition=Q(dropped=False, taken__lt=F("wanted")),
                name="item_queue",
            ),
            models.Index(fields=["project", "kind"], name="item_kind"),
            models.Index(fields=["project"], condition=Q(dropped=True), name="item_dropped"),
            models.Index(fields=["project"], condition=Q(set_aside=True), name="item_set_aside"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class ItemResponse(models.Model):
    """One of an item's answers. Its order here is not the order people see: each assignment draws its own."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="answers", db_index=False)
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="item_answers", db_index=False)
    order = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["order"]
        constraints = [
            models.UniqueConstraint(fields=["response", "item"], name="response_asked_once_per_item"),
            models.UniqueConstraint(fields=["item", "order"], name="one_response_per_place"),
            models.CheckConstraint(condition=Q(order__lt=8), name="at_most_eight_answers"),
        ]

    def __str__(self) -> str:
        return f"answer {self.order} of item {self.item_id}"


class State(models.TextChoices):
    LEASED = "leased", "Leased"
    SUBMITTED = "submitted", "Submitted"
    SKIPPED = "skipped", "Skipped"
    EXPIRED = "expired", "Expired"
    RETRACTED = "retracted", "Retracted"


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def held(self) -> "AssignmentQuerySet":
        return self.filter(state=State.LEASED)

    def overdue(self, now: datetime) -> "AssignmentQuerySet":
        return self.held().filter(lease_until__lt=now)


class Assignment(models.Model):
    """One person's claim on one item; there is never a second row for the same two.

    `order` is the order in which this person sees the answers (response ids, left first), drawn at random
    when the item is first leased to them, and the same ever after. A `review` is a reviewer's claim on a case
    that others have labelled: it takes none of the item's places.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments")
    state = models.CharField(max_length=16, choices=State, default=State.LEASED)
    review = models.BooleanField(default=False)
    leased_at = models.DateTimeField(help_text="When it was last given to a page.")
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    order = ArrayField(models.BigIntegerField())
    skip_reason = models.CharField(max_length=300, blank=True)
    draft = models.JSONField(default=dict, blank=True)

    objects = AssignmentQuerySet.as_manager()
    seen: list[Response] | None = None  # what `shown` says, once it is known

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "person"], name="nobody_meets_an_item_twice"),
            models.CheckConstraint(condition=Q(state__in=State.values), name="assignment_state_known"),
        ]
        indexes = [
            models.Index(fields=["person", "id"], condition=Q(state="leased"), name="assignment_held"),
            models.Index(fields=["lease_until"], condition=Q(state="leased"), name="assignment_overdue"),
        ]

    def __str__(self) -> str:
        return f"{self.person} on item {self.item_id} ({self.state})"

    def shown(self) -> list[Response]:
        """The answers in the order this person sees them."""
        if self.seen is None:
            by_id = {response.pk: response for response in self.item.responses.all()}
            self.seen = [by_id[pk] for pk in self.order]
        return self.seen
