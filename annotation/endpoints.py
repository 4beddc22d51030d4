"""What all endpoints of the API share: who asks and by which key, how a refusal reads, pages of rows, JSON Lines.

An endpoint is gate, serializer, verb, answer. A refusal by a gate is 404 or 403; by a serializer or a verb 400, as
sentences by field; by the state of things (a lease that ended, a run that is over) 409.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from django.core.exceptions import ValidationError as VerbRefusal
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import repeating
from annotation.doors import ANYBODY, Rule
from annotation.labelling import LeaseLost
from annotation.models import AccessKey, Membership, User
from annotation.models.accesskeys import Scope
from annotation.models.people import Role

NDJSON = "application/x-ndjson"
BIGGEST_ID = 2**63 - 1
ROWS_AT_ONCE = 500
F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=serializers.Serializer)

KEPT: dict[type[serializers.Serializer], serializers.Serializer] = {}


def kept(form: type[S]) -> type[S]:
    """Decorator for a form that knows nothing of the request, and comes with every label: it is made once, since making
    one copies all its fields, and validates from then on."""
    KEPT[form] = form()
    return form


class Conflict(APIException):
    """The request is sound, but things have moved on."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class NdjsonRenderer(BaseRenderer):
    """Lets a client accept JSON Lines. Rows are streamed; whatever else is answered stays JSON."""

    media_type = NDJSON
    format = "ndjson"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        raise NotImplementedError


class Endpoint(GenericAPIView):
    """A view whose verbs' refusals become answers.

    Each says whom it opens to, as pages do by `door` (annotation/doors.py): `who`, `who_reads` where that is another
    for reading, `own` and `others`. And it says what an access key must open: `scope` for changes, `read_scope` for
    reading; one that says nothing is for keys that open everything. `of_person`: it is about the person, and closed to
    keys that open one project.
    `secret_answer`: it answers with a secret, so no answer is kept for an Idempotency-Key.
    """

    who: ClassVar[str]
    who_reads: ClassVar[str | None] = None
    own: ClassVar[bool] = False
    others: ClassVar[Role | None] = None
    scope: ClassVar[Scope | None] = None
    read_scope: ClassVar[Scope] = Scope.READ
    of_person: ClassVar[bool] = False
    secret_answer: ClassVar[bool] = False
    renderer_classes = [JSONRenderer, NdjsonRenderer]

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    @classmethod
    def rule(cls, method: str) -> Rule:
        """Whom this method opens to."""
        who = cls.who_reads if method in SAFE_METHODS and cls.who_reads else cls.who
        return Rule(who, cls.own, cls.others)

    @classmethod
    def needs(cls, method: str) -> set[Scope]:
        """What an access key must open for this method."""
        if method in SAFE_METHODS:
            return {cls.read_scope}
        return set(Scope) if cls.scope is None else {cls.scope}

    def get_permissions(self) -> list[Any]:
        return [] if self.who == ANYBODY else list(super().get_permissions())

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        self.rule(request.method or "").hold(request.user)
        key = request.auth
        if not isinstance(key, AccessKey):
            return
        if missing := sorted(self.needs(request.method or "") - set(key.scopes)):
            self.permission_denied(request, f"This access key does not open that: it lacks {', '.join(missing)}.")
        if self.of_person and key.project_id:
            self.permission_denied(request, "This access key opens one project, and this belongs to none.")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get(repeating.HEADER)
        if key is None or request.method != "POST" or not request.user.is_authenticated:
            return
        if self.secret_answer:
            raise ValidationError({repeating.HEADER: ["The answer is a secret, and is not kept: leave the key out."]})
        once = partial(repeating.once, self.post, person=self.person, key=key)  # type: ignore[attr-defined]
        vars(self)["post"] = lambda request, **named: once(request=request, named=named)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if getattr(getattr(request, "accepted_renderer", None), "format", "") == NdjsonRenderer.format:
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, VerbRefusal):
            exc = ValidationError({"non_field_errors": exc.messages})
        elif isinstance(exc, LeaseLost):
            exc = Conflict(str(exc))
        elif isinstance(exc, Membership.DoesNotExist):  # they left while their request was under way
            exc = NotFound("No such project")
        return super().handle_exception(exc)

    def sent(self, form: type[serializers.Serializer], **context: Any) -> dict[str, Any]:
        """The request's body, validated."""
        if form in KEPT and not context:
            with suppress(ValidationError):  # which is told below, as ever
                return cast(dict[str, Any], KEPT[form].run_validation(self.request.data))
        return _valid(form(data=self.request.data, context=context))

    def asked(self, form: type[serializers.Serializer], **context: Any) -> dict[str, Any]:
        """The query in the address, validated."""
        return _valid(form(data=self.request.query_params.dict(), context=context))

    def page(
        self,
        rows: QuerySet[Any],
        serializer: type[serializers.BaseSerializer],
        shown: Callable[[list[Any]], Iterable[Any]] = lambda found: found,
        oldest_first: bool = False,
        **context: Any,
    ) -> Response:
        """One page of rows, newest first, with links to the pages before and after it; or, for whoever accepts JSON
        Lines, all of them in a stream. `shown` makes what is told of the rows of a page."""

        def told(found: list[Any]) -> Any:
            return serializer(shown(found), many=True, context=context).data

        if self.request.accepted_renderer.format == NdjsonRenderer.format:
            lines = (json_line(row) for found in _all(rows, oldest_first) for row in told(found))
            return cast(Response, StreamingHttpResponse(lines, content_type=NDJSON))
        if oldest_first:
            self.paginator.ordering = "id"  # type: ignore[union-attr]  # it pages by cursor
        return self.get_paginated_response(told(self.paginate_queryset(rows) or []))


