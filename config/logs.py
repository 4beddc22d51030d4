"""The log: one line for each event, for people or as JSON, that says which request, task and run it belongs to.

A request gets an id, or keeps the one that a proxy gave it in `X-Request-ID`; the answer names it, and so does each
task that the request put into the queue. Neither bodies nor query strings are written, and of an address only its
pattern: an invitation's has its secret in it.
"""

import json
import logging
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from annotation.logcontext import begin, bind, bound

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
USUAL = vars(logging.LogRecord("", 0, "", 0, "", None, None)).keys() | {"message", "asctime", "request", "server_time"}


class Line(logging.Formatter):
    """For people: `2026-11-30 09:30:00,123 INFO config.logs request … [request_id=…]`. What a message quotes begins no
    line of its own; a traceback does."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        said = {**_more(record), **bound()}
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        line = super().formatMessage(record)
        return f"{line} [{' '.join(f'{name}={value}' for name, value in said.items())}]" if said else line


class JSON(logging.Formatter):
    """For programs: one object a line, a traceback within it."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_more(record),
            **bound(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def _more(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in USUAL}


def without_addresses(record: logging.LogRecord) -> bool:
    """A filter: Django's own lines about a request name its pattern in place of its address."""
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest) and isinstance(record.args, tuple):
        record.args = tuple(pattern(request) if one == request.path else one for one in record.args)
    return True


def settings_for(form: str, level: str) -> dict[str, Any]:
    """Django's `LOGGING`; `form` is line or json."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "config.logs.Line"}, "json": {"()": "config.logs.JSON"}},
        "filters": {"without addresses": {"()": "config.logs.made_without_addresses"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": form, "filters": ["without addresses"]},
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},  # what we refuse is in the line of the request
        },
    }


def made_without_addresses() -> Callable[[logging.LogRecord], bool]:
    return without_addresses


def requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: an id for each request, and a line when it is answered, but for files of our pages."""

    def respond(request: HttpRequest) -> HttpResponse:
        began = perf_counter()
        given = request.headers.get(HEADER, "")
        name = given if GOOD_ID.fullmatch(given) else uuid.uuid4().hex
        with bind(request_id=name, user_id=lambda: known_user(request)):
            response = get_response(request)
            response[HEADER] = name
            if not request.path_info.startswith(f"/{settings.STATIC_URL.lstrip('/')}"):
                took = round(1000 * (perf_counter() - began), 1)
                more = {"method": request.method, "route": pattern(request), **_ids(request)}
                log.info("request", extra={**more, "status": response.status_code, "milliseconds": took})
        return response

    return respond


def known_user(request: HttpRequest) -> int | None:
    """Who asks, if somebody has looked already: a line of the log asks no database."""
    user = getattr(request, "_cached_user", None) or vars(request).get("user")
    return vars(user).get("id") if user is not None else None


def pattern(request: HttpRequest) -> str:
    """Of the address; empty if there is none such."""
    return f"/{request.resolver_match.route}" if request.resolver_match else ""


def _ids(request: HttpRequest) -> dict[str, Any]:
    """Numbers and projects that the address names."""
    named = request.resolver_match.kwargs if request.resolver_match else {}
    ids = {name: value for name, value in named.items() if isinstance(value, int)}
    return {**({"project": named["slug"]} if "slug" in named else {}), **ids}


def enqueued(task: dict[str, Any], **more: Any) -> None:
    """A message to the queue names the request that it comes of."""
    if "request_id" in bound():
        task["request_id"] = bound()["request_id"]


def begun(func: Any, task: dict[str, Any], **more: Any) -> None:
    """A process of the queue begins with a task."""
    name = task["func"] if isinstance(task["func"], str) else getattr(func, "__qualname__", "")
    begin(task=name, task_id=task["id"], request_id=task.get("request_id"))
