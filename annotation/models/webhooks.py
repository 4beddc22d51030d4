"""Other servers that are told what happens in a project: what they asked for, and each message to them."""

import base64
import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from annotation.models.people import User
from annotation.models.projects import Project

if TYPE_CHECKING:
    from annotation.models.events import Event

DELIVER = "annotation.tasks.deliver"
PING = "ping"  # of no event: asks whether the address is right


class Group(models.TextChoices):
    """Events by what they are about."""

    RUNS = "runs", "Runs"
    ROUNDS = "rounds", "Rounds"
    MODELS = "models", "Models"
    DATA = "data", "Data"
    LABELS = "labels", "Labels and reviews"
    QUALITY = "quality", "Gold and consensus"
    PEOPLE = "people", "People"
    RULES = "rules", "Guidelines and settings"


ABOUT = {  # the first word of an event's verb; any other is about rules
    **dict.fromkeys(("run", "tuning"), Group.RUNS),
    **dict.fromkeys(("round",), Group.ROUNDS),
    **dict.fromkeys(("model", "gate", "head", "drift"), Group.MODELS),
    **dict.fromkeys(("data", "snapshot", "work", "import", "export", "file", "recipe"), Group.DATA),
    **dict.fromkeys(("excluded", "brought", "checks", "languages", "tags", "priority"), Group.DATA),
    **dict.fromkeys(("label", "item", "case", "flag"), Group.LABELS),
    **dict.fromkeys(("gold", "consensus", "quiz"), Group.QUALITY),
    **dict.fromkeys(("second", "sessions"), Group.PEOPLE),
    **dict.fromkeys(("membership", "team", "teams", "invitation", "person", "personal", "access"), Group.PEOPLE),
}


def group_of(verb: str) -> Group:
    """
    >>> group_of("run failed").label, group_of("guidelines changed").label
    ('Runs', 'Guidelines and settings')
    """
    return ABOUT.get(verb.split(" ", 1)[0], Group.RULES)


def webhook_secret() -> str:
    """Drawn at random, in the form in which libraries for Standard Webhooks take it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Webhook(models.Model):
    """Another server. Its secret signs what is sent to it, and so is kept as it is."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    groups = ArrayField(models.CharField(max_length=16, choices=Group), help_text="What it is told of.")
    secret = models.CharField(max_length=80, default=webhook_secret, editable=False)
    active = models.BooleanField(default=True)
    quiet_until = models.DateTimeField(
        null=True, blank=True, help_text="Nobody answered: nothing is sent before, lest others wait."
    )
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(groups__contained_by=Group.values) & Q(groups__len__gt=0), name="webhook_groups_known"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def of_words(self) -> str:
        """What it is told of, as its form calls it."""
        return ", ".join(Group(one).label for one in self.groups)


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Given up"


class Delivery(models.Model):
    """One message to one webhook: written in the transaction of its event, sent afterwards, as often as it takes."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event: "models.ForeignKey[Event | None, Event | None]" = models.ForeignKey(
        "annotation.Event", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False, help_text="The same at every attempt.")
    verb = models.CharField(max_length=64)
    payload = models.JSONField()
    state = models.CharField(max_length=16, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of the last answer.")
    answer = models.CharField(max_length=500, blank=True, help_text="How it begins; or why there was none.")
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_newest"),
            models.Index(fields=["created_at"], condition=Q(state="failed"), name="delivery_given_up"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} to {self.webhook_id}"

    @property
    def payload_text(self) -> str:
        return json.dumps(self.payload, indent=1, ensure_ascii=False)


def announce(event: "Event") -> None:
    """Write down a message for each webhook that is told of such events, and wake the queue once that is committed."""
    if event.project is None:
        return
    told = Webhook.objects.filter(project=event.project, active=True, groups__contains=[group_of(event.verb)])
    payload = {
        **envelope(event.verb, event.project, event.actor, event.created_at.isoformat()),
        **{"event": event.pk, "target": event.target, "data": event.data},
    }
    made = [Delivery(webhook=one, event=event, verb=event.verb, payload=payload) for one in told]
    if made:
        Delivery.objects.bulk_create(made)
        transaction.on_commit(wake)


def envelope(verb: str, project: Project, actor: User | None, at: str) -> dict[str, Any]:
    return {"type": verb, "timestamp": at, "project": project.slug, "actor": actor.username if actor else None}


def wake() -> None:
    from django_q.tasks import async_task  # models are loaded before the queue's own

    async_task(DELIVER, cluster="default")
