"""The domain of room 1; each topic has its module."""

from annotation.models.accesskeys import AccessKey
from annotation.models.browsing import BulkChange, SavedView, SearchMark, SearchText
from annotation.models.cleaning import Cleaning, Finding
from annotation.models.events import Event
from annotation.models.exports import Export
from annotation.models.imports import Import, RejectedRow
from annotation.models.items import Assignment, Item, ItemResponse
from annotation.models.labels import Judgement, Label
from annotation.models.people import Invitation, Membership, Team, User
from annotation.models.projects import Guidelines, Project
from annotation.models.prompts import Prompt, Response
from annotation.models.quality import Consensus, Gold, QualityReport, Review
from annotation.models.repeats import KeptAnswer
from annotation.models.talk import Comment, Notice
from annotation.models.webhooks import Delivery, Webhook

__all__ = [
    "AccessKey",
    "Assignment",
    "BulkChange",
    "Cleaning",
    "Comment",
    "Consensus",
    "Delivery",
    "Event",
    "Export",
    "Finding",
    "Gold",
    "Guidelines",
    "Import",
    "Invitation",
    "Item",
    "ItemResponse",
    "Judgement",
    "KeptAnswer",
    "Label",
    "Membership",
    "Notice",
    "Project",
    "Prompt",
    "QualityReport",
    "RejectedRow",
    "Response",
    "Review",
    "SavedView",
    "SearchMark",
    "SearchText",
    "Team",
    "User",
    "Webhook",
]
