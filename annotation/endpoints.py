"""What all endpoints of the API share: who asks, how a refusal reads, pages of rows, and JSON Lines.

An endpoint is gate, serializer, verb, answer. A refusal by a gate is 404 or 403; by a serializer or a verb 400, as
sentences by field; by the state of things (a lease that ended, a run that is over) 409.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from django.core.exceptions import ValidationError as VerbRefusal
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from annotation.labelling import LeaseLost
from annotation.models import User

NDJSON = "application/x-ndjson"
BIGGEST_ID = 2**63 - 1
F = TypeVar("F", bound=Callable[..., Any])


class Conflict(APIException):
    """The request is sound, but things have moved on."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Endpoint(GenericAPIView):
    """A view whose verbs' refusals become answers."""

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, VerbRefusal):
            exc = ValidationError({"non_field_errors": exc.messages})
        elif isinstance(exc, LeaseLost):
            exc = Conflict(str(exc))
        return super().handle_exception(exc)

    def sent(self, form: type[serializers.Serializer], **context: Any) -> dict[str, Any]:
        """The request's body, validated."""
        return _valid(form(data=self.request.data, context=context))

    def asked(self, form: type[serializers.Serializer]) -> dict[str, Any]:
        """The query in the address, validated."""
        return _valid(form(data=self.request.query_params.dict()))

    def page(self, rows: QuerySet[Any], serializer: type[serializers.BaseSerializer], **context: Any) -> Response:
        """One page of rows, newest first, with links to the pages before and after it."""
        found = self.paginate_queryset(rows)
        return self.get_paginated_response(serializer(found, many=True, context=context).data)


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
    403: OpenApiResponse(DetailSerializer, description="The person's role in the project is too low."),
    404: OpenApiResponse(DetailSerializer, description="No such thing, or not in a project of this person."),
    409: OpenApiResponse(DetailSerializer, description="Things have moved on: a lease or a run has ended."),
}


def documented(
    topic: str,
    answer: Any,
    *,
    sends: Any = None,
    code: int | Sequence[int] = 200,
    media_type: str = "application/json",
    refuses: Iterable[int] = (401, 403, 404),
    also: Mapping[int, Any] | None = None,
    **more: Any,
) -> Callable[[F], F]:
    """Describe one method of an endpoint to OpenAPI; its docstring is the description. `also` are other answers by code
    that are no refusals."""
    codes = [code] if isinstance(code, int) else code
    responses: dict[Any, Any] = {(one, media_type) if answer else one: answer for one in codes}
    responses |= {(one, "application/json"): other for one, other in (also or {}).items()}
    responses |= {(one, "application/json"): REFUSALS[one] for one in refuses}
    return extend_schema(tags=[topic], request=sends, responses=responses, **more)


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of a pydantic model, for OpenAPI."""
    schema = model.model_json_schema()
    return {key: value for key, value in schema.items() if key not in ("description", "title")}


class NdjsonParser(BaseParser):
    """JSON Lines in: `request.data` is an iterator over the lines, read as they arrive."""

    media_type = NDJSON

    def parse(  # type: ignore[override]  # lines, and not a form
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> Iterator[bytes]:
        return iter(stream.readline, b"")


class NdjsonRenderer(BaseRenderer):
    """Lets a client accept JSON Lines; what is rendered here is a refusal, since rows are streamed."""

    media_type = NDJSON
    format = "ndjson"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return json_line(data).encode()


def json_line(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"
