"""The domain of room 1; each topic has its module."""

from annotation.models.events import Event
from annotation.models.items import Assignment, Item, ItemResponse
from annotation.models.labels import Judgement, Label
from annotation.models.people import Membership, User
from annotation.models.projects import Project
from annotation.models.prompts import Prompt, Response

__all__ = [
    "Assignment",
    "Event",
    "Item",
    "ItemResponse",
    "Judgement",
    "Label",
    "Membership",
    "Project",
    "Prompt",
    "Response",
    "User",
]
