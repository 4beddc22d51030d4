"""What the endpoints share that speak as hosted services do, so that their clients work here: the key, the shape of a
refusal, and lists that are paged by the id of the last row.

The access is the same as everywhere: an access key, and a project in which they lead. That is the key and the
address (`base_url`) such a client is given.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Endpoint

F = TypeVar("F", bound=Callable[..., Any])
CODES = {401: "invalid_api_key", 403: "permission_denied", 404: "not_found", 429: "too_many_requests"}
MOST = 100  # rows in one answer


class AnyAnswer(DefaultContentNegotiation):
    """JSON, whatever a client says that it accepts: some ask for files as `application/binary`."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class Unserved(APIException):
    """It cannot be answered now: the person may ask again later, or somebody must do something."""

    status_code = 503
    default_code = "unavailable"


class TooMany(APIException):
    status_code = 429
    default_code = "too_many_requests"


class Hosted(Endpoint):
    """An endpoint whose refusals are `{"error": {"message", "type", "param", "code"}}`."""

    content_negotiation_class = AnyAnswer

    def handle_exception(self, exc: Exception) -> Response:
        message = getattr(exc, "message_dict", None)
        if message is not None:  # a verb that names what does not fit
            exc = ValidationError(message)
        answer = super().handle_exception(exc)
        answer.data = {"error": _error(answer.data, answer.status_code)}
        return answer

    def rows(self, rows: QuerySet[Any], serializer: type[serializers.Serializer]) -> Response:
        """A page of rows that have a `key`, newest first: those after the one named, `limit` at most."""
        asked = self.asked(PageSerializer)
        limit, after = asked["limit"], asked.get("after")
        rows = rows.order_by("id" if asked["order"] == "asc" else "-id")
        if after:
            last = rows.filter(key=after).values_list("pk", flat=True).first()
            if last is None:
                raise ValidationError({"after": f"There is no {after} in this list."})
            rows = rows.filter(pk__gt=last) if asked["order"] == "asc" else rows.filter(pk__lt=last)
        found = list(rows[: limit + 1])
        return listed(serializer(found[:limit], many=True).data, more=len(found) > limit)


def listed(data: Iterable[Any], *, more: bool) -> Response:
    rows = list(data)
    ids = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
    return Response({"object": "list", "data": rows, "has_more": more, **ids})


def _error(data: Any, status: int) -> dict[str, Any]:
    """
    >>> _error({"detail": "No such file"}, 404)["code"], _error({"seed": ["Too big.", "Odd."]}, 400)["message"]
    ('not_found', 'seed: Too big. Odd.')
    """
    param, sentences, code = _first(data)
    message = f"{param}: {' '.join(sentences)}" if param else " ".join(sentences)
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": param, "code": CODES.get(status, code)}


def _first(data: Any, path: str = "") -> tuple[str | None, list[str], str | None]:
    """Of problems by field the first: where it is, in words, and its code if it has one of ours."""
    if isinstance(data, Mapping) and data:
        name, value = next(iter(data.items()))
        if name in ("detail", "non_field_errors"):
            return _first(value, path)
        return _first(value, f"{path}.{name}" if path else str(name))
    if isinstance(data, list | tuple) and data and isinstance(data[0], Mapping | list):
        return _first(next(filter(None, data), data[0]), path)
    sentences = [str(one) for one in data] if isinstance(data, list | tuple) else [str(data)]
    codes = [code for one in (data if isinstance(data, list | tuple) else [data]) if (code := getattr(one, "code", ""))]
    own = next((code for code in codes if code in OWN_CODES), None)
    return path or None, sentences, own


OWN_CODES = {"model_not_found", "file_not_found", "context_length_exceeded", "unsupported_parameter", "unavailable"}


class PageSerializer(serializers.Serializer):
    after = serializers.CharField(required=False, help_text="The id of the last row one has.")
    limit = serializers.IntegerField(default=20, min_value=1, max_value=MOST)
    order = serializers.ChoiceField(choices=["asc", "desc"], default="desc", help_text="By age; newest first.")


class SecondsField(serializers.IntegerField):
    """A time as whole seconds since 1970."""

    def to_representation(self, value: datetime | int) -> int:
        return int(value.timestamp()) if isinstance(value, datetime) else value


class ErrorSerializer(serializers.Serializer):
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True, help_text="What does not fit.")
    code = serializers.CharField(allow_null=True)


class RefusalSerializer(serializers.Serializer):
    error = ErrorSerializer()


class ThingSerializer(serializers.Serializer):
    """A thing, which says what it is."""

    kind: ClassVar[str]
    object = serializers.SerializerMethodField(method_name="get_kind")

    def get_kind(self, thing: Any) -> str:
        return self.kind


class ListedSerializer(serializers.Serializer):
    """A page of rows."""

    row: ClassVar[type[serializers.Serializer]]
    object = serializers.CharField(default="list")
    has_more = serializers.BooleanField()
    first_id = serializers.CharField(allow_null=True)
    last_id = serializers.CharField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "data": self.row(many=True)}


REFUSALS = {
    400: "Something that was sent does not fit.",
    401: "No key, or an unknown one.",
    403: "The person does not lead this project.",
    404: "No such thing, or not in a project of this person.",
    429: "Too many ask at once.",
    503: "It cannot be answered now.",
}


def hosted(topic: str, answer: Any, *, sends: Any = None, refuses: Iterable[int] = (401, 403, 404), **more: Any) -> Any:
    """Describe one method of such an endpoint to OpenAPI; its docstring is the description."""
    responses: dict[Any, Any] = dict(answer) if isinstance(answer, dict) else {200: answer}
    responses |= {one: OpenApiResponse(RefusalSerializer, description=REFUSALS[one]) for one in refuses}
    return extend_schema(tags=[topic], request=sends, responses=responses, **more)
