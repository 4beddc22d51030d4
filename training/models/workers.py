"""Processes that serve a queue, as they speak of themselves."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

SILENT = timedelta(seconds=60)  # after which one is taken for dead
FORGOTTEN = timedelta(hours=1)  # after which nobody asks for it any more


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> "WorkerQuerySet":
        return self.filter(beat_at__gte=timezone.now() - SILENT)

    def silent(self) -> "WorkerQuerySet":
        return self.filter(beat_at__lt=timezone.now() - SILENT)

    def forgotten(self) -> "WorkerQuerySet":
        return self.filter(beat_at__lt=timezone.now() - FORGOTTEN)


class Worker(models.Model):
    """One `manage.py qcluster`, which says every few seconds that it is alive. One that stops in order takes its row
    along; one that is killed leaves it, to be seen for an hour."""

    name = models.CharField(max_length=120, unique=True, help_text="Its machine and process.")
    queue = models.CharField(max_length=32)
    processes = models.PositiveSmallIntegerField(default=0, help_text="That work on tasks.")
    devices = models.JSONField(default=list, blank=True, help_text="Number, name, and bytes of memory used and in all.")
    started_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["queue", "name"]

    def __str__(self) -> str:
        return f"{self.queue} {self.name}"
