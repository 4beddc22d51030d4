"""The API of what has been: a round's report, the project's history, two versions answer by answer, a model's files."""

from typing import Any

from django.http import FileResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Endpoint, documented
from annotation.models import Prompt
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.serializers import MessageSerializer
from evaluation import access, drift, headline, report, scoring, side_by_side
from evaluation import history as turns
from evaluation.serializers import ScoreSerializer
from training import cards
from training.access import lead
from training.access import model as gated_model
from training.models import ModelVersion
from training.serializers import InProject, ModelNameSerializer

ZIP = "application/zip"


class IntervalSerializer(serializers.Serializer):
    value = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    n = serializers.IntegerField()


class TurnSerializer(serializers.Serializer):
    """A round in figures; what was not measured is null."""

    number = serializers.IntegerField(source="round.number")
    champion = ModelNameSerializer(source="round.champion", allow_null=True)
    challenger = ModelNameSerializer(source="round.challenger", allow_null=True)
    labels = serializers.IntegerField(help_text="Behind it that were behind no round before.")
    minutes = serializers.FloatField(allow_null=True, help_text="That these labels took.")
    accuracy = IntervalSerializer(allow_null=True, help_text="Of the reward model on held-out pairs.")
    own_accuracy = IntervalSerializer(allow_null=True, help_text="Of the new model.")
    ceiling = serializers.FloatField(allow_null=True, help_text="How often two people agree.")
    won = IntervalSerializer(allow_null=True, help_text="Blind comparisons with the champion.")
    by_people = serializers.BooleanField()
    length = IntervalSerializer(allow_null=True, help_text="How much longer its answers are, as a share.")
    forgetting = IntervalSerializer(allow_null=True)
    outcome = serializers.CharField(allow_blank=True, help_text="Of the gate, as it was.")
    in_production = serializers.BooleanField()


class MovedSerializer(serializers.Serializer):
    name = serializers.CharField()
    words = serializers.CharField()
    advice = serializers.CharField()


class HistorySerializer(serializers.Serializer):
    rounds = TurnSerializer(many=True, help_text="Those that made a model, the oldest first.")
    moved = MovedSerializer(many=True, help_text="What has moved away from what the production model learned from.")


class AskedSerializer(serializers.Serializer):
    about = serializers.CharField()
    items = serializers.IntegerField()
    labels = serializers.IntegerField()


class ReportSerializer(serializers.Serializer):
    headline = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())
    figures = TurnSerializer()
    asked = AskedSerializer(many=True)
    gate = serializers.CharField(allow_blank=True, help_text="What the gate said.")
    scores = ScoreSerializer(many=True)


class PairOfModelsSerializer(serializers.Serializer):
    first = InProject(queryset=ModelVersion.objects.policies(), help_text="Id of a policy.")
    second = InProject(queryset=ModelVersion.objects.policies(), help_text="Id of another.")

    def validate(self, sent: dict[str, Any]) -> dict[str, Any]:
        if sent["first"] == sent["second"]:
            raise serializers.ValidationError("Choose two different models.")
        return sent


class BesideSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="prompt.pk", help_text="Of the prompt.")
    prompt = MessageSerializer(source="prompt.messages", many=True)
    first = serializers.SerializerMethodField()
    second = serializers.SerializerMethodField()
    votes = serializers.SerializerMethodField(help_text="Of people: for the first, for the second, ties.")

    def get_first(self, row: side_by_side.Beside) -> list[str]:
        return [one.text for one in row.first]

    def get_second(self, row: side_by_side.Beside) -> list[str]:
        return [one.text for one in row.second]

    def get_votes(self, row: side_by_side.Beside) -> list[int]:
        return list(row.votes)


class History(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Results", HistorySerializer, operation_id="history")
    def get(self, request: Request, slug: str) -> Response:
        """How the project's models came along, round by round, and what has moved since."""
        project = lead(self.person, slug).project
        found = {"rounds": turns.turns(project), "moved": drift.findings(project)}
        return Response(HistorySerializer(found).data)


class Report(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Rounds", ReportSerializer, operation_id="round_report")
    def get(self, request: Request, slug: str, number: int) -> Response:
        """What a round was asked, learned and gained, in sentences and figures."""
        _, current = access.round(self.person, slug, number)
        asked = [{"about": about, "items": items, "labels": labels} for about, items, labels in turns.asked(current)]
        found = {
            "headline": headline.of(current),
            "sentences": report.sentences(current),
            "figures": turns.turn(current),
            "asked": asked,
            "gate": report.verdict_words(current),
            "scores": report.scores_of(current),
        }
        return Response(ReportSerializer(found).data)


class Compare(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Models",
        BesideSerializer(many=True),
        parameters=[PairOfModelsSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="compare_models",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Two policies answer by answer: the prompts that both answered, newest first, and what people said."""
        project = lead(self.person, slug).project
        both = self.asked(PairOfModelsSerializer, project=project)

        def beside(found: list[Prompt]) -> list[side_by_side.Beside]:
            return side_by_side.beside(both["first"], both["second"], found)

        return self.page(side_by_side.prompts(both["first"], both["second"]), BesideSerializer, beside)


class ExportModel(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented(
        "Models", OpenApiTypes.BINARY, media_type=ZIP, refuses=(400, 401, 403, 404), operation_id="export_model"
    )
    def get(self, request: Request, slug: str, model_id: int) -> FileResponse:
        """A model with its card as one zip file, in Hugging Face's layout."""
        _, version = gated_model(self.person, slug, model_id)
        whole = cards.packed(version, scoring.measured(version))
        return FileResponse(whole, as_attachment=True, filename=f"{slug}-{version.pk}.zip", content_type=ZIP)


urlpatterns = [
    path("projects/<slug:slug>/history/", History.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/report/", Report.as_view()),
    path("projects/<slug:slug>/models/compare/", Compare.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/export/", ExportModel.as_view()),
]
