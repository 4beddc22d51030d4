"""The admin of room 1; each topic has its module."""

from annotation.admin import labels, people, projects, work

__all__ = ["labels", "people", "projects", "work"]