def _all(rows: QuerySet[Any], oldest_first: bool) -> Iterator[list[Any]]:
    """Rows in order, some at a time, each time from where the last ended: flat in memory, however many there are."""
    order, after = ("id", "id__gt") if oldest_first else ("-id", "id__lt")
    found = list(rows.order_by(order)[:ROWS_AT_ONCE])
    while found:
        yield found
        rest = rows.filter(**{after: found[-1].id}).order_by(order)
        found = list(rest[:ROWS_AT_ONCE]) if len(found) == ROWS_AT_ONCE else []


def _valid(form: serializers.Serializer) -> dict[str, Any]:
    form.is_valid(raise_exception=True)
    return cast(dict[str, Any], form.validated_data)


class DetailSerializer(serializers.Serializer):
    detail = serializers.CharField(help_text="Why, in a sentence.")


PROBLEMS = OpenApiResponse(
    {
        "type": "object",
        "additionalProperties": True,
        "example": {"non_field_errors": ["Give each answer a rank."]},
    },
    description="What does not fit, as sentences by field; `non_field_errors` holds those about the whole.",
)
REFUSALS: Mapping[int, Any] = {
    400: PROBLEMS,
    401: OpenApiResponse(DetailSerializer, description="Nobody is signed in."),
    403: OpenApiResponse(DetailSerializer, description="The role in the project, or the access key, does not open it."),
    404: OpenApiResponse(DetailSerializer, description="No such thing, or not in a project of this person."),
    409: OpenApiResponse(DetailSerializer, description="Things have moved on: a lease or a run has ended."),
    429: OpenApiResponse(DetailSerializer, description="Too many requests: `Retry-After` says when to go on."),
    422: OpenApiResponse(DetailSerializer, description="The Idempotency-Key came with another request."),
}


def documented(
    topic: str,
    answer: Any,
    *,
    sends: Any = None,
    code: int | Sequence[int] = 200,
    media_type: str | Sequence[str] = "application/json",
    refuses: Iterable[int] = (401, 403, 404),
    also: Mapping[int, Any] | None = None,
    **more: Any,
) -> Callable[[F], F]:
    """Describe one method of an endpoint to OpenAPI; its docstring is the description. `also` are other answers by code
    that are no refusals."""
    codes = [code] if isinstance(code, int) else code
    types = [media_type] if isinstance(media_type, str) else media_type
    responses: dict[Any, Any] = {(one, name) if answer else one: answer for one in codes for name in types}
    responses |= {(one, "application/json"): other for one, other in (also or {}).items()}
    responses |= {(one, "application/json"): REFUSALS[one] for one in refuses}
    return extend_schema(tags=[topic], request=sends, responses=responses, **more)


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of a pydantic model, for OpenAPI."""
    schema = model.model_json_schema()
    return {key: value for key, value in schema.items() if key not in ("description", "title")}


def json_line(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"
