"""Who did what to which row."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from annotation.models.people import User
from annotation.models.projects import Project
from annotation.models.webhooks import announce

TAGGED, PRIORITISED = "tags changed", "priority changed"
IN_BULK = [TAGGED, PRIORITISED]  # one event for a batch of rows, whose ids are in `data`


class Event(models.Model):
    """Append-only. `actor` is empty when the product acted by itself (a schedule, a round's policy)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="events")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="events")
    verb = models.CharField(max_length=64)
    target = models.CharField(max_length=64, help_text="The row: its model's name and id.")
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], name="event_newest"),
            models.Index(fields=["target"], name="event_target"),
            GinIndex(
                fields=["data"],
                opclasses=["jsonb_path_ops"],
                condition=models.Q(verb__in=IN_BULK),
                name="event_in_bulk",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


def record(verb: str, target: models.Model, *, project: Project | None, actor: User | None, **data: object) -> Event:
    """Write down that `actor` did `verb` to `target`, and which webhooks are told; call it inside the transaction that
    did it. `project` is none for what concerns an account and no project."""
    name = f"{target._meta.model_name}:{target.pk}"
    event = Event.objects.create(project=project, actor=actor, verb=verb, target=name, data=data)
    announce(event)
    return event
