"""What is asked of the model, and what was answered."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from pgvector.django import VectorField

from annotation.models.projects import Project


class Split(models.TextChoices):
    TRAIN = "train", "Train"
    HELDOUT = "heldout", "Held out"


class Origin(models.TextChoices):
    IMPORT = "import", "Imported"
    HUMAN = "human", "Written by a person"
    EDIT = "edit", "Edited by a person"
    MODEL = "model", "Sampled from a model"


class PromptQuerySet(models.QuerySet["Prompt"]):
    def train(self) -> "PromptQuerySet":
        return self.filter(split=Split.TRAIN)

    def heldout(self) -> "PromptQuerySet":
        return self.filter(split=Split.HELDOUT)


class Prompt(models.Model):
    """The conversation up to the answer: an optional system message, then turns that end with the user's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts", db_index=False)
    messages = models.JSONField()
    sha256 = models.CharField(max_length=64, editable=False)
    split = models.CharField(max_length=8, choices=Split, editable=False)
    language = models.CharField(max_length=16, blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    edited_from = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="edits",
        db_index=False,
        help_text="The conversation whose earlier turns were mended into this one; it is in the same split.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="prompt_once_per_project"),
            models.CheckConstraint(condition=models.Q(split__in=Split.values), name="prompt_split_known"),
        ]
        indexes = [  # a team's part of the queue starts from its prompts
            GinIndex(fields=["tags"], fastupdate=False, name="prompt_tags"),
            models.Index(fields=["project", "language"], name="prompt_language"),
            models.Index(fields=["edited_from"], condition=models.Q(edited_from__isnull=False), name="prompt_mended"),
            models.Index(fields=["project", "created_at", "id"], name="prompt_newest"),  # Browse goes along it
        ]

    def __str__(self) -> str:
        return self.last_turn[:80]

    @property
    def last_turn(self) -> str:
        return str(self.messages[-1]["content"]) if self.messages else ""


class Response(models.Model):
    """An answer to a prompt. Its text never changes; an edit is another response."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="responses", db_index=False)
    text = models.TextField()
    sha256 = models.CharField(max_length=64, editable=False)
    origin = models.CharField(max_length=8, choices=Origin)
    edited_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="edits", db_index=False
    )
    embedding = VectorField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "sha256"], name="response_once_per_prompt"),
            models.CheckConstraint(condition=models.Q(origin__in=Origin.values), name="response_origin_known"),
        ]
        indexes = [  # for Browse; an answer that is imported costs none of them anything
            models.Index(fields=["edited_from"], condition=models.Q(edited_from__isnull=False), name="response_edited"),
            models.Index(
                fields=["origin", "prompt"], condition=~models.Q(origin="import"), name="response_not_imported"
            ),
            models.Index(fields=["prompt"], condition=models.Q(embedding__isnull=False), name="response_embedded"),
        ]

    def __str__(self) -> str:
        return self.text[:80]
