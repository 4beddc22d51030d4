"""Access keys: by which a program acts for a person, within limits and for a time."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.people import User
from annotation.models.projects import Project


class Scope(models.TextChoices):
    """What an access key opens; a person's role in a project limits it further."""

    READ = "read", "Read"
    LABEL = "label", "Label"
    DATA = "data", "Data"
    TRAIN = "train", "Train"
    MANAGE = "manage", "Manage"


# For whoever chooses.
OPENS = {
    Scope.READ: "Look at all that your role shows: projects, prompts, labels, runs, models, figures.",
    Scope.LABEL: "Take items, say what you think of them, comment, review.",
    Scope.DATA: "Bring rows in, take them out, freeze snapshots.",
    Scope.TRAIN: "Start and stop runs, rounds, samples and measurements; promote and delete models.",
    Scope.MANAGE: "People, teams, gold, guidelines, rules, webhooks, and your access keys.",
}


class AccessKeyQuerySet(models.QuerySet["AccessKey"]):
    def working(self) -> "AccessKeyQuerySet":
        return self.filter(revoked_at__isnull=True, expires_at__gt=timezone.now())


class AccessKey(models.Model):
    """Of the secret only its hash is kept: it is drawn at random and long, so no salt or slow hash is needed."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, editable=False, help_text="How the secret begins, to tell keys apart.")
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope))
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: all of theirs."
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="Within a minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AccessKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values) & Q(scopes__len__gt=0), name="access_key_scopes_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def why_closed(self) -> str:
        """Empty while it works."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else ""

    @property
    def opens_all(self) -> bool:
        return set(self.scopes) == set(Scope.values)
