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
from annotation.doors import SIGNED_IN
from annotation.endpoints import Endpoint, documented
from annotation.models import Assignment, Comment, Item, Membership
from annotation.models.accesskeys import Scope
from annotation.models.people import Role


class Comments(Endpoint):
    """The thread on the item of one's own assignment."""

    who = Role.ANNOTATOR
    own = True
    scope = Scope.LABEL

    @documented("Talk", CommentSerializer(many=True), refuses=(401, 404), operation_id="thread", filters=False)
    def get(self, request: Request, assignment_id: int) -> Response:
        """What is said about an item, oldest first; before one has judged it, one's own words and what mentions one."""
        assignment = access.own_assignment(self.person, assignment_id)
        seen = talk.thread(member=self._member(assignment), item=assignment.item, blind=assignment.review)
        return _thread(self, seen)

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
    who = Role.ANNOTATOR
    own, others = True, Role.REVIEWER
    scope = Scope.LABEL

    @documented("Talk", CommentSerializer(many=True), refuses=(401, 404), operation_id="thread_of", filters=False)
    def get(self, request: Request, comment_id: int) -> Response:
        """The thread that a comment stands in, as far as the person may read it."""
        comment, member = access.comment(self.person, comment_id)
        return _thread(self, talk.thread(member=member, item=comment.item, blind=False))

    @documented(
        "Talk", CommentSerializer, sends=SayWordSerializer, code=201, refuses=(400, 401, 404), operation_id="reply"
    )
    def post(self, request: Request, comment_id: int) -> Response:
        """Say a word more in the thread that a comment stands in."""
        comment, member = access.comment(self.person, comment_id)
        return Response(_said(member, comment.item, self.sent(SayWordSerializer)), status=201)


class Flags(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Talk", FlagSerializer(many=True), operation_id="flags")
    def get(self, request: Request, slug: str) -> Response:
        """The flags that wait for the leads, newest first."""
        return self.page(access.flags(self.person, slug), FlagSerializer)


class Settle(Endpoint):
    who = Role.LEAD
    scope = Scope.LABEL

    @documented("Talk", None, sends=SettleSerializer, code=204, refuses=(400, 401, 403, 404), operation_id="settle")
    def post(self, request: Request, comment_id: int) -> Response:
        """A lead is done with a flag; its author is told."""
        flag, member = access.comment(self.person, comment_id)
        talk.settle(flag=flag, actor=member, **self.sent(SettleSerializer))
        return Response(status=204)


class Notices(Endpoint):
    who = SIGNED_IN
    scope = Scope.READ

    @documented("Notices", NoticeSerializer(many=True), refuses=(401,), operation_id="notices")
    def get(self, request: Request) -> Response:
        """What wants this person's eye, newest first; `read_at` is null in what they have not read."""
        return self.page(access.notices(self.person).select_related("project"), NoticeSerializer)


class ReadNotices(Endpoint):
    who = SIGNED_IN
    scope = Scope.LABEL

    @documented("Notices", ReadSerializer, refuses=(401,), operation_id="read_notices")
    def post(self, request: Request) -> Response:
        """Mark all of one's notices as read."""
        return Response({"read": notices.mark_read(access.notices(self.person))})


class ReadNotice(Endpoint):
    who = SIGNED_IN
    own = True
    scope = Scope.LABEL

    @documented("Notices", ReadSerializer, refuses=(401, 404), operation_id="read_notice")
    def post(self, request: Request, notice_id: int) -> Response:
        """Mark one notice as read."""
        return Response({"read": notices.mark_read(access.notice(self.person, notice_id))})


def _thread(endpoint: Endpoint, seen: list[tuple[Comment, str]]) -> Response:
    """Oldest first, as a conversation is read, each under the name by which this person may know its author."""
    names = {one.pk: author for one, author in seen}
    rows = Comment.objects.filter(pk__in=names).select_related("author")
    return endpoint.page(rows, CommentSerializer, oldest_first=True, names=names)


def _said(member: Membership, item: Item, sent: dict[str, Any]) -> Any:
    made = talk.comment(item=item, author=member, **sent)
    return CommentSerializer(made).data


urlpatterns = [
    path("assignments/<int:assignment_id>/comments/", Comments.as_view()),
    path("comments/<int:comment_id>/", OneComment.as_view()),
    path("comments/<int:comment_id>/settle/", Settle.as_view()),
    path("projects/<slug:slug>/flags/", Flags.as_view()),
    path("notices/", Notices.as_view()),
    path("notices/read/", ReadNotices.as_view()),
    path("notices/<int:notice_id>/read/", ReadNotice.as_view()),
]
