"""Webhooks of a project and what was sent to them; all of it for leads."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, webhooks
from annotation.endpoints import Endpoint, documented
from annotation.models import Delivery, Webhook
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.models.webhooks import DeliveryState, Group


class WebhookSerializer(serializers.ModelSerializer):
    groups = serializers.ListField(child=serializers.ChoiceField(choices=Group.choices))
    author = serializers.CharField(source="author.username")

    class Meta:
        model = Webhook
        fields = ("id", "url", "groups", "active", "author", "created_at")


class SecretWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Signs what is sent; told this once.")

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")  # type: ignore[assignment]


class MakeWebhookSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=500, help_text="It begins with https://.")
    groups = serializers.ListField(
        child=serializers.ChoiceField(choices=Group.choices), allow_empty=False, help_text="What it is told of."
    )


class ChangeWebhookSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=500, required=False)
    groups = serializers.ListField(
        child=serializers.ChoiceField(choices=Group.choices), allow_empty=False, required=False
    )
    active = serializers.BooleanField(required=False, help_text="What waits meanwhile is sent when it is active again.")


class DeliverySerializer(serializers.ModelSerializer):
    id = serializers.IntegerField()
    message_id = serializers.UUIDField(source="uuid", help_text="As in `Webhook-Id`: the same at every attempt.")
    payload = serializers.DictField(child=serializers.JSONField())
    next_try_at = serializers.SerializerMethodField(help_text="null once it came to an end.")

    class Meta:
        model = Delivery
        fields = (
            *("id", "message_id", "verb", "payload", "state", "attempts", "next_try_at", "status_code", "answer"),
            *("created_at", "delivered_at"),
        )

    def get_next_try_at(self, delivery: Delivery) -> str | None:
        return delivery.next_try_at.isoformat() if delivery.state == DeliveryState.WAITING else None


class Webhooks(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.MANAGE
    secret_answer = True

    @documented("Webhooks", WebhookSerializer(many=True), operation_id="webhooks")
    def get(self, request: Request, slug: str) -> Response:
        """The other servers that are told what happens in a project."""
        project = access.project(self.person, slug)
        return self.page(project.webhooks.select_related("author"), WebhookSerializer)

    @documented(
        "Webhooks",
        SecretWebhookSerializer,
        sends=MakeWebhookSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="make_webhook",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead has another server told of events, each as a signed POST; docs/api.md says how to check one."""
        project = access.project(self.person, slug)
        made = webhooks.make(project=project, actor=self.person, **self.sent(MakeWebhookSerializer))
        return Response(SecretWebhookSerializer(made).data, status=201)


class OneWebhook(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.MANAGE

    @documented("Webhooks", WebhookSerializer, operation_id="webhook")
    def get(self, request: Request, slug: str, webhook_id: int) -> Response:
        """One webhook; never its secret."""
        return Response(WebhookSerializer(access.webhook(self.person, slug, webhook_id)[0]).data)

    @documented(
        "Webhooks",
        WebhookSerializer,
        sends=ChangeWebhookSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="change_webhook",
    )
    def patch(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Change its address, what it is told of, or whether it is told at all; what is left out stays."""
        found, _ = access.webhook(self.person, slug, webhook_id)
        changes: dict[str, Any] = self.sent(ChangeWebhookSerializer)
        return Response(WebhookSerializer(webhooks.change(webhook=found, actor=self.person, **changes)).data)

    @documented("Webhooks", None, code=204, operation_id="delete_webhook")
    def delete(self, request: Request, slug: str, webhook_id: int) -> Response:
        """It is told nothing any more; the log of its deliveries goes with it."""
        webhooks.delete(webhook=access.webhook(self.person, slug, webhook_id)[0], actor=self.person)
        return Response(status=204)


class RenewSecret(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE
    secret_answer = True

    @documented("Webhooks", SecretWebhookSerializer, operation_id="renew_webhook_secret")
    def post(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Draw a new secret; the old one signs nothing any more."""
        found, _ = access.webhook(self.person, slug, webhook_id)
        webhooks.renew_secret(webhook=found, actor=self.person)
        return Response(SecretWebhookSerializer(found).data)


class Ping(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Webhooks", DeliverySerializer, code=201, refuses=(400, 401, 403, 404), operation_id="ping_webhook")
    def post(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Send a message of no event, to see whether the address is right."""
        found, _ = access.webhook(self.person, slug, webhook_id)
        return Response(DeliverySerializer(webhooks.ping(webhook=found, actor=self.person)).data, status=201)


class Deliveries(Endpoint):
    who = Role.LEAD
    read_scope = Scope.MANAGE
    scope = Scope.MANAGE

    @documented("Webhooks", DeliverySerializer(many=True), operation_id="deliveries")
    def get(self, request: Request, slug: str, webhook_id: int) -> Response:
        """What was sent to a webhook or waits to be, newest first, kept for 30 days."""
        return self.page(access.webhook(self.person, slug, webhook_id)[0].deliveries.all(), DeliverySerializer)


class SendAgain(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Webhooks", DeliverySerializer, operation_id="send_again")
    def post(self, request: Request, slug: str, webhook_id: int, delivery_id: int) -> Response:
        """Send a message again, under the id that it has."""
        found = access.delivery(self.person, slug, webhook_id, delivery_id)
        webhooks.send_again(delivery=found)
        found.refresh_from_db()
        return Response(DeliverySerializer(found).data)


urlpatterns = [
    path("projects/<slug:slug>/webhooks/", Webhooks.as_view()),
    path("projects/<slug:slug>/webhooks/<int:webhook_id>/", OneWebhook.as_view()),
    path("projects/<slug:slug>/webhooks/<int:webhook_id>/secret/", RenewSecret.as_view()),
    path("projects/<slug:slug>/webhooks/<int:webhook_id>/ping/", Ping.as_view()),
    path("projects/<slug:slug>/webhooks/<int:webhook_id>/deliveries/", Deliveries.as_view()),
    path("projects/<slug:slug>/webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/send/", SendAgain.as_view()),
]
