"""How well people judge: agreement, the bias watch, consensus."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, agreement
from annotation.endpoints import Endpoint, documented
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


class AgreementByKindSerializer(serializers.Serializer):
    demonstration = AgreementReportSerializer()
    comparison = AgreementReportSerializer()


def _report(found: agreement.Report) -> dict[str, Any]:
    parts = {name: [agreement.plain(one) for one in getattr(found, name)] for name in ("weeks", "tags", "criteria")}
    return {**agreement.plain(found.overall), **parts, "pairs": PairSerializer(found.pairs, many=True).data}


class Agreement(Endpoint):
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
        project = access.project(self.person, slug, Role.REVIEWER)
        found = agreement.reports(project, **self.asked(SimulatedFilterSerializer))
        return Response({kind: _report(report) for kind, report in found.items()})


urlpatterns = [
    path("projects/<slug:slug>/agreement/", Agreement.as_view()),
]
