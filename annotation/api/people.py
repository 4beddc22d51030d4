"""People, teams and invitations: gate, serializer, verb, answer."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import StreamingHttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, invitations, people, teams, work_done, workload
from annotation.doors import ANYBODY
from annotation.endpoints import NDJSON, Conflict, Endpoint, documented
from annotation.invitations import Closed
from annotation.models import Invitation, Membership
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.peopleforms import AccountForm
from annotation.peopleserializers import (
    InvitationSerializer,
    InviteSerializer,
    JoinedSerializer,
    JoinSerializer,
    MemberChangeSerializer,
    PersonSerializer,
    TeamChangeSerializer,
    TeamSerializer,
    WorkExportSerializer,
    WorkRowSerializer,
)
from annotation.views.people import work_file


class People(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("People", PersonSerializer(many=True), operation_id="people")
    def get(self, request: Request, slug: str) -> Response:
        """A lead reads who is in the project, their teams, and how much they do; newest members first."""
        project = access.project(self.person, slug)
        rows = project.memberships.select_related("person").prefetch_related("teams")
        return self.page(rows, PersonSerializer, workload.of)


class OnePerson(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", PersonSerializer, operation_id="person")
    def get(self, request: Request, slug: str, person_id: int) -> Response:
        """One member, as in the list."""
        lead = access.membership(self.person, slug)
        return Response(_person(access.member_of(lead, person_id)))

    @documented(
        "People",
        PersonSerializer,
        sends=MemberChangeSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="change_person",
    )
    def patch(self, request: Request, slug: str, person_id: int) -> Response:
        """A lead gives a member another role, or puts them into exactly these teams. The last lead stays one."""
        lead = access.membership(self.person, slug)
        member = access.member_of(lead, person_id)
        sent = self.sent(MemberChangeSerializer, project=lead.project)
        if "role" in sent:
            people.set_role(membership=member, role=sent["role"], actor=self.person)
        if "teams" in sent:
            people.set_teams(membership=member, teams=sent["teams"], actor=self.person)
        return Response(_person(Membership.objects.select_related("person").get(pk=member.pk)))

    @documented("People", None, code=204, refuses=(400, 401, 403, 404), operation_id="remove_person")
    def delete(self, request: Request, slug: str, person_id: int) -> Response:
        """A lead takes somebody out: what they hold goes back to the queue, what they said stays."""
        lead = access.membership(self.person, slug)
        people.remove(membership=access.member_of(lead, person_id), actor=self.person)
        return Response(status=204)


def _person(member: Membership) -> Any:
    return PersonSerializer(workload.of([member])[0]).data


class WorkExport(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented(
        "People",
        WorkRowSerializer,
        media_type=(NDJSON, "text/csv"),
        parameters=[WorkExportSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="export_work",
    )
    def get(self, request: Request, slug: str, person_id: int) -> StreamingHttpResponse:
        """A lead takes out what somebody has done, a row for each label, as JSON Lines or CSV, in a stream."""
        lead = access.membership(self.person, slug)
        who = access.person_of(lead, person_id)
        asked = self.asked(WorkExportSerializer)
        names, file = asked.pop("names"), asked.pop("file")
        labels = work_done.chosen(work_done.by(who, lead.project), **asked)
        return work_file(lead=lead, labels=labels, person_id=person_id, names=names, format=file)


class Teams(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", TeamSerializer(many=True), operation_id="teams")
    def get(self, request: Request, slug: str) -> Response:
        """The teams of a project, each with its part of the data and its people."""
        project = access.project(self.person, slug)
        return self.page(project.teams.order_by().prefetch_related("members"), TeamSerializer)

    @documented(
        "People",
        TeamSerializer,
        sends=TeamChangeSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="make_team",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead makes a team: its people are given items that fit one of its tags and one of its languages."""
        project = access.project(self.person, slug)
        sent = self.sent(TeamChangeSerializer, project=project)
        made = teams.save(project=project, actor=self.person, members=sent.pop("people"), **sent)
        return Response(TeamSerializer(made).data, status=201)


