"""Tags that a classifier suggests for prompts, and what people made of it. Kept apart from people's tags, for ever."""

from django.db import models
from django.db.models import F, Q

from annotation.models import Project, Prompt, User
from training.models.registry import ModelVersion
from training.models.runs import Run


class State(models.TextChoices):
    OPEN = "open", "Not decided"
    ACCEPTED = "accepted", "Accepted"
    DISMISSED = "dismissed", "Dismissed"
    REPLACED = "replaced", "Replaced by a later model's"


DECIDED = (State.ACCEPTED, State.DISMISSED)


class TagSuggestionQuerySet(models.QuerySet["TagSuggestion"]):
    def open(self) -> "TagSuggestionQuerySet":
        """Those that wait for somebody to decide: the prompt has not been given the tag otherwise."""
        return self.filter(state=State.OPEN).exclude(prompt__tags__contains=[F("tag")])


class TagSuggestion(models.Model):
    """One tag for one prompt, by one version. Of several versions' the last stands; what was decided is not asked
    again, whichever model suggests it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tag_suggestions", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="tag_suggestions", db_index=False)
    tag = models.CharField(max_length=64)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="tag_suggestions")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="tag_suggestions")
    confidence = models.FloatField(help_text="The probability that the model gives the tag.")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TagSuggestionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "tag", "model_version"], name="suggested_once_by_a_model"),
            models.UniqueConstraint(
                fields=["prompt", "tag"], condition=~Q(state="replaced"), name="one_suggestion_of_a_tag_stands"
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="suggestion_state_known"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="suggestion_confidence"),
            models.CheckConstraint(
                condition=Q(state__in=DECIDED, decided_at__isnull=False)
                | Q(~Q(state__in=DECIDED), decided_at__isnull=True),
                name="suggestion_decided_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["project", "tag"], condition=Q(state="open"), name="suggestion_open")]

    def __str__(self) -> str:
        return f"{self.tag} for prompt {self.prompt_id}"

    @property
    def percent(self) -> int:
        """Below 100 unless it is quite sure.

        >>> TagSuggestion(confidence=0.996).percent, TagSuggestion(confidence=0.4).percent
        (99, 40)
        """
        return int(100 * self.confidence)
