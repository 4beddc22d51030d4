"""The domain of room 1; each topic has its module."""

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
from annotation.models.talk import Comment, Notice

__all__ = [
    "Assignment",
    "BulkChange",
    "Cleaning",
    "Comment",
    "Consensus",
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
]
