"""What the checks found and what is decided about it; leaving prompts and answers out, and having them back."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, cleaning, leaving_out, tidying
from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import Finding
from annotation.models.accesskeys import Scope
from annotation.models.cleaning import Check, Decision
from annotation.models.people import Role

MOST_IDS = 10_000


class ChecksSerializer(serializers.Serializer):
    checked_at = serializers.DateTimeField(allow_null=True)
    compared_at = serializers.DateTimeField(allow_null=True, help_text="When all texts were laid side by side.")
    busy = serializers.BooleanField(help_text="Whether the checks are at work, or asked for.")
    stage = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    found = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="How many findings there are, by kind and state.",
    )


class DataFindingSerializer(serializers.ModelSerializer):
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = Finding
        fields = (
            *("id", "kind", "state", "prompt", "response", "turn", "start", "end", "sentence", "score", "data"),
            *("decided_by", "decided_at", "created_at"),
        )
        read_only_fields = fields


class MatchingSerializer(serializers.Serializer):
    """Which findings; all that is left out fits."""

    kind = serializers.ChoiceField(Check.choices, required=False)
    state = serializers.ChoiceField(Decision.choices, required=False)
    text = serializers.ChoiceField(
        [("prompt", "Prompts"), ("answer", "Answers")], required=False, help_text="About prompts or about answers."
    )
    language = serializers.CharField(required=False, max_length=16, help_text="Of the prompt.")
    tag = serializers.CharField(required=False, max_length=64, help_text="Of the prompt.")


class DecisionSerializer(MatchingSerializer):
    """What to do with these `findings`, or with all that fit the rest, 1,000 at a time."""

    verb = serializers.ChoiceField([(name, name) for name in tidying.VERBS])
    findings = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        allow_empty=False,
        max_length=tidying.MOST,
        help_text="Ids; without them all that fit.",
    )
    because = serializers.CharField(
        required=False, allow_blank=True, max_length=leaving_out.LONGEST_REASON, help_text="Why they are excluded."
    )


class OutcomeSerializer(serializers.Serializer):
    done = serializers.IntegerField()
    passed_over = serializers.IntegerField(help_text="Findings that the verb does not fit.")
    left = serializers.IntegerField(help_text="Findings that fit and are left for another time.")


class TextsSerializer(serializers.Serializer):
    prompts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), default=list, max_length=MOST_IDS
    )
    responses = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), default=list, max_length=MOST_IDS
    )


class LeaveOutSerializer(TextsSerializer):
    because = serializers.CharField(max_length=leaving_out.LONGEST_REASON)


class ChangedSerializer(serializers.Serializer):
    changed = serializers.IntegerField(help_text="How many prompts and responses that was news to.")


class Checks(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Cleaning", ChecksSerializer, operation_id="checks")
    def get(self, request: Request, slug: str) -> Response:
        """When the project was checked, how far the checks are, and how much they found."""
        project = access.project(self.person, slug)
        found: dict[str, Any] = vars(cleaning.progress(project)) | {"found": cleaning.counts(project)}
        return Response(ChecksSerializer(found).data)

    @documented("Cleaning", ChecksSerializer, code=202, refuses=(401, 403, 404, 409), operation_id="check_now")
    def post(self, request: Request, slug: str) -> Response:
        """Have all of it checked soon. What is new is checked by itself within a minute or two."""
        project = access.project(self.person, slug)
        if not cleaning.ask(project=project, actor=self.person):
            raise Conflict("The checks are on their way already.")
        found: dict[str, Any] = vars(cleaning.progress(project)) | {"found": cleaning.counts(project)}
        return Response(ChecksSerializer(found).data, status=202)


class Findings(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Cleaning",
        DataFindingSerializer(many=True),
        refuses=(400, 401, 403, 404),
        parameters=[MatchingSerializer],
        operation_id="findings",
    )
    def get(self, request: Request, slug: str) -> Response:
        """What the checks found, newest first. Places count characters of the response, or of this turn of the
        prompt."""
        rows = access.findings(self.person, slug).select_related(None).select_related("decided_by")
        return self.page(tidying.matching(rows, **self.asked(MatchingSerializer)), DataFindingSerializer)


class Decide(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Cleaning",
        OutcomeSerializer,
        sends=DecisionSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="decide_findings",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Accept findings (it is fine), mend what is found, exclude it, send it to annotators, or bring it back.

        Those that are named, or all that fit, 1,000 at a time.
        """
        project = access.project(self.person, slug)
        sent = self.sent(DecisionSerializer)
        verb, because, ids = sent.pop("verb"), sent.pop("because", ""), sent.pop("findings", None)
        rows = tidying.matching(Finding.objects.filter(project=project), **sent)
        rows = rows if ids is None else rows.filter(pk__in=ids)
        more = {"because": because} if verb == "exclude" else {}
        outcome = tidying.VERBS[verb](project=project, findings=rows, actor=self.person, **more)
        return Response(OutcomeSerializer(outcome).data)


class Exclude(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Cleaning", ChangedSerializer, sends=LeaveOutSerializer, refuses=(400, 401, 403, 404), operation_id="leave_out"
    )
    def post(self, request: Request, slug: str) -> Response:
        """Leave prompts and responses out of everything, with a reason. Nothing is deleted."""
        project = access.project(self.person, slug)
        changed = leaving_out.exclude(project=project, actor=self.person, **self.sent(LeaveOutSerializer))
        return Response({"changed": changed})


class BringBack(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Cleaning", ChangedSerializer, sends=TextsSerializer, refuses=(400, 401, 403, 404), operation_id="bring_back"
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have excluded prompts and responses back; their items are asked again."""
        project = access.project(self.person, slug)
        changed = leaving_out.bring_back(project=project, actor=self.person, **self.sent(TextsSerializer))
        return Response({"changed": changed})


urlpatterns = [
    path("projects/<slug:slug>/checks/", Checks.as_view()),
    path("projects/<slug:slug>/findings/", Findings.as_view()),
    path("projects/<slug:slug>/findings/decide/", Decide.as_view()),
    path("projects/<slug:slug>/exclude/", Exclude.as_view()),
    path("projects/<slug:slug>/bring-back/", BringBack.as_view()),
]
