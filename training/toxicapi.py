"""Reading for toxicity over the API: gate, serializer, verb, answer."""

from typing import Any

from django.core.exceptions import ValidationError
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from training import access, toxicity
from training.models import ModelVersion
from training.serializers import InProject, ModelNameSerializer, RunDetailSerializer


class ToxicitySerializer(serializers.Serializer):
    model = ModelNameSerializer(
        source="policy.model_version", allow_null=True, default=None, help_text="Which reads; null if none does."
    )
    labels = serializers.ListField(
        source="policy.labels", child=serializers.CharField(), default=list, help_text="Those that mean toxic."
    )
    threshold = serializers.FloatField(source="policy.threshold", default=toxicity.THRESHOLD)
    read = serializers.IntegerField(help_text="Prompts and answers that were read.")
    found = serializers.IntegerField(help_text="Those that are toxic by the threshold, decided or not.")
    unread = serializers.IntegerField(
        help_text=f"Those that are still to be read, up to {toxicity.MOST_UNREAD:,} each."
    )
    run = serializers.IntegerField(source="run.pk", allow_null=True, default=None, help_text="Queued or running.")
    failed = serializers.BooleanField(help_text="The last run did not succeed: none begins by itself.")


class SetToxicitySerializer(serializers.Serializer):
    model = InProject(queryset=ModelVersion.objects.all(), help_text="A classifier.")
    labels = serializers.ListField(
        child=serializers.CharField(max_length=1000),
        required=False,
        max_length=1000,
        help_text="Those that mean toxic; left out, those that say so by their name.",
    )
    threshold = serializers.FloatField(
        default=toxicity.THRESHOLD,
        min_value=toxicity.LEAST,
        max_value=toxicity.MOST,
        help_text="From which probability on a text is a finding.",
    )


class Toxicity(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Cleaning", ToxicitySerializer, operation_id="toxicity")
    def get(self, request: Request, slug: str) -> Response:
        """Which classifier reads the texts for toxicity, and how far it is."""
        return Response(self._told(slug))

    @documented(
        "Cleaning",
        ToxicitySerializer,
        sends=SetToxicitySerializer,
        refuses=(400, 401, 403, 404),
        operation_id="set_toxicity",
    )
    def put(self, request: Request, slug: str) -> Response:
        """Name the classifier. With another model or other labels everything is read anew; the threshold counts at
        once."""
        project = access.lead(self.person, slug).project
        toxicity.set_policy(project=project, actor=self.person, **self.sent(SetToxicitySerializer, project=project))
        return Response(self._told(slug))

    @documented(
        "Cleaning", RunDetailSerializer, code=201, refuses=(401, 403, 404, 409), operation_id="read_for_toxicity"
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run that reads what is new, after all other runs. It begins by itself within an hour or so."""
        project = access.lead(self.person, slug).project
        try:
            run = toxicity.start(project=project, actor=self.person)
        except ValidationError as error:
            raise Conflict(" ".join(error.messages)) from error
        return Response(RunDetailSerializer(run).data, status=201)

    @documented("Cleaning", None, code=204, refuses=(401, 403, 404), operation_id="stop_toxicity")
    def delete(self, request: Request, slug: str) -> Response:
        """Read no more for toxicity. Open findings go; what was decided stays."""
        toxicity.stop(project=access.lead(self.person, slug).project, actor=self.person)
        return Response(status=204)

    def _told(self, slug: str) -> dict[str, Any]:
        return ToxicitySerializer(toxicity.standing(access.lead(self.person, slug).project)).data


urlpatterns = [path("projects/<slug:slug>/toxicity/", Toxicity.as_view())]
