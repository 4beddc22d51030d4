"""What the checks found in a project's prompts and answers, and how far they have come."""

from django.db import models
from django.db.models import F, Q

from annotation.models.people import User
from annotation.models.projects import Project
from annotation.models.prompts import Prompt, Response


class Check(models.TextChoices):
    SECRET = "secret", "Key or token"
    PERSONAL = "personal", "Personal data"
    PLACEHOLDER = "placeholder", "Left from a template"
    ENCODING = "encoding", "Broken letters"
    BOILERPLATE = "boilerplate", "Speaks about itself"
    REFUSAL = "refusal", "Refusal"
    REPETITION = "repetition", "Repetition"
    LANGUAGE = "language", "Another language"
    LENGTH = "length", "Unusual length"
    DUPLICATE = "duplicate", "Duplicate"
    NEAR_DUPLICATE = "near_duplicate", "Near duplicate"
    OVERLAP = "overlap", "Also held out"
    LABEL_ERROR = "label_error", "Likely label error"
    TOXICITY = "toxicity", "Likely toxic"


class Decision(models.TextChoices):
    OPEN = "open", "Open"
    ACCEPTED = "accepted", "It is fine"
    MENDED = "mended", "Mended"
    SENT = "sent", "Sent to annotators"
    EXCLUDED = "excluded", "Excluded"


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self) -> "FindingQuerySet":
        return self.filter(state=Decision.OPEN)


class Finding(models.Model):
    """Something a check found in an answer, or in a prompt where `response` is empty.

    `key` tells what was found there from everything else that this check could find there, so that checking again adds
    nothing and what was decided stays. A place is `start` to `end`, in characters, of the answer or of this `turn`.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="findings", db_index=False)
    kind = models.CharField(max_length=16, choices=Check)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="findings")
    response = models.ForeignKey(Response, on_delete=models.CASCADE, null=True, blank=True, related_name="findings")
    key = models.CharField(max_length=40)
    turn = models.PositiveSmallIntegerField(null=True, blank=True)
    start = models.PositiveIntegerField(null=True, blank=True)
    end = models.PositiveIntegerField(null=True, blank=True)
    sentence = models.CharField(max_length=300)
    score = models.FloatField(default=0, help_text="How bad or how sure it is, from 0 to 1.")
    data = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=8, choices=Decision, default=Decision.OPEN)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "response", "kind", "key"], nulls_distinct=False, name="finding_once"
            ),
            models.CheckConstraint(condition=Q(kind__in=Check.values), name="finding_kind_known"),
            models.CheckConstraint(condition=Q(state__in=Decision.values), name="finding_state_known"),
            models.CheckConstraint(
                condition=Q(state=Decision.OPEN, decided_at=None)
                | Q(~Q(state=Decision.OPEN), decided_at__isnull=False),
                name="finding_decided_at_some_time",
            ),
        ]
        indexes = [  # the page: of any kind, of a state, of both
            models.Index("project", F("id").desc(), name="finding_newest"),
            models.Index("project", "state", F("id").desc(), name="finding_of_state"),
            models.Index("project", "state", "kind", F("id").desc(), name="finding_of_kind"),
        ]

    def __str__(self) -> str:
        return self.sentence


class Cleaning(models.Model):
    """How far the checks of a project have come: every prompt and answer up to these ids was looked at."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="cleaning")
    version = models.PositiveSmallIntegerField(default=0, help_text="Of the checks; a newer one looks at all anew.")
    prompts_seen = models.BigIntegerField(default=0)
    responses_seen = models.BigIntegerField(default=0)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When somebody wanted it all checked now.")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="When the process at it was last heard of.")
    stage = models.CharField(max_length=16, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    compared_prompts = models.BigIntegerField(default=0, help_text="The newest when all were laid side by side.")
    compared_responses = models.BigIntegerField(default=0)
    compared_seconds = models.FloatField(default=0)
    compared_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "cleaning"

    def __str__(self) -> str:
        return f"cleaning of {self.project}"