class OneTeam(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented(
        "People",
        TeamSerializer,
        sends=TeamChangeSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="change_team",
    )
    def patch(self, request: Request, slug: str, team_id: int) -> Response:
        """A lead changes a team; what is left out stays."""
        lead = access.membership(self.person, slug)
        team = access.team_of(lead, team_id)
        form = TeamChangeSerializer(data=request.data, partial=True, context={"project": lead.project})
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        now = {"name": team.name, "tags": team.tags, "languages": team.languages}
        members = sent.pop("people", None)
        made = teams.save(
            project=lead.project,
            actor=self.person,
            team=team,
            members=list(team.members.all()) if members is None else members,
            **{**now, **sent},
        )
        return Response(TeamSerializer(made).data)

    @documented("People", None, code=204, operation_id="delete_team")
    def delete(self, request: Request, slug: str, team_id: int) -> Response:
        """A lead ends a team; its people stay in the project."""
        lead = access.membership(self.person, slug)
        teams.delete(team=access.team_of(lead, team_id), actor=self.person)
        return Response(status=204)


class Invitations(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", InvitationSerializer(many=True), operation_id="invitations")
    def get(self, request: Request, slug: str) -> Response:
        """The invitation links of a project, and who came by each."""
        project = access.project(self.person, slug)
        rows = project.invitations.select_related("project", "author")
        return self.page(rows, InvitationSerializer, request=request, came=invitations.who_came(project))

    @documented(
        "People",
        InvitationSerializer,
        sends=InviteSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="invite",
    )
    def post(self, request: Request, slug: str) -> Response:
        """A lead makes a link by which people join by themselves."""
        lead = access.membership(self.person, slug)
        sent = self.sent(InviteSerializer, project=lead.project)
        made = invitations.invite(project=lead.project, actor=lead, **sent)
        return Response(_shown(made, request), status=201)


def _shown(invitation: Invitation, request: Request) -> Any:
    came = invitations.who_came(invitation.project)
    return InvitationSerializer(invitation, context={"request": request, "came": came}).data


class Revoke(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", InvitationSerializer, refuses=(401, 403, 404, 409), operation_id="revoke_invitation")
    def post(self, request: Request, slug: str, invitation_id: int) -> Response:
        """A lead takes a link back: it admits nobody any more. 409 if it was taken back already."""
        lead = access.membership(self.person, slug)
        invitation = access.invitation_of(lead, invitation_id)
        if not invitations.revoke(invitation=invitation, actor=self.person):
            raise Conflict("This link was taken back already.")
        invitation.refresh_from_db()
        return Response(_shown(invitation, request))


class Join(Endpoint):
    who = ANYBODY
    scope = Scope.MANAGE
    of_person = True

    @documented(
        "People", JoinedSerializer, sends=JoinSerializer, refuses=(400, 401, 404, 409), operation_id="join", auth=[]
    )
    def post(self, request: Request) -> Response:
        """Come by an invitation link: who is signed in joins; who sends a name and a password gets an account.

        409 says why the link admits nobody any more, 404 that nobody made it.
        """
        sent = self.sent(JoinSerializer)
        invitation = access.invitation(sent.pop("token"))
        try:
            if request.user.is_authenticated:
                person, new = self.person, invitations.join(invitation=invitation, person=self.person)
            else:
                person, new = self._new_person(invitation, sent), True
        except Closed as error:
            raise Conflict(str(error)) from error
        role = invitation.project.memberships.get(person=person).role
        return Response({"project": invitation.project.slug, "role": role, "new": new})

    def _new_person(self, invitation: Invitation, sent: dict[str, Any]) -> Any:
        if "username" not in sent or "password" not in sent:
            self.permission_denied(self.request)
        if closed := invitations.why_closed(invitation):
            raise Closed(closed)
        password = sent.pop("password")
        form = AccountForm({**sent, "password1": password, "password2": password})
        if not form.is_valid():
            raise ValidationError([reason for reasons in form.errors.values() for reason in reasons])
        return invitations.join_anew(invitation=invitation, password=password, **sent)


urlpatterns = [
    path("projects/<slug:slug>/people/", People.as_view()),
    path("projects/<slug:slug>/people/<int:person_id>/", OnePerson.as_view()),
    path("projects/<slug:slug>/people/<int:person_id>/export/", WorkExport.as_view()),
    path("projects/<slug:slug>/teams/", Teams.as_view()),
    path("projects/<slug:slug>/teams/<int:team_id>/", OneTeam.as_view()),
    path("projects/<slug:slug>/invitations/", Invitations.as_view()),
    path("projects/<slug:slug>/invitations/<int:invitation_id>/revoke/", Revoke.as_view()),
    path("join/", Join.as_view()),
]
