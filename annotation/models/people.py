"""People and what they may do in a project."""

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from annotation.models.projects import Guidelines, Project

INVITATION_DAYS = 14


class User(AbstractUser):
    """A person who signs in."""

    keys = models.JSONField(
        default=dict, blank=True, help_text="Shortcuts of their own: the key for each action they changed."
    )
    within: int | None = None  # the only project there is, for whoever came by an access key that opens one
    least: "Role | None" = None  # what the door by which they came asks for in a project (annotation/doors.py)

    sessions_ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when nothing here says who they were."
    )

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"
        constraints = [
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(is_active=False, is_staff=False, is_superuser=False, email="", first_name="", last_name=""),
                name="erased_person_is_nobody",
            )
        ]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """A session holds while this does: until the password changes, or all sessions are ended."""
        made: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        if self.sessions_ended_at is None:
            return made
        ended = f"{made}:{self.sessions_ended_at.isoformat()}"
        return salted_hmac("touchstone.sessions", ended, secret=secret, algorithm="sha256").hexdigest()


class Role(models.TextChoices):
    ANNOTATOR = "annotator", "Annotator"
    REVIEWER = "reviewer", "Reviewer"
    LEAD = "lead", "Lead"


RANK = {Role.ANNOTATOR: 1, Role.REVIEWER: 2, Role.LEAD: 3}


class MembershipQuerySet(models.QuerySet["Membership"]):
    def leads(self) -> "MembershipQuerySet":
        return self.filter(role=Role.LEAD)


class Membership(models.Model):
    """One person's role in one project; a higher role includes the lower ones."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    project: "models.ForeignKey[Project, Project]" = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)
    simulated = models.BooleanField(
        default=False, help_text="A program that plays an annotator: its labels carry this mark for ever."
    )
    imported = models.BooleanField(
        default=False, help_text="A rater of files that were imported: labels came with their name, nobody signs in."
    )
    read_guidelines: "models.ForeignKey[Guidelines | None, Guidelines | None]" = models.ForeignKey(
        "annotation.Guidelines", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    quiz_passed_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when they are given no items.")
    paused_because = models.CharField(max_length=300, blank=True)
    gold_since = models.DateTimeField(
        null=True, blank=True, help_text="From when their answers to gold count: since a lead last let them go on."
    )
    excluded_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when their labels count for nothing in consensus and training."
    )
    reliability = models.FloatField(
        null=True, blank=True, help_text="Chance that they say what the consensus says, from 0 to 1."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()
    newest_guidelines: "Guidelines | None"  # without the text; only where it was read along (annotation/at_hand.py)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "project"], name="one_role_per_person_and_project"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person} · {self.role}"

    def at_least(self, role: str) -> bool:
        return RANK[Role(self.role)] >= RANK[Role(role)]


class Team(models.Model):
    """A part of the data and the people who work on it: prompts with one of the tags, in one of the languages.

    An empty list of either leaves that side open. People in no team are given items of the whole project; people
    in several, items that fit any of their teams.
    """

    project: "models.ForeignKey[Project, Project]" = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="teams"
    )
    name = models.CharField(max_length=80)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    languages = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    members = models.ManyToManyField(Membership, related_name="teams", blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="team_named_once_per_project")]

    def __str__(self) -> str:
        return self.name


def invitation_token() -> str:
    return secrets.token_urlsafe(24)


def invitation_end() -> datetime:
    return timezone.now() + timedelta(days=INVITATION_DAYS)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        return self.filter(revoked_at__isnull=True, expires_at__gt=timezone.now(), used__lt=F("uses"))


class Invitation(models.Model):
    """A link by which people join a project by themselves, in a role and perhaps a team."""

    project: "models.ForeignKey[Project, Project]" = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="invitations"
    )
    token = models.CharField(max_length=64, unique=True, default=invitation_token, editable=False)
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)
    team = models.ForeignKey(Team, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    uses = models.PositiveSmallIntegerField(default=1, help_text="How many people may come by it.")
    used = models.PositiveSmallIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField(default=invitation_end)
    revoked_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(used__lte=F("uses")), name="invitation_never_over_used"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="invitation_role_known"),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk} as {self.role}"
