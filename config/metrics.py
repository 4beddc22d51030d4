"""`/metrics`, for Prometheus: what this web server answered, and how the installation is.

It stands before all else, as the health checks do, and answers only who sends TOUCHSTONE_METRICS_TOKEN. What is counted
here is added up over the processes of a server (gunicorn.conf.py says where); what is read from the database
(config/facts.py) is the same on each server.
"""

import hmac
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from annotation.models import Export
from annotation.models.imports import Stage
from config import facts
from config.facts import Facts
from training.models.runs import Status

log = logging.getLogger(__name__)

PATH = "/metrics"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds

COUNTED = CollectorRegistry()
SECONDS = Histogram(
    "touchstone_request_seconds",
    "How long requests took until their answer began.",
    ["view", "method"],
    buckets=BUCKETS,
    registry=COUNTED,
)
RESPONSES = Counter("touchstone_responses", "Answers.", ["view", "method", "status"], registry=COUNTED)
POOL = Gauge(
    "touchstone_database_pool_connections",
    "Connections of the web server's pools, busy or idle.",
    ["state"],
    registry=COUNTED,
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "touchstone_database_pool_waiting",
    "Threads that wait for a connection of a pool.",
    registry=COUNTED,
    multiprocess_mode="livesum",
)


def measured(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path_info == PATH:
            return answer(request)
        began = perf_counter()
        _watch_pool()
        response = get_response(request)
        method = request.method if request.method in METHODS else "other"
        view = _view(request)
        SECONDS.labels(view, method).observe(perf_counter() - began)
        RESPONSES.labels(view, method, response.status_code).inc()
        return response

    return respond


def _view(request: HttpRequest) -> str:
    """Its name, or the pattern of its address; files of our pages and what is nowhere have none."""
    match = request.resolver_match
    return (match.view_name or match.route) if match else ""


def _watch_pool() -> None:
    """As a request finds it, before it takes a connection itself."""
    if not connection.settings_dict["OPTIONS"].get("pool"):
        return
    held = connection.pool.get_stats()  # type: ignore[attr-defined]  # stubs are older than pools
    POOL.labels("idle").set(held["pool_available"])
    POOL.labels("busy").set(held["pool_size"] - held["pool_available"])
    POOL_WAITING.set(held["requests_waiting"])


def answer(request: HttpRequest) -> HttpResponse:
    token = settings.METRICS_TOKEN
    if not token:
        return HttpResponse("Set TOUCHSTONE_METRICS_TOKEN.\n", status=404, content_type="text/plain")
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        refused = HttpResponse("Send TOUCHSTONE_METRICS_TOKEN.\n", status=401, content_type="text/plain")
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    return HttpResponse(exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


def exposition() -> bytes:
    counted = COUNTED
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)
    of_facts = CollectorRegistry()
    of_facts.register(FromFacts())
    return generate_latest(counted) + generate_latest(of_facts)


class FromFacts:
    """What is not counted here but read; if the database is away, that alone is said."""

    def describe(self) -> Iterable[Metric]:
        return []  # nothing is asked when this is registered

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("touchstone_database_up", "Whether the database told how the installation is.")
        try:
            known = facts.recent()
        except (Error, ImproperlyConfigured):
            log.warning("The database did not tell how the installation is", exc_info=True)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from gauges(known)


def gauges(known: Facts) -> Iterator[Metric]:
    """Ages are those of the moment at which the facts were asked for."""
    yield from _work(known)
    yield from _runs(known)
    yield from _workers(known)
    yield from _files(known)
    yield _one("database_bytes", "The size of the database.", known.database_bytes)
    made = known.backup.created_at if known.backup else None
    yield _one("backup_age_seconds", "Since the last backup.", _age(known, made))


def _work(known: Facts) -> Iterator[Metric]:
    place = ["project", "kind"]
    yield _many("items_open", "Items that can still be handed to somebody, gold among them.", place, known.open_items)
    yield _many("items_leased", "Items in somebody's hands.", place, known.leased_items)
    yield _many("labels_last_minute", "Labels stored in the last minute.", place, known.labels_last_minute)
    yield _one("lease_age_seconds", "How long ago the oldest lease began.", _age(known, known.oldest_lease))
    yield _one("leases_overdue", "Leases that should have been returned five minutes ago.", known.overdue_leases)


def _runs(known: Facts) -> Iterator[Metric]:
    by_status = dict.fromkeys(Status.values, 0) | known.runs
    yield _many("runs", "Runs of all times by status.", ["status"], by_status)
    yield _one("runs_failed_last_day", "Runs that failed in the last day.", known.runs_failed)
    waits = _age(known, known.oldest_queued_run)
    yield _one("run_queued_age_seconds", "How long the longest has waited for a worker.", waits)
    yield _one("run_silence_seconds", "The longest silence of a running run.", _age(known, known.quietest_run))


def _workers(known: Facts) -> Iterator[Metric]:
    beats = {(one.queue, one.name): _age(known, one.beat_at) for one in known.workers}
    yield _many("worker_heartbeat_age_seconds", "Since a worker's last sign of life.", ["queue", "worker"], beats)
    device = ["worker", "device", "model"]
    held = {(one.name, part["number"], part["name"]): part for one in known.workers for part in one.devices}
    used, total = ({key: part[what] for key, part in held.items()} for what in ("used", "total"))
    yield _many("device_memory_used_bytes", "Memory of a device that is in use.", device, used)
    yield _many("device_memory_bytes", "Memory of a device.", device, total)

    messages = dict.fromkeys(("default", "gpu"), 0) | known.messages
    waits = {queue: _age(known, known.oldest_messages.get(queue, known.at)) for queue in messages}
    yield _many("queue_messages", "Messages that wait for a worker.", ["queue"], messages)
    yield _many("queue_message_age_seconds", "How long the first of them has waited.", ["queue"], waits)
    yield _one("queue_tasks_failed_last_day", "Tasks that failed in the last day.", sum(known.tasks_failed.values()))


def _files(known: Facts) -> Iterator[Metric]:
    yield _many("imports", "Imports by status.", ["status"], dict.fromkeys(Stage.values, 0) | known.imports)
    yield _one("imports_failed_last_day", "Imports that failed in the last day.", known.imports_failed)
    yield _many("exports", "Exports by status.", ["status"], dict.fromkeys(Export.Status.values, 0) | known.exports)
    yield _one("exports_failed_last_day", "Exports of the last day that failed.", known.exports_failed)
    yield _one("webhook_deliveries_waiting", "Messages to webhooks that wait.", known.deliveries_waiting)
    failed = known.deliveries_failed
    yield _one("webhook_deliveries_failed_last_day", "Messages of the last day that were given up.", failed)


def _many(name: str, about: str, labels: list[str], values: Mapping[Any, float | None]) -> Metric:
    """One sample for each value, whose key has its labels' values; none for None."""
    family = GaugeMetricFamily(f"touchstone_{name}", about, labels=labels)
    for key, value in values.items():
        if value is not None:
            family.add_metric([str(part) for part in (key if isinstance(key, tuple) else (key,))], value)
    return family


def _one(name: str, about: str, value: float | None) -> Metric:
    return _many(name, about, [], {(): value})


def _age(known: Facts, since: datetime | None) -> float | None:
    """In seconds."""
    return None if since is None else max(0.0, (known.at - since).total_seconds())
