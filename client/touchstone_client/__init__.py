"""Touchstone from Python: bring rows in, label, take labels out, train, promote."""

from touchstone_client.client import Client
from touchstone_client.errors import (
    Conflict,
    Invalid,
    NotFound,
    NotPermitted,
    NotSignedIn,
    RunFailed,
    TouchstoneError,
    Unreachable,
)
from touchstone_client.project import Assignment, Project

__all__ = [
    "Assignment",
    "Client",
    "Conflict",
    "Invalid",
    "NotFound",
    "NotPermitted",
    "NotSignedIn",
    "Project",
    "RunFailed",
    "TouchstoneError",
    "Unreachable",
]
