"""What is asked of the model, and what was answered."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Length
from django.utils.text import Truncator

from annotation.models.projects import Project


class Split(models.TextChoices):
    TRAIN = "train", "Train"
    HELDOUT = "heldout", "Held out"


class Origin(models.TextChoices):
    IMPORT = "import", "Imported"
    HUMAN = "human", "Written by a person"
    EDIT = "edit", "Edited by a person"
    MODEL = "model", "Sampled from a model"


def excluded_with_a_reason() -> models.Q:
    return models.Q(excluded_at=None, excluded_because="") | models.Q(
        models.Q(excluded_at__isnull=False), ~models.Q(excluded_because="")
    )


class PromptQuerySet(models.QuerySet["Prompt"]):
    def train(self) -> "PromptQuerySet":
        return self.filter(split=Split.TRAIN)

    def heldout(self) -> "PromptQuerySet":
        return self.filter(split=Split.HELDOUT)

    def kept(self) -> "PromptQuerySet":
        """Those that were not excluded."""
        return self.filter(excluded_at__isnull=True)

    def originals(self) -> "PromptQuerySet":
        """Those that no person made of another one, unless they stand in for it."""
        return self.filter(models.Q(edited_from=None) | models.Q(edited_from__excluded_at__isnull=False))


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
    excluded_at = models.DateTimeField(null=True, blank=True, editable=False)
    excluded_because = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="prompt_once_per_project"),
            models.CheckConstraint(condition=models.Q(split__in=Split.values), name="prompt_split_known"),
            models.CheckConstraint(condition=excluded_with_a_reason(), name="prompt_excluded_with_a_reason"),
        ]
        indexes = [  # a team's part of the queue starts from its prompts
            GinIndex(fields=["tags"], fastupdate=False, name="prompt_tags"),
            models.Index(fields=["project", "language", "created_at", "id"], name="prompt_language_newest"),
            models.Index(fields=["edited_from"], condition=models.Q(edited_from__isnull=False), name="prompt_mended"),
            models.Index(fields=["project", "created_at", "id"], name="prompt_newest"),  # Browse goes along it
            models.Index(fields=["project"], condition=models.Q(excluded_at__isnull=False), name="prompt_excluded"),
        ]

    def __str__(self) -> str:
        return Truncator(self.last_turn).chars(80)

    @property
    def last_turn(self) -> str:
        return str(self.messages[-1]["content"]) if self.messages else ""


class ResponseQuerySet(models.QuerySet["Response"]):
    def kept(self) -> "ResponseQuerySet":
        """Those that were not excluded, nor their prompts."""
        return self.filter(excluded_at__isnull=True, prompt__excluded_at__isnull=True)


class Response(models.Model):
    """An answer to a prompt. Its text never changes; an edit is another response."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="responses", db_index=False)
    text = models.TextField()
    sha256 = models.CharField(max_length=64, editable=False)
    origin = models.CharField(max_length=8, choices=Origin)
    edited_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="edits", db_index=False
    )
    excluded_at = models.DateTimeField(null=True, blank=True, editable=False)
    excluded_because = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ResponseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "sha256"], name="response_once_per_prompt"),
            models.CheckConstraint(condition=models.Q(origin__in=Origin.values), name="response_origin_known"),
            models.CheckConstraint(condition=excluded_with_a_reason(), name="response_excluded_with_a_reason"),
        ]
        indexes = [  # an answer that is imported costs only the first anything
            models.Index(Length("text"), "id", name="response_length"),  # Browse goes along it
            models.Index(fields=["prompt"], condition=models.Q(excluded_at__isnull=False), name="response_excluded"),
            models.Index(fields=["edited_from"], condition=models.Q(edited_from__isnull=False), name="response_edited"),
            models.Index(
                fields=["origin", "prompt"], condition=~models.Q(origin="import"), name="response_not_imported"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]
