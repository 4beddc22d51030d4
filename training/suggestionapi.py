"""The API of suggested tags, for leads: gate, serializer, verb, answer."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import BIGGEST_ID, Endpoint, documented, plain_schema
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from training import access, suggestions
from training.methods import METHODS
from training.models import TagSuggestion
from training.models.suggestions import State
from training.serializers import ModelNameSerializer, RunDetailSerializer


class SuggestionSerializer(serializers.ModelSerializer):
    model = ModelNameSerializer(source="model_version", help_text="The classifier that suggests it.")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = TagSuggestion
        fields = (
            *("id", "prompt", "tag", "confidence", "model", "run", "state", "decided_by", "decided_at", "created_at"),
        )


class SuggestionFilterSerializer(serializers.Serializer):
    state = serializers.ChoiceField(
        choices=State.choices, required=False, help_text="`open`: those that wait for somebody to decide."
    )
    tag = serializers.CharField(required=False, max_length=64)
    prompt = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)
    model = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID, help_text="Id of a classifier.")
    confidence = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="At least this.")


class DecideTagsSerializer(serializers.Serializer):
    accept = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIGGEST_ID),
        default=list,
        max_length=suggestions.MOST_DECIDED,
        help_text="Ids of suggestions whose tags are put on their prompts.",
    )
    dismiss = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIGGEST_ID),
        default=list,
        max_length=suggestions.MOST_DECIDED,
        help_text="Ids of suggestions that are wrong. No model makes them again.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if set(attrs["accept"]) & set(attrs["dismiss"]):
            raise serializers.ValidationError("A suggestion is accepted or dismissed, not both.")
        return attrs


class DecidedTagsSerializer(serializers.Serializer):
    """How many were open until now."""

    accepted = serializers.IntegerField()
    dismissed = serializers.IntegerField()


@extend_schema_field(plain_schema(METHODS["suggest"].settings))
class SuggestSettingsField(serializers.DictField):
    """Settings of a run that suggests; `runs.checked_settings` validates them."""


class SuggestTagsSerializer(serializers.Serializer):
    settings = SuggestSettingsField(default=dict, help_text="What is left out keeps its default.")


class Suggestions(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Suggested tags",
        SuggestionSerializer(many=True),
        parameters=[SuggestionFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="suggestions",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Tags that classifiers suggest for prompts, newest first, and what people made of them."""
        project = access.lead(self.person, slug).project
        asked = self.asked(SuggestionFilterSerializer)
        state, least = asked.pop("state", None), asked.pop("confidence", 0)
        rows = TagSuggestion.objects.filter(project=project, confidence__gte=least)
        if state is not None:
            rows = rows.open() if state == State.OPEN else rows.filter(state=state)
        names = {"tag": "tag", "prompt": "prompt", "model": "model_version"}
        rows = rows.filter(**{names[name]: value for name, value in asked.items()})
        rows = rows.select_related("model_version", "decided_by").defer("model_version__card")
        return self.page(rows, SuggestionSerializer)


class Decide(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Suggested tags",
        DecidedTagsSerializer,
        sends=DecideTagsSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="decide_suggestions",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Accept suggestions, whose tags are then ordinary tags put on by you, and dismiss others. Accepting is a
        change as under `changes/`, and is undone there."""
        project = access.lead(self.person, slug).project
        sent = self.sent(DecideTagsSerializer)
        accepted = suggestions.accept(project=project, suggestions=sent["accept"], actor=self.person)
        dismissed = suggestions.dismiss(project=project, suggestions=sent["dismiss"], actor=self.person)
        return Response(DecidedTagsSerializer({"accepted": accepted, "dismissed": dismissed}).data)


class Suggest(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Suggested tags",
        RunDetailSerializer,
        sends=SuggestTagsSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="suggest_tags",
    )
    def post(self, request: Request, slug: str, model_id: int) -> Response:
        """Queue a run in which a classifier suggests tags for prompts that have none of its tags and that it has not
        read yet."""
        _, version = access.model(self.person, slug, model_id)
        run = suggestions.ask(version=version, actor=self.person, **self.sent(SuggestTagsSerializer))
        return Response(RunDetailSerializer(run).data, status=201)


urlpatterns = [
    path("projects/<slug:slug>/suggestions/", Suggestions.as_view()),
    path("projects/<slug:slug>/suggestions/decide/", Decide.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/suggest/", Suggest.as_view()),
]
