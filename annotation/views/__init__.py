"""The pages of room 1, a module for each topic: gate, form, verb, render."""

from typing import Any

from annotation.models import Membership
from annotation.models.people import Role


def place(member: Membership) -> dict[str, Any]:
    """What every page inside a project shows."""
    return {
        "project": member.project,
        "member": member,
        "is_lead": member.at_least(Role.LEAD),
        "is_reviewer": member.at_least(Role.REVIEWER),
    }
