"""People and what they may do in a project."""

from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.db import models

if TYPE_CHECKING:
    from annotation.models.projects import Project


class User(AbstractUser):
    """A person who signs in."""

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"


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
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "project"], name="one_role_per_person_and_project"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person} · {self.role}"

    def at_least(self, role: str) -> bool:
        return RANK[Role(self.role)] >= RANK[Role(role)]
