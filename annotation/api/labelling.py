"""Projects, prompts, and labelling."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, bulklabels, gold, labelling, leasing, standing
from annotation.api.browse import Browsing
from annotation.browseserializers import PromptFilterSerializer
from annotation.doors import SIGNED_IN
from annotation.endpoints import NDJSON, Conflict, Endpoint, documented
from annotation.filters import LABELS, PROMPTS
from annotation.importing import import_lines
from annotation.labelserializers import (
    AskSerializer,
    AssignmentSerializer,
    DraftSerializer,
    FeedbackSerializer,
    KindSerializer,
    LabelFilterSerializer,
    LabelRowSerializer,
    LabelSerializer,
    NextSerializer,
    ReleasedSerializer,
    ReleaseSerializer,
    SaidSerializer,
    SkippedSerializer,
    SkipSerializer,
    SubmitSerializer,
    SubmittedSerializer,
    TakenSerializer,
    assignment_as_told,
    label_as_told,
)
from annotation.models import Assignment, Membership, Project
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.parsers import NdjsonParser, PlainJsonParser
from annotation.serializers import (
    ImportRowSerializer,
    ProjectDetailSerializer,
    ProjectSerializer,
    PromptSerializer,
    SummarySerializer,
)

OF_ONES_OWN = {"kind", "person", "standing", "since", "until", "order"}  # what tells annotators nothing of others
LEASE_ENDED = "The lease on this item has ended; ask for the next one."


class Projects(Endpoint):
    who = SIGNED_IN
    scope = Scope.READ

    @documented("Projects", ProjectSerializer(many=True), refuses=(401,), operation_id="projects")
    def get(self, request: Request) -> Response:
        """The projects this person belongs to, each with their role and what waits for them."""

        def members(found: list[Project]) -> list[Membership]:
            return access.memberships(self.person, found)

        return self.page(access.projects(self.person), ProjectSerializer, members)


class OneProject(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.READ

    @documented("Projects", ProjectDetailSerializer, operation_id="project")
    def get(self, request: Request, slug: str) -> Response:
        """One project: its guidelines, its rules for labelling, and how far it is."""
        return Response(ProjectDetailSerializer(access.membership(self.person, slug)).data)


class Prompts(Browsing):
    who = Role.LEAD
    who_reads = Role.REVIEWER
    scope = Scope.DATA
    parser_classes = [NdjsonParser, PlainJsonParser]

    @documented(
        "Prompts", PromptSerializer(many=True), parameters=[PromptFilterSerializer], refuses=(400, 401, 403, 404)
    )
    def get(self, request: Request, slug: str) -> Response:
        """Leads and reviewers read the project's prompts, newest first, narrowed as on the page Browse."""
        member = access.membership(self.person, slug)
        return self.browse(member, PROMPTS, self.asked(PromptFilterSerializer), PromptSerializer)

    @documented(
        "Prompts",
        SummarySerializer,
        sends={NDJSON: OpenApiTypes.STR, "application/json": ImportRowSerializer(many=True)},
        refuses=(400, 401, 403, 404),
        operation_id="import_prompts",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead brings in rows, as JSON Lines or as one JSON list.

        Each row has `messages`, `prompt` and `completion`, `prompt` and `responses`, or a `prompt` alone. The same
        row twice adds nothing; a bad row is named in the answer and stops nothing.
        """
        project = access.project(self.person, slug)
        summary = import_lines(project=project, lines=_lines(request.data), actor=self.person)
        return Response(SummarySerializer(summary).data)


def _lines(data: Any) -> Iterable[str | bytes]:
    if isinstance(data, list):
        return (json.dumps(row) for row in data)
    if not isinstance(data, Iterator):  # an object, a number, a text; or nothing was sent
        raise ValidationError(
            {"non_field_errors": ["Send a JSON list of rows, or JSON Lines as application/x-ndjson."]}
        )
    return data


class Next(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.LABEL

    @documented("Labelling", NextSerializer, sends=AskSerializer, refuses=(400, 401, 403, 404), operation_id="next")
    def post(self, request: Request, slug: str) -> Response:
        """Lease this person's next item of a kind; an unfinished one of theirs comes first, and is renewed.

        `detail` says why there is none where it is not that nothing waits: they are paused, or their entry quiz goes on
        with the other kind.
        """
        member = access.membership(self.person, slug)
        sent = self.sent(AskSerializer)
        if member.pk is None:
            raise PermissionDenied("Join the project to label in it.")
        assignment = _next(member, **sent)
        return Response({"assignment": assignment, "detail": "" if assignment else standing.why_nothing(member)})


class Undo(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.LABEL

    @documented("Labelling", NextSerializer, sends=KindSerializer, refuses=(400, 401, 403, 404), operation_id="undo")
    def post(self, request: Request, slug: str) -> Response:
        """Take back this person's last label of a kind: its item is leased to them again, with what they said as the
        draft. The label stays on record as withdrawn."""
        project = access.project(self.person, slug)
        last = access.last_judged(self.person, project, self.sent(KindSerializer)["kind"])
        if last is None:
            raise ValidationError({"non_field_errors": ["There is no label of yours to take back."]})
        return Response({"assignment": AssignmentSerializer(labelling.undo(assignment=last)).data, "detail": ""})


class Submit(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented(
        "Labelling",
        SubmittedSerializer,
        sends=SubmitSerializer,
        code=(200, 201),
        refuses=(400, 401, 404, 409),
        operation_id="submit",
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Say what you think of an item: 201 when the label is new, 200 when it was sent before.

        409 says that the lease ended and the item went to somebody else.
        """
        assignment, member = access.own_work(self.person, assignment_id)
        sent = self.sent(SubmitSerializer)
        label = labelling.submit(assignment=assignment, said=SaidSerializer.said(sent), member=member)
        more = _after(member, assignment, sent)
        told = gold.feedback(label)
        feedback = FeedbackSerializer(told).data if told else None
        answer = {"label": label_as_told(label, fresh=not label.resent), "feedback": feedback, **more}
        return Response(answer, status=200 if label.resent else 201)


class Skip(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented("Labelling", SkippedSerializer, sends=SkipSerializer, refuses=(400, 401, 404, 409), operation_id="skip")
    def post(self, request: Request, assignment_id: int) -> Response:
        """Give an item back; the project's rules say what becomes of it."""
        assignment, member = access.own_work(self.person, assignment_id)
        sent = self.sent(SkipSerializer)
        if not leasing.skip(assignment=assignment, reason=sent["reason"]):
            raise Conflict(LEASE_ENDED)
        return Response(_after(member, assignment, sent))


class Draft(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented("Labelling", None, sends=DraftSerializer, code=204, refuses=(400, 401, 404, 409), operation_id="draft")
    def post(self, request: Request, assignment_id: int) -> Response:
        """Keep what was typed so far, and renew the lease; with no text, renew the lease alone."""
        assignment = access.own_assignment(self.person, assignment_id)
        sent = self.sent(DraftSerializer)
        if "draft" in sent:
            kept = leasing.save_draft(assignment=assignment, draft=sent["draft"])
        else:
            kept = leasing.heartbeat(assignment=assignment)
        if not kept:
            raise Conflict(LEASE_ENDED)
        return Response(status=204)


class Release(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented(
        "Labelling", ReleasedSerializer, sends=ReleaseSerializer, refuses=(400, 401, 404), operation_id="release"
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Give an item back that you have not begun: somebody else may have it at once."""
        assignment = access.own_assignment(self.person, assignment_id)
        return Response({"released": leasing.release(assignment=assignment, **self.sent(ReleaseSerializer))})


def _after(member: Membership, assignment: Assignment, sent: dict[str, Any]) -> dict[str, Any]:
    """The next assignment of the same kind if the request asks for it, and why there is none."""
    if not sent["next"]:
        return {"next": None, "detail": ""}
    found = _next(member, assignment.item.kind, sent.get("beyond", ()))
    return {"next": found, "detail": "" if found else standing.why_nothing(member)}


def _next(member: Membership, kind: str, beyond: Iterable[int] = ()) -> Any:
    assignment = leasing.next_assignment(membership=member, kind=kind, beyond=set(beyond))
    return assignment_as_told(assignment) if assignment else None


class Labels(Browsing):
    who = Role.LEAD
    who_reads = Role.ANNOTATOR
    scope = Scope.LABEL
    parser_classes = [NdjsonParser, PlainJsonParser]

    @documented("Labels", LabelSerializer(many=True), parameters=[LabelFilterSerializer], refuses=(400, 401, 403, 404))
    def get(self, request: Request, slug: str) -> Response:
        """Labels, newest first: all of them for leads and reviewers, their own for annotators, who narrow them by kind,
        date and whether they count."""
        member = access.membership(self.person, slug)
        asked = self.asked(LabelFilterSerializer)
        if "live" in asked:
            asked["standing"] = "live" if asked.pop("live") else "past"
        if not member.at_least(Role.REVIEWER):
            if set(asked) - OF_ONES_OWN:
                raise PermissionDenied("This filter is for reviewers and leads.")
            if asked.setdefault("person", self.person.username) != self.person.username:
                return self.listed([])
        return self.browse(member, LABELS, asked, LabelSerializer, lead=member.at_least(Role.LEAD))

    @documented(
        "Labels",
        TakenSerializer,
        sends={NDJSON: OpenApiTypes.STR, "application/json": LabelRowSerializer(many=True)},
        refuses=(400, 401, 403, 404),
        operation_id="send_labels",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead labels many items, in their own name: as JSON Lines or as one JSON list, 1,000 at a time.

        Each row names its `item` and says of its answers what the `labels` of an export say. The same row twice is one
        label; a row that does not fit is named in the answer and stops nothing. Only items that are open to this person
        can be judged, and gold cannot.
        """
        member = access.membership(self.person, slug)
        if member.pk is None:
            raise PermissionDenied("Join the project to label in it.")
        return Response(TakenSerializer(bulklabels.take_in(membership=member, lines=_lines(request.data))).data)


class Retract(Endpoint):
    who = Role.ANNOTATOR
    own, others = True, Role.LEAD
    scope = Scope.LABEL

    @documented("Labels", LabelSerializer, refuses=(400, 401, 403, 404), operation_id="retract")
    def post(self, request: Request, label_id: int) -> Response:
        """Withdraw a label, one's own or as a lead: it stays on record, and its item asks for another."""
        label, member = access.label_to_withdraw(self.person, label_id)
        labelling.retract(label=label, actor=member)
        label.refresh_from_db()
        return Response(LabelSerializer(label, context={"lead": member.at_least(Role.LEAD)}).data)


urlpatterns = [
    path("assignments/<int:assignment_id>/submit/", Submit.as_view()),
    path("projects/", Projects.as_view()),
    path("projects/<slug:slug>/", OneProject.as_view()),
    path("projects/<slug:slug>/prompts/", Prompts.as_view()),
    path("projects/<slug:slug>/next/", Next.as_view()),
    path("projects/<slug:slug>/undo/", Undo.as_view()),
    path("assignments/<int:assignment_id>/skip/", Skip.as_view()),
    path("assignments/<int:assignment_id>/draft/", Draft.as_view()),
    path("assignments/<int:assignment_id>/release/", Release.as_view()),
    path("projects/<slug:slug>/labels/", Labels.as_view()),
    path("labels/<int:label_id>/retract/", Retract.as_view()),
]
