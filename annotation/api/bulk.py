"""Changing many prompts at once."""

from typing import Any

from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, asked, browsing, bulk
from annotation.browseserializers import BulkChangeSerializer, ChangeSerializer, CountSerializer
from annotation.endpoints import Endpoint, documented
from annotation.models import BulkChange, Prompt
from annotation.models.accesskeys import Scope
from annotation.models.people import Role


class Changes(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Prompts", BulkChangeSerializer(many=True), operation_id="changes")
    def get(self, request: Request, slug: str) -> Response:
        """What leads changed of many prompts at once, newest first."""
        project = access.project(self.person, slug)
        rows = BulkChange.objects.filter(project=project).select_related("actor", "undone_by")
        return self.page(rows, BulkChangeSerializer)

    @documented(
        "Prompts",
        BulkChangeSerializer,
        sends=ChangeSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="start_change",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead puts tags on, takes tags off, or says how soon items are asked: of prompts by id at once, of all that
        filters find in the background. `changes/count/` says first how many those are."""
        project = access.project(self.person, slug)
        sent = self.sent(ChangeSerializer)
        made = bulk.start(project=project, actor=self.person, **sent)
        return Response(BulkChangeSerializer(made).data, status=201)


class Count(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Prompts",
        CountSerializer,
        sends=ChangeSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="count_change",
    )
    def post(self, request: Request, slug: str) -> Response:
        """How many rows a change would be about; nothing is changed."""
        project = access.project(self.person, slug)
        sent: dict[str, Any] = self.sent(ChangeSerializer)
        if "query" in sent:
            found, more = browsing.count(asked.wanted(project, sent["query"], lead=True), most=1_000_000)
        elif sent.get("prompts"):
            found, more = Prompt.objects.filter(project=project, pk__in=sent["prompts"]).count(), False
        else:
            raise ValidationError({"non_field_errors": ["Choose at least one row, or everything that is found."]})
        return Response({"found": found, "more": more})


class OneChange(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Prompts", BulkChangeSerializer, operation_id="change")
    def get(self, request: Request, slug: str, change_id: int) -> Response:
        """How far a change is: it is done when `finished_at` is set."""
        return Response(BulkChangeSerializer(access.bulk_change(self.person, slug, change_id)).data)


class UndoChange(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Prompts", BulkChangeSerializer, code=201, refuses=(400, 401, 403, 404), operation_id="undo_change")
    def post(self, request: Request, slug: str, change_id: int) -> Response:
        """Put back, in the background, exactly what a change changed; what was changed again since stays."""
        made = bulk.undo(change=access.bulk_change(self.person, slug, change_id), actor=self.person)
        return Response(BulkChangeSerializer(made).data, status=201)


urlpatterns = [
    path("projects/<slug:slug>/changes/", Changes.as_view()),
    path("projects/<slug:slug>/changes/count/", Count.as_view()),
    path("projects/<slug:slug>/changes/<int:change_id>/", OneChange.as_view()),
    path("projects/<slug:slug>/changes/<int:change_id>/undo/", UndoChange.as_view()),
]
