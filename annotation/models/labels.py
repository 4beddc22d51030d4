"""What people said. Append-only: a correction supersedes, a withdrawal is marked, nothing is overwritten."""

import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q

from annotation.models.items import Assignment, Item
from annotation.models.people import Membership, User
from annotation.models.projects import Guidelines, Project
from annotation.models.prompts import Response


class Verdict(models.TextChoices):
    ACCEPT = "accept", "Accept"
    EDIT = "edit", "Edit"
    REJECT = "reject", "Reject"


def _not_excluded() -> Q:
    excluded = Membership.objects.filter(
        project=OuterRef("project"), person=OuterRef("person"), excluded_at__isnull=False
    )
    return Q(~Exists(excluded))


class LabelQuerySet(models.QuerySet["Label"]):
    def live(self) -> "LabelQuerySet":
        """Neither withdrawn nor replaced by a later word of the same person."""
        # Not `superseded_by__isnull`: of its join PostgreSQL expects one row, and plans loops that take minutes.
        return self.filter(~Exists(Label.objects.filter(supersedes=OuterRef("pk"))), retracted_at__isnull=True)

    def votes(self) -> "LabelQuerySet":
        """Live labels of those who were asked, which reviewers' decisions are not: what agreement is about."""
        return self.live().filter(decision=False)

    def decisive(self) -> "LabelQuerySet":
        """Where a reviewer has decided an item, the newest decision alone; everywhere else all that is there.

        A decision of somebody excluded settles nothing, and one by a program nothing that people said.
        """
        decisions = Label.objects.live().filter(_not_excluded(), decision=True, item=OuterRef("item"))
        decisions = decisions.filter(Q(simulated=False) | Q(simulated=OuterRef("simulated")))
        newer = decisions.filter(pk__gt=OuterRef("pk"))
        return self.filter(~Exists(newer), Q(decision=True) | ~Exists(decisions))

    def counted(self) -> "LabelQuerySet":
        """Live labels of people who were not excluded, gold left out: those that say something about answers."""
        return self.live().exclude(item__purpose="gold").filter(_not_excluded())

    def kept(self) -> "LabelQuerySet":
        """Those about prompts that were not excluded, nor was the text that they stand for."""
        return self.filter(item__prompt__excluded_at__isnull=True).filter(
            Q(response=None) | Q(response__excluded_at__isnull=True, response__prompt__excluded_at__isnull=True)
        )

    def trainable(self, *, simulated: bool = False) -> "LabelQuerySet":
        """Labels that may enter a training snapshot: counted and decisive ones on no held-out or excluded prompt, by
        no simulated person.

        Where earlier turns were mended, the answer belongs to the conversation that came of it; that might have been
        there before, and be held out.
        """
        labels = self.counted().decisive().kept().filter(item__prompt__split="train")
        labels = labels.exclude(response__prompt__split="heldout")
        return labels if simulated else labels.filter(simulated=False)


class Label(models.Model):
    """One judgement by one person of one item.

    Demonstration: `verdict`, and `response`, the text that may be trained on (the original if accepted, the
    new one if edited, none if rejected) as an answer to its own prompt, which is the item's unless earlier turns were
    mended. Comparison: a `Judgement` per answer, `strength`, an index into the project's levels (1 is the weakest;
    empty for ties), and perhaps `response`, the best answer made better. `flags` are those of the project's that hold.
    `criteria` names for each criterion the answer that is better in it (0 for none). A `decision` is the word of
    a reviewer, which settles the item. `gold_correct` is empty but for gold items.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="labels", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="labels")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="labels")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="labels", db_index=False)
    client_uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)
    response = models.ForeignKey(Response, on_delete=models.PROTECT, null=True, blank=True, related_name="labels")
    flags = models.JSONField(default=list, blank=True)
    strength = models.PositiveSmallIntegerField(null=True, blank=True)
    criteria = models.JSONField(default=dict, blank=True)
    comment = models.TextField(blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="Time spent on the page.")
    simulated = models.BooleanField(default=False)
    guidelines = models.ForeignKey(
        Guidelines, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="The version seen."
    )
    decision = models.BooleanField(default=False)
    gold_correct = models.BooleanField(null=True, blank=True)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    retracted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LabelQuerySet.as_manager()
    resent = False  # it was there already when somebody sent it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(supersedes__isnull=True),
                name="one_first_label_per_assignment",
            ),
            models.CheckConstraint(condition=Q(verdict__in=["", *Verdict.values]), name="label_verdict_known"),
            models.CheckConstraint(
                condition=~Q(verdict__in=["accept", "edit"]) | Q(response__isnull=False),
                name="kept_text_is_there",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="label_newest"),
            models.Index(fields=["person", "project", "-id"], name="label_of_person"),
            models.Index(fields=["person", "item"], condition=Q(gold_correct__isnull=False), name="label_of_gold"),
            models.Index(fields=["project", "created_at", "id"], name="label_dates"),
            GinIndex(fields=["flags"], opclasses=["jsonb_path_ops"], condition=~Q(flags=[]), name="label_flags"),
        ]

    def __str__(self) -> str:
        return f"Label {self.pk} by {self.person}"


class Judgement(models.Model):
    """Where one answer stood in a label: its rank (1 is best; equal ranks are ties), whether it was
    unacceptable, and its place on the screen (0 is left)."""

    label = models.ForeignKey(Label, on_delete=models.PROTECT, related_name="judgements", db_index=False)
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="judgements")
    position = models.PositiveSmallIntegerField()
    rank = models.PositiveSmallIntegerField()
    unacceptable = models.BooleanField(default=False)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["label", "response"], name="answer_judged_once_per_label"),
            models.UniqueConstraint(fields=["label", "position"], name="one_answer_per_position"),
            models.CheckConstraint(condition=Q(rank__gte=1, rank__lte=8), name="rank_in_range"),
        ]

    def __str__(self) -> str:
        return f"rank {self.rank} in label {self.label_id}"
