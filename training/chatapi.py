"""Chat completions from the project's models, in the shape of hosted services. For leads: who could ask a model would
know its answers again in the queue, and no longer judge them blindly.
"""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.text import why_unstorable
from training import access, serving
from training.hosted import Hosted, SecondsField, ThingSerializer, TooMany, Unserved, hosted
from training.models import ModelVersion
from training.models.registry import Format

LONGEST = 1_000_000  # characters of a conversation
MOST_STOPS = 4
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
MEANS_NOTHING: dict[str, tuple[Any, ...]] = {  # what is not supported, and the values that ask for nothing
    "tools": (None, []),
    "functions": (None, []),
    "response_format": (None, {"type": "text"}),
    "logprobs": (None, False),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
}


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class StopField(serializers.Field):
    """A text, or up to four."""

    def to_internal_value(self, data: Any) -> list[str]:
        stops = [data] if isinstance(data, str) else data
        if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(s, str) and s for s in stops):
            raise serializers.ValidationError(f"Give a text, or up to {MOST_STOPS} texts.")
        return stops

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
class ContentField(serializers.Field):
    """A text, or a list of parts that are texts."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, list):
            if not all(isinstance(part, dict) and part.get("type") == "text" for part in data):
                raise serializers.ValidationError("These models read text alone.", "unsupported_parameter")
            data = "".join(str(part.get("text", "")) for part in data)
        if not isinstance(data, str) or why_unstorable(data):
            raise serializers.ValidationError("This is no text.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class ChatMessageSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=list(ROLES))
    content = ContentField()


class StreamOptionsSerializer(serializers.Serializer):
    include_usage = serializers.BooleanField(default=False)


class ChatSerializer(serializers.Serializer):
    """`context["project"]` says where the model is looked for."""

    model = serializers.CharField(help_text="The name of a model of the project, as `models` has it.")
    messages = ChatMessageSerializer(many=True, allow_empty=False)
    max_completion_tokens = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=8192)
    max_tokens = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=8192, help_text="The same, by its older name."
    )
    temperature = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=2)
    top_p = serializers.FloatField(required=False, allow_null=True, min_value=0.001, max_value=1)
    seed = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)
    stop = StopField(required=False, allow_null=True)
    n = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=8)
    stream = serializers.BooleanField(required=False, allow_null=True)
    stream_options = StreamOptionsSerializer(required=False, allow_null=True)

    def validate_model(self, name: str) -> ModelVersion:
        found = self.context["project"].model_versions.policies().filter(name=name).first()
        if found is None:
            raise serializers.ValidationError(f"There is no model {name!r} in this project.", "model_not_found")
        if found.format == Format.ENDPOINT:
            raise serializers.ValidationError(f"{name} answers elsewhere: ask it there.")
        return found

    def validate_messages(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        if sum(len(message["content"]) for message in messages) > LONGEST:
            raise serializers.ValidationError("This conversation is too long.", "context_length_exceeded")
        if messages[-1]["role"] != "user":
            raise serializers.ValidationError("The last message is the user's.")
        return [{"role": ROLES[message["role"]], "content": message["content"]} for message in messages]

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        for name, nothing in MEANS_NOTHING.items():
            if name in self.initial_data and self.initial_data[name] not in nothing:
                raise serializers.ValidationError({name: [ErrorDetail(UNSUPPORTED, "unsupported_parameter")]})
        return given


UNSUPPORTED = "This is not supported here: leave it out."


class ChatAnswerSerializer(serializers.Serializer):
    role = serializers.CharField()
    content = serializers.CharField()


class ChatChoiceSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    message = ChatAnswerSerializer()
    finish_reason = serializers.ChoiceField(choices=["stop", "length"])


class ChatUsageSerializer(serializers.Serializer):
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class CompletionSerializer(ThingSerializer):
    kind = "chat.completion"
    id = serializers.CharField()
    created = SecondsField()
    model = serializers.CharField()
    choices = ChatChoiceSerializer(many=True)
    usage = ChatUsageSerializer()


class Completions(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(
        "Fine-tuning",
        CompletionSerializer,
        sends=ChatSerializer,
        refuses=(400, 401, 403, 404, 429, 503),
        operation_id="chat_completions",
    )
    def post(self, request: Request, slug: str) -> Response | StreamingHttpResponse:
        """Have a model of the project answer, tuned or not. With `stream` the answer comes word by word, as server-sent
        events of `chat.completion.chunk`.

        503 says that no process serves models, and what to do.
        """
        project = access.lead(self.person, slug).project
        sent = self.sent(ChatSerializer, project=project)
        version = sent["model"]
        names = ("temperature", "top_p", "seed", "stop", "n")
        chosen = {name: sent[name] for name in names if sent.get(name) is not None}
        longest = sent.get("max_completion_tokens") or sent.get("max_tokens")
        question = serving.Question(messages=sent["messages"], max_tokens=longest, **chosen)
        try:
            lines = serving.ask(version=version, question=question)
        except serving.Away as error:
            raise Unserved(str(error)) from error
        except serving.Busy as error:
            raise TooMany(str(error)) from error
        except serving.Refused as error:
            if error.reason == "too_long":
                said = ErrorDetail(str(error), "context_length_exceeded")
                raise ValidationError({"messages": [said]}) from error
            raise Unserved(str(error)) from error
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": version.name}
        if not sent.get("stream"):
            try:
                return Response(_whole(head, lines, question.n))
            except (serving.Away, serving.Refused) as error:
                raise Unserved(str(error)) from error
        usage = (sent.get("stream_options") or {}).get("include_usage", False)
        return StreamingHttpResponse(
            _events(head, lines, question.n, usage=usage),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )


def _whole(head: dict[str, Any], lines: Iterator[dict[str, Any]], n: int) -> dict[str, Any]:
    texts, finish, counts = [""] * n, ["length"] * n, _Counts()
    for line in lines:
        counts.take(line)
        if "text" in line:
            texts[line["choice"]] += line["text"]
        elif "finish" in line:
            finish[line["choice"]] = line["finish"]
    choices = [
        {"index": number, "message": {"role": "assistant", "content": text}, "finish_reason": finish[number]}
        for number, text in enumerate(texts)
    ]
    return CompletionSerializer({**head, "choices": choices, "usage": counts.usage}).data


def _events(head: dict[str, Any], lines: Iterator[dict[str, Any]], n: int, *, usage: bool) -> Iterator[str]:
    counts = _Counts()

    def chunk(choices: list[dict[str, Any]], **more: Any) -> str:
        return _event({**head, "object": "chat.completion.chunk", "choices": choices, **more})

    def part(number: int, delta: dict[str, str], finish: str | None = None) -> str:
        return chunk([{"index": number, "delta": delta, "finish_reason": finish}])

    for number in range(n):
        yield part(number, {"role": "assistant", "content": ""})
    try:
        for line in lines:
            counts.take(line)
            if "text" in line:
                yield part(line["choice"], {"content": line["text"]})
            elif "finish" in line:
                yield part(line["choice"], {}, line["finish"])
    except (serving.Away, serving.Refused) as error:  # too late for a status
        yield _event({"error": {"message": str(error), "type": "server_error", "param": None, "code": "unavailable"}})
        return
    if usage:
        yield chunk([], usage=counts.usage)
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


class _Counts:
    def __init__(self) -> None:
        self.prompt = self.written = 0

    def take(self, line: dict[str, Any]) -> None:
        self.prompt += line.get("prompt_tokens", 0)
        self.written += line.get("tokens", 0)

    @property
    def usage(self) -> dict[str, int]:
        total = self.prompt + self.written
        return {"prompt_tokens": self.prompt, "completion_tokens": self.written, "total_tokens": total}
