"""Cases for the reviewers, and revising what one said."""

from django.core.exceptions import PermissionDenied
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, labelling, reviewing
from annotation.api.shapes import CaseSerializer, NextCaseSerializer, OpenedCaseSerializer
from annotation.endpoints import Endpoint, documented
from annotation.labelserializers import LabelSerializer, SaidSerializer
from annotation.models.accesskeys import Scope
from annotation.models.people import Role


class NextCase(Endpoint):
    who = Role.REVIEWER
    scope = Scope.LABEL

    @documented("Review", NextCaseSerializer, operation_id="next_case")
    def post(self, request: Request, slug: str) -> Response:
        """Lease a reviewer's next case: an item with what people said of it, without their names.

        It is decided by `assignments/{id}/submit/`, passed on by `…/skip/`, and its draft kept by `…/draft/`, like any
        other assignment; the decision then stands for the item.
        """
        member = access.membership(self.person, slug)
        if member.pk is None:
            raise PermissionDenied("Join the project to review in it.")
        case = reviewing.next_case(membership=member)
        waiting = reviewing.cases_for(member).count()
        return Response({"case": CaseSerializer(case).data if case else None, "waiting": waiting})


class AskForReview(Endpoint):
    who = Role.LEAD
    scope = Scope.LABEL

    @documented("Review", OpenedCaseSerializer, code=201, refuses=(400, 401, 403, 404), operation_id="ask_for_review")
    def post(self, request: Request, item_id: int) -> Response:
        """A lead sends an item to the reviewers; if it is with them already, it stays as it is."""
        item, member = access.item_to_review(self.person, item_id)
        case = reviewing.open_case(item=item, reason=reviewing.Reason.ASKED, actor=member.person)
        return Response(OpenedCaseSerializer(case).data, status=201)


class Revise(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented(
        "Labels", LabelSerializer, sends=SaidSerializer, code=201, refuses=(400, 401, 404), operation_id="revise"
    )
    def post(self, request: Request, label_id: int) -> Response:
        """Replace one of one's own labels by a new one; the old one stays on record."""
        label = access.own_label(self.person, label_id)
        revised = labelling.revise(label=label, said=SaidSerializer.said(self.sent(SaidSerializer)))
        return Response(LabelSerializer(revised).data, status=201)


urlpatterns = [
    path("projects/<slug:slug>/review/", NextCase.as_view()),
    path("items/<int:item_id>/review/", AskForReview.as_view()),
    path("labels/<int:label_id>/revise/", Revise.as_view()),
]
