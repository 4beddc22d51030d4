"""For load balancers and containers: is this process alive, and can it serve?

`/health/live` answers as long as the process does. `/health/ready` answers 503 with what is missing: the database, or
migrations. They stand before all else, so that neither a host name, nor HTTPS, nor a session is asked for; and they
tell nothing that a stranger may not know.
"""

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse


def answers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, the first of all."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path_info == "/health/live":
            return JsonResponse({"status": "live"})
        if request.path_info == "/health/ready":
            missing = why_not_ready()
            body = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
            return JsonResponse(body, status=503 if missing else 200)
        return get_response(request)

    return respond


def why_not_ready() -> str:
    """What is missing, in a sentence; empty if nothing is."""
    try:
        if is_behind():
            return "The database is behind the code: run manage.py migrate."
    except (Error, ImproperlyConfigured):
        return "The database does not answer."
    return ""


def is_behind() -> bool:
    """Whether the database lacks a migration; raises what the database raises."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
