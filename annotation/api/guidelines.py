"""Guidelines in versions, one's own work, and how many people judge an item."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, guidelines, overlap, pace
from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import Guidelines, Item
from annotation.models.accesskeys import Scope
from annotation.models.items import Kind
from annotation.models.people import Role


class VersionSerializer(serializers.ModelSerializer):
    author = serializers.SerializerMethodField()

    class Meta:
        model = Guidelines
        fields = ("number", "text", "note", "asks_again", "author", "created_at")

    def get_author(self, version: Guidelines) -> str | None:
        return version.author.username if version.author else None


class PublishSerializer(serializers.Serializer):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=200_000, help_text="Markdown.")
    note = serializers.CharField(default="", allow_blank=True, max_length=300, help_text="What changed.")
    asks_again = serializers.BooleanField(default=True, help_text="Ask everybody to read it before they go on.")
    after = serializers.IntegerField(
        required=False, min_value=0, help_text="The version it was written after: refused if there is a newer one."
    )


class DaySerializer(serializers.Serializer):
    day = serializers.DateField()
    labels = serializers.IntegerField()


class OwnScoreSerializer(serializers.Serializer):
    answered = serializers.IntegerField()
    right = serializers.IntegerField()


class WorkSerializer(serializers.Serializer):
    """One's own labels in the project; nobody else is shown them like this."""

    total = serializers.IntegerField()
    today = serializers.IntegerField()
    week = serializers.IntegerField(help_text="Since Monday.")
    by_kind = serializers.DictField(child=serializers.IntegerField())
    streak = serializers.IntegerField(help_text="Days with labels one after the other; weekends do not break it.")
    seconds = serializers.FloatField(allow_null=True, help_text="Per item, the median of the last 500.")
    per_hour = serializers.IntegerField(allow_null=True, help_text="Items in an hour spent on items.")
    days = DaySerializer(many=True, help_text="The last 14.")
    gold = OwnScoreSerializer(allow_null=True, help_text="Where the project tells people afterwards what was right.")


class OverlapSerializer(serializers.Serializer):
    people = serializers.IntegerField(min_value=1, max_value=overlap.MOST_PEOPLE)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    tag = serializers.CharField(required=False, help_text="Only items whose prompt has this tag.")
    language = serializers.CharField(required=False, help_text="Only items whose prompt is in this language.")


class OverlapSetSerializer(serializers.Serializer):
    items = serializers.IntegerField(help_text="How many items that changed.")


class Versions(Endpoint):
    who = Role.LEAD
    who_reads = Role.ANNOTATOR
    scope = Scope.MANAGE

    @documented("Guidelines", VersionSerializer(many=True), operation_id="guidelines")
    def get(self, request: Request, slug: str) -> Response:
        """Every version, newest first."""
        project = access.project(self.person, slug)
        return self.page(project.guidelines_versions.select_related("author").order_by("-pk"), VersionSerializer)

    @documented(
        "Guidelines",
        VersionSerializer,
        sends=PublishSerializer,
        code=201,
        refuses=(400, 401, 403, 404, 409),
        operation_id="publish_guidelines",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead makes a text the project's guidelines; the same text again changes nothing.

        With `after`, the number of the version it was written after (0: none), a newer one is not written over (409).
        """
        project = access.project(self.person, slug)
        try:
            made = guidelines.publish(project=project, actor=self.person, **self.sent(PublishSerializer))
        except ValidationError as error:
            raise Conflict(" ".join(error.messages)) from error
        return Response(VersionSerializer(made).data, status=201)


class Read(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.LABEL

    @documented("Guidelines", None, code=204, refuses=(401, 403, 404), operation_id="read_guidelines")
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Say that you have read this version: your labels then carry its number."""
        member = access.membership(self.person, slug)
        version = member.project.guidelines_versions.filter(number=number).first()
        if version is None:
            raise Http404("No such version")
        if member.pk is None:
            raise PermissionDenied("Join the project to label in it.")
        guidelines.mark_read(membership=member, version=version)
        return Response(status=204)


class MyWork(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.READ

    @documented("Projects", WorkSerializer, operation_id="my_work")
    def get(self, request: Request, slug: str) -> Response:
        """How much, how fast and on which days you labelled."""
        return Response(WorkSerializer(pace.of(access.membership(self.person, slug))).data)


class Overlap(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Projects", OverlapSetSerializer, sends=OverlapSerializer, refuses=(400, 401, 403, 404))
    def post(self, request: Request, slug: str) -> Response:
        """A lead has items judged by so many people: all of them, or those of a kind, a tag, a language.

        An item that more people have already keeps them. New items follow the project's `labels_per_item`.
        """
        project = access.project(self.person, slug)
        sent = self.sent(OverlapSerializer)
        items = Item.objects.filter(project=project, **_chosen(sent))
        changed = overlap.ask_people(project=project, items=items, people=sent["people"], actor=self.person)
        return Response({"items": changed})


def _chosen(sent: dict[str, Any]) -> dict[str, Any]:
    lookups = {"kind": "kind", "tag": "prompt__tags__contains", "language": "prompt__language"}
    values = {name: [sent[name]] if name == "tag" else sent[name] for name in lookups if name in sent}
    return {lookups[name]: value for name, value in values.items()}


urlpatterns = [
    path("projects/<slug:slug>/guidelines/", Versions.as_view()),
    path("projects/<slug:slug>/guidelines/<int:number>/read/", Read.as_view()),
    path("projects/<slug:slug>/me/", MyWork.as_view()),
    path("projects/<slug:slug>/overlap/", Overlap.as_view()),
]
