"""Everybody's access keys, for superusers."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpResponse
from unfold.decorators import action, display

from annotation import accesskeys
from annotation.desk import Desk, sure
from annotation.models import AccessKey
from annotation.requests import Request


@admin.register(AccessKey)
class AccessKeyAdmin(Desk):
    """A key is its owner's: a superuser sees that it is there and when it was used, and may revoke it."""

    list_display = ("name", "owner", "prefix", "opens", "project", "standing", "last_used_at", "expires_at")
    list_filter = ("expires_at", "last_used_at")
    list_select_related = ("owner", "project")
    search_fields = ("name", "owner__username", "prefix")
    actions_detail = ("revoke",)
    fits = {"revoke": lambda key: not key.why_closed}
    fields = (
        ("name", "prefix"),
        ("owner", "project"),
        "opens",
        "standing",
        ("created_at", "expires_at"),
        ("last_used_at", "revoked_at"),
    )
    readonly_fields = ("opens", "standing")

    def has_module_permission(self, request: Request) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request: Request, obj: Any = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_lead_permission(self, request: Request, object_id: str | None = None) -> bool:
        return self.has_view_permission(request) and super().has_lead_permission(request, object_id)

    @display(description="Opens")
    def opens(self, key: AccessKey) -> str:
        return "everything" if key.opens_all else ", ".join(key.scopes)

    @display(description="Standing")
    def standing(self, key: AccessKey) -> str:
        return key.why_closed or "works"

    @action(
        description="Revoke",
        permissions=["lead"],
        dialog=sure("Revoke this key?", "The program that uses it is refused from now on.", "Revoke it"),
    )
    def revoke(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        key = self.row(request, object_id)
        if accesskeys.revoke(key=key, actor=request.user):
            return self.done(request, self.here(key), "The key opens nothing any more.")
        return self.done(request, self.here(key), "It was revoked already.", messages.WARNING)
