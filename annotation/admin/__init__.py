"""The admin of room 1; each topic has its module."""

from annotation.admin import accesskeys, labels, people, projects, work

__all__ = ["accesskeys", "labels", "people", "projects", "work"]
