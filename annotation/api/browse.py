"""Finding rows: answers, saved views, and the paging that prompts, answers and labels share."""

from collections.abc import Iterator
from typing import Any, cast

from django.http import StreamingHttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from annotation import access, asked, browsing, likeness, ordering, savedviews, shown
from annotation.browseserializers import (
    ChangeViewSerializer,
    ResponseFilterSerializer,
    ResponseSerializer,
    SavedViewSerializer,
    SaveViewSerializer,
)
from annotation.endpoints import NDJSON, Endpoint, NdjsonRenderer, documented, json_line
from annotation.filters import ANSWERS, LABELS, PROMPTS, Wanted
from annotation.models import Label, Membership, Prompt
from annotation.models import Response as Answer
from annotation.models.accesskeys import Scope
from annotation.models.people import Role

ROWS: dict[str, Any] = {
    PROMPTS: Prompt.objects.all(),
    ANSWERS: Answer.objects.all(),
    LABELS: Label.objects.select_related("person", "item", "response", "superseded_by", "guidelines").prefetch_related(
        "judgements"
    ),
}


class ByPlace(CursorPagination):
    """Pages as Browse has them: `next` says where the last row of the page stands."""

    page_size_query_param = "page_size"
    max_page_size = 500

    def find(self, wanted: Wanted, order: str, request: Request) -> browsing.Found:
        cursor = request.query_params.get(self.cursor_query_param, "")
        after = ordering.Place.parse(cursor)
        if cursor and after is None:
            raise NotFound("Invalid cursor")
        size = self.get_page_size(request) or browsing.PAGE
        try:
            return browsing.find(wanted, order=order, after=after, size=size)
        except browsing.TooSlow:
            raise ValidationError({"non_field_errors": ["This takes too long: narrow it by more filters."]}) from None

    def address(self, place: ordering.Place | None, request: Request) -> str | None:
        here = request.build_absolute_uri()
        return replace_query_param(here, self.cursor_query_param, str(place)) if place else None


class Browsing(Endpoint):
    """An endpoint that lists prompts, answers or labels."""

    pagination_class = ByPlace

    def browse(
        self,
        member: Membership,
        view: str,
        narrowed: dict[str, Any],
        serializer: type[serializers.BaseSerializer],
        **context: Any,
    ) -> Response:
        """One page of rows that fit, or the rows most like one; for whoever accepts JSON Lines, all in a stream."""
        like, order = narrowed.pop("like", None), narrowed.pop("order", "")
        query = {"view": view, **{name: str(value) for name, value in narrowed.items()}}
        wanted = asked.wanted(member.project, query, lead=member.at_least(Role.LEAD))

        def told(found: browsing.Found) -> Any:
            if context.get("lead") and view == ANSWERS:
                context["models"] = shown.written_by(found.ids)
            by_id = ROWS[view].in_bulk(found.ids)
            return serializer([by_id[pk] for pk in found.ids if pk in by_id], many=True, context=context).data

        streams = self.request.accepted_renderer.format == NdjsonRenderer.format
        if like is None:
            order = ordering.order_of(wanted, order)
            if streams:
                pages = _all_pages(wanted, order)
                lines = (json_line(row) for found in pages for row in told(found))
                return cast(Response, StreamingHttpResponse(lines, content_type=NDJSON))
            found = ByPlace().find(wanted, order, self.request)
        else:
            found = browsing.Found(likeness.fitting(wanted, like)[1])
        if streams:
            return cast(Response, StreamingHttpResponse(map(json_line, told(found)), content_type=NDJSON))
        return self.listed(told(found), found.after)

    def listed(self, rows: Any, after: ordering.Place | None = None) -> Response:
        return Response({"next": ByPlace().address(after, self.request), "previous": None, "results": rows})


def _all_pages(wanted: Wanted, order: str) -> Iterator[browsing.Found]:
    """Page after page: where PostgreSQL gave up on one before it was full, the next goes on from there."""
    found = browsing.find(wanted, order=order, after=None, size=ByPlace.max_page_size)
    yield found
    while found.after is not None:
        found = browsing.find(wanted, order=order, after=found.after, size=ByPlace.max_page_size)
        yield found


class Responses(Browsing):
    who = Role.REVIEWER
    scope = Scope.READ

    @documented(
        "Prompts",
        ResponseSerializer(many=True),
        parameters=[ResponseFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="responses",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Leads and reviewers read the project's answers with their prompts' newest first, narrowed as on Browse."""
        member = access.membership(self.person, slug)
        lead = member.at_least(Role.LEAD)
        return self.browse(member, ANSWERS, self.asked(ResponseFilterSerializer), ResponseSerializer, lead=lead)


class SavedViews(Endpoint):
    who = Role.REVIEWER
    scope = Scope.DATA

    @documented("Prompts", SavedViewSerializer(many=True), operation_id="saved_views")
    def get(self, request: Request, slug: str) -> Response:
        """A person's own saved views, and those that colleagues share."""
        return self.page(savedviews.visible(access.membership(self.person, slug)), SavedViewSerializer)

    @documented(
        "Prompts",
        SavedViewSerializer,
        sends=SaveViewSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="save_view",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Keep a question under a name; one of yours with that name is replaced."""
        member = access.membership(self.person, slug)
        view = savedviews.save(member=member, **self.sent(SaveViewSerializer))
        return Response(SavedViewSerializer(view).data, status=201)


class OneView(Endpoint):
    who = Role.REVIEWER
    own = True
    scope = Scope.DATA

    @documented(
        "Prompts",
        SavedViewSerializer,
        sends=ChangeViewSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="change_view",
    )
    def patch(self, request: Request, slug: str, view_id: int) -> Response:
        """Rename a view of yours, or share it."""
        view, member = access.saved_view(self.person, slug, view_id)
        changed = savedviews.change(view=view, actor=member, **self.sent(ChangeViewSerializer))
        return Response(SavedViewSerializer(changed).data)

    @documented("Prompts", None, code=204, operation_id="delete_view")
    def delete(self, request: Request, slug: str, view_id: int) -> Response:
        """Delete a view of yours; a lead deletes a shared one too."""
        view, member = access.saved_view(self.person, slug, view_id)
        savedviews.delete(view=view, actor=member)
        return Response(status=204)


urlpatterns = [
    path("projects/<slug:slug>/responses/", Responses.as_view()),
    path("projects/<slug:slug>/views/", SavedViews.as_view()),
    path("projects/<slug:slug>/views/<int:view_id>/", OneView.as_view()),
]
