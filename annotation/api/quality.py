"""How well people judge: agreement, the bias watch, consensus."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, agreement, consensus, excluding, kept
from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import Consensus
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.serializers import SimulatedFilterSerializer


class AgreementSerializer(serializers.Serializer):
    """Figures are null where they are undefined; intervals are 95 %."""

    name = serializers.CharField(help_text="The kind, the Monday of the week, the tag or the criterion.")
    items = serializers.IntegerField(help_text="Items that two people or more judged.")
    comparisons = serializers.IntegerField(help_text="Judgements of two people laid side by side.")
    agreed = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True, help_text="Their share.")
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)
    alpha = serializers.FloatField(
        allow_null=True, help_text="Krippendorff's, nominal; null also where everybody always said the same."
    )
    alpha_lower = serializers.FloatField(allow_null=True)
    alpha_upper = serializers.FloatField(allow_null=True)
    graded_alpha = serializers.FloatField(
        allow_null=True, help_text="Krippendorff's, ordinal, over how much better an answer is."
    )
    fleiss = serializers.FloatField(
        allow_null=True, help_text="Fleiss' kappa of what as many people judged as most was."
    )
    words = serializers.CharField(help_text="What the alpha is good for.")


class PairSerializer(serializers.Serializer):
    """Two people who judged the same things."""

    one = serializers.CharField()
    other = serializers.CharField()
    comparisons = serializers.IntegerField()
    agreed = serializers.IntegerField()
    agreement = serializers.FloatField()
    kappa = serializers.FloatField(source="kappa.value", default=None, allow_null=True, help_text="Cohen's.")
    kappa_lower = serializers.FloatField(source="kappa.lower", default=None, allow_null=True)
    kappa_upper = serializers.FloatField(source="kappa.upper", default=None, allow_null=True)


class AgreementReportSerializer(AgreementSerializer):
    pairs = PairSerializer(many=True)
    weeks = AgreementSerializer(many=True)
    tags = AgreementSerializer(many=True)
    criteria = AgreementSerializer(many=True)


MADE_AT = "When it was worked out, in a project with very many labels; null if that was just now."


class AgreementByKindSerializer(serializers.Serializer):
    made_at = serializers.DateTimeField(allow_null=True, help_text=MADE_AT)
    demonstration = AgreementReportSerializer()
    comparison = AgreementReportSerializer()


def _report(found: agreement.Report) -> dict[str, Any]:
    parts = {name: [agreement.plain(one) for one in getattr(found, name)] for name in ("weeks", "tags", "criteria")}
    return {**agreement.plain(found.overall), **parts, "pairs": PairSerializer(found.pairs, many=True).data}


class Agreement(Endpoint):
    who = Role.REVIEWER
    scope = Scope.READ

    @documented(
        "Results",
        AgreementByKindSerializer,
        parameters=[SimulatedFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="agreement",
    )
    def get(self, request: Request, slug: str) -> Response:
        """How much people who judged the same agree, for leads and reviewers: over all, and by pair of people, week,
        tag and criterion."""
        project = access.project(self.person, slug)
        found, as_of = kept.reports(project, **self.asked(SimulatedFilterSerializer))
        made_at = as_of.made_at if as_of else None
        return Response({"made_at": made_at, **{kind: _report(report) for kind, report in found.items()}})


class ShareSerializer(serializers.Serializer):
    """A share with its 95 % interval, and of how many."""

    value = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    n = serializers.IntegerField()


class FindingSerializer(serializers.Serializer):
    name = serializers.CharField(
        help_text="The rule: guesses, contradicts, side, pattern, length, ties, verdicts or speed."
    )
    words = serializers.CharField()


class WaysSerializer(serializers.Serializer):
    """How one person judges. Shares are null where there is nothing to tell them from."""

    id = serializers.IntegerField(source="membership.person_id")
    person = serializers.CharField()
    labels = serializers.IntegerField()
    simulated = serializers.BooleanField(source="membership.simulated")
    paused_at = serializers.DateTimeField(source="membership.paused_at", allow_null=True)
    excluded_at = serializers.DateTimeField(source="membership.excluded_at", allow_null=True)
    reliability = serializers.FloatField(
        source="membership.reliability", allow_null=True, help_text="How sure the consensus is of what they said."
    )
    right = ShareSerializer(allow_null=True, help_text="How often the better answer, by what the others say.")
    agreement = ShareSerializer(allow_null=True, help_text="With each other person on the same thing.")
    left = ShareSerializer(allow_null=True, help_text="Of the pairs that are no tie; the sides are drawn by lot.")
    longer = ShareSerializer(allow_null=True)
    longer_others = serializers.FloatField(allow_null=True, help_text="What the others do on the same pairs.")
    tie = ShareSerializer(allow_null=True)
    tie_others = serializers.FloatField(allow_null=True)
    accept = ShareSerializer(allow_null=True, help_text="Drafts accepted as they are.")
    accept_others = serializers.FloatField(allow_null=True)
    streak = ShareSerializer(allow_null=True, help_text="The same side as the time before.")
    fast = ShareSerializer(allow_null=True, help_text="Labels given faster than anybody reads.")
    pace = serializers.FloatField(allow_null=True, help_text="Words a minute, the median.")
    gold = ShareSerializer(allow_null=True)
    findings = FindingSerializer(many=True, help_text="What is unusual; of each rule's, one in twenty may be chance.")


class RatersSerializer(serializers.Serializer):
    made_at = serializers.DateTimeField(allow_null=True, help_text=MADE_AT)
    people = WaysSerializer(many=True)


class Raters(Endpoint):
    who = Role.REVIEWER
    scope = Scope.READ

    @documented(
        "Results",
        RatersSerializer,
        parameters=[SimulatedFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="raters",
    )
    def get(self, request: Request, slug: str) -> Response:
        """How each person judges, against the others on the same items; those with something unusual first. For leads
        and reviewers."""
        project = access.project(self.person, slug)
        found, as_of = kept.ways(project, **self.asked(SimulatedFilterSerializer))
        return Response(RatersSerializer({"people": found, "made_at": as_of.made_at if as_of else None}).data)


class BecauseSerializer(serializers.Serializer):
    because = serializers.CharField(
        required=False, allow_blank=True, max_length=300, default="", help_text="Kept on record."
    )


class MemberSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="person_id")
    person = serializers.CharField(source="person.username")
    excluded_at = serializers.DateTimeField(allow_null=True)


class ExcludePerson(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented(
        "Results", MemberSerializer, sends=BecauseSerializer, refuses=(400, 401, 403, 404, 409), operation_id="exclude"
    )
    def post(self, request: Request, slug: str, person_id: int) -> Response:
        """Let a person's labels count for nothing, in agreement, consensus and training. Nothing is deleted."""
        member = access.member_of(access.membership(self.person, slug), person_id)
        if not excluding.exclude(membership=member, actor=self.person, **self.sent(BecauseSerializer)):
            raise Conflict("They are excluded already.")
        return Response(MemberSerializer(member).data)


