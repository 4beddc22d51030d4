"""Threads on items, flags, and notices."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, notices, talk
from annotation.api.shapes import (
    CommentSerializer,
    FlagSerializer,
    NoticeSerializer,
    ReadSerializer,
    SayWordSerializer,
    SettleSerializer,
)
from annotation.endpoints import Endpoint, documented
from annotation.models import Assignment, Item, Membership
from annotation.models.people import Role


class Comments(Endpoint):
    """The thread on the item of one's own assignment."""

    @documented("Talk", CommentSerializer(many=True), refuses=(401, 404), operation_id="thread", filters=False)
    def get(self, request: Request, assignment_id: int) -> Response:
        """What is said about an item, oldest first; before one has judged it, one's own words and what mentions one."""
        assignment = access.own_assignment(self.person, assignment_id)
        return Response(_thread(self._member(assignment), assignment.item, assignment))

    @documented(
        "Talk", CommentSerializer, sends=SayWordSerializer, code=201, refuses=(400, 401, 404), operation_id="comment"
    )
    def post(self, request: Request, assignment_id: int) -> Response:
        """Say a word more: `@name` tells that member, a flag tells the leads and opens a case for the reviewers."""
        assignment = access.own_assignment(self.person, assignment_id)
        return Response(_said(self._member(assignment), assignment.item, self.sent(SayWordSerializer)), status=201)

    def _member(self, assignment: Assignment) -> Membership:
        return access.membership(self.person, assignment.item.project.slug)


class OneComment(Endpoint):
    @documented("Talk", CommentSerializer(many=True), refuses=(401, 404), operation_id="thread_of", filters=False)
    def get(self, request: Request, comment_id: int) -> Response:
        """The thread that a comment stands in, as far as the person may read it."""
        comment, member = access.comment(self.person, comment_id)
        return Response(_thread(member, comment.item))

    @documented(
        "Talk", CommentSerializer, sends=SayWordSerializer, code=201, refuses=(400, 401, 404), operation_id="reply"
    )
    def post(self, request: Request, comment_id: int) -> Response:
        """Say a word more in the thread that a comment stands in."""
        comment, member = access.comment(self.person, comment_id)
        return Response(_said(member, comment.item, self.sent(SayWordSerializer)), status=201)


class Flags(Endpoint):
    @documented("Talk", FlagSerializer(many=True), operation_id="flags")
    def get(self, request: Request, slug: str) -> Response:
        """The flags that wait for the leads, newest first."""
        return self.page(access.flags(self.person, slug), FlagSerializer)


class Settle(Endpoint):
    @documented("Talk", None, sends=SettleSerializer, code=204, refuses=(400, 401, 403, 404), operation_id="settle")
    def post(self, request: Request, comment_id: int) -> Response:
        """A lead is done with a flag; its author is told."""
        flag, member = access.comment(self.person, comment_id, Role.LEAD)
        talk.settle(flag=flag, actor=member, **self.sent(SettleSerializer))
        return Response(status=204)


class Notices(Endpoint):
    @documented("Notices", NoticeSerializer(many=True), refuses=(401,), operation_id="notices")
    def get(self, request: Request) -> Response:
        """What wants this person's eye, newest first; `read_at` is null in what they have not read."""
        return self.page(access.notices(self.person).select_related("project"), NoticeSerializer)


class ReadNotices(Endpoint):
    @documented("Notices", ReadSerializer, refuses=(401,), operation_id="read_notices")
    def post(self, request: Request) -> Response:
        """Mark all of one's notices as read."""
        return Response({"read": notices.mark_read(access.notices(self.person))})


class ReadNotice(Endpoint):
    @documented("Notices", ReadSerializer, refuses=(401, 404), operation_id="read_notice")
    def post(self, request: Request, notice_id: int) -> Response:
        """Mark one notice as read."""
        return Response({"read": notices.mark_read(access.notice(self.person, notice_id))})


def _thread(member: Membership, item: Item, assignment: Assignment | None = None) -> Any:
    seen = talk.thread(member=member, item=item, blind=assignment is not None and assignment.review)
    return [CommentSerializer(one, context={"author": author}).data for one, author in seen]


def _said(member: Membership, item: Item, sent: dict[str, Any]) -> Any:
    made = talk.comment(item=item, author=member, **sent)
    return CommentSerializer(made, context={"author": member.person.username}).data


urlpatterns = [
    path("assignments/<int:assignment_id>/comments/", Comments.as_view()),
    path("comments/<int:comment_id>/", OneComment.as_view()),
    path("comments/<int:comment_id>/settle/", Settle.as_view()),
    path("projects/<slug:slug>/flags/", Flags.as_view()),
    path("notices/", Notices.as_view()),
    path("notices/read/", ReadNotices.as_view()),
    path("notices/<int:notice_id>/read/", ReadNotice.as_view()),
]