class IncludePerson(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented(
        "Results", MemberSerializer, sends=BecauseSerializer, refuses=(400, 401, 403, 404, 409), operation_id="include"
    )
    def post(self, request: Request, slug: str, person_id: int) -> Response:
        """Let a person's labels count again."""
        member = access.member_of(access.membership(self.person, slug), person_id)
        if not excluding.include(membership=member, actor=self.person, **self.sent(BecauseSerializer)):
            raise Conflict("Their labels do count.")
        return Response(MemberSerializer(member).data)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "integer"}}]})
class OutcomeField(serializers.JSONField):
    """A verdict, or the rank of each answer by its id."""


class ConsensusSerializer(serializers.ModelSerializer):
    outcome = OutcomeField(help_text="A verdict, or the rank of each answer by its id.")
    labels = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = Consensus
        fields = ("item", "method", "outcome", "confidence", "labels", "computed_at")


class RecomputeSerializer(serializers.Serializer):
    method = serializers.ChoiceField(
        choices=list(consensus.METHODS.items()), required=False, help_text="Left out, the one of the last time."
    )


class QueuedSerializer(serializers.Serializer):
    queued = serializers.BooleanField()


class ConsensusOfItems(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Results", ConsensusSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What the people who labelled an item say together, for each item. For leads."""
        project = access.project(self.person, slug)
        return self.page(Consensus.objects.filter(item__project=project), ConsensusSerializer)

    @documented(
        "Results",
        QueuedSerializer,
        sends=RecomputeSerializer,
        code=202,
        refuses=(400, 401, 403, 404),
        operation_id="recompute_consensus",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have it worked out anew by a queue process; it also happens by itself when enough was said."""
        project = access.project(self.person, slug)
        consensus.ask(project=project, actor=self.person, **self.sent(RecomputeSerializer))
        return Response({"queued": True}, status=202)


urlpatterns = [
    path("projects/<slug:slug>/agreement/", Agreement.as_view()),
    path("projects/<slug:slug>/raters/", Raters.as_view()),
    path("projects/<slug:slug>/raters/<int:person_id>/exclude/", ExcludePerson.as_view()),
    path("projects/<slug:slug>/raters/<int:person_id>/include/", IncludePerson.as_view()),
    path("projects/<slug:slug>/consensus/", ConsensusOfItems.as_view()),
]
