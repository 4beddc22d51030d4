"""How often somebody may ask: a bucket of requests that fills again at a steady rate.

Kept in the memory of each web process, so that the hot path asks no database: with two processes somebody may get up to
twice as far. It is there to slow guessing and runaway scripts, not to bill anybody.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from math import ceil
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from rest_framework.throttling import BaseThrottle

MOST_KEPT = 50_000  # buckets; those that are full again are let go then


@dataclass
class Bucket:
    """`left` requests at the time `at`."""

    left: float
    at: float


class Limit:
    """At most `per_minute` requests a minute of one key on the mean, and as many at once.

    >>> limit = Limit(2, clock=lambda: 0.0)
    >>> [limit.wait("bob") for _ in range(3)]
    [0.0, 0.0, 30.0]
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: dict[str, Bucket] = {}
        self._lock = Lock()

    def wait(self, key: str) -> float:
        """Take one request: 0 if there was one, else the seconds until there will be."""
        now, rate = self.clock(), self.per_minute / 60
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(self.per_minute, now))
            bucket.left = min(self.per_minute, bucket.left + (now - bucket.at) * rate)
            bucket.at = now
            if len(self._buckets) > MOST_KEPT:
                self._forget(now - 60)
            if bucket.left < 1:
                return (1 - bucket.left) / rate
            bucket.left -= 1
            return 0.0

    def _forget(self, before: float) -> None:
        """Buckets that nobody used for a minute are full again."""
        self._buckets = {key: one for key, one in self._buckets.items() if one.at >= before}


def address(request: HttpRequest) -> str:
    """Where a request comes from: behind TOUCHSTONE_PROXIES proxies, what the outermost of them saw."""
    seen = [*request.META.get("HTTP_X_FORWARDED_FOR", "").split(","), request.META.get("REMOTE_ADDR", "")]
    return str(seen[-1 - min(settings.PROXIES, len(seen) - 1)].strip())


class Everybody(BaseThrottle):
    """Each person's requests to the API; who is not signed in counts by address, and for much less."""

    people = Limit(settings.API_PER_MINUTE)
    strangers = Limit(settings.SIGN_INS_PER_MINUTE)

    def allow_request(self, request: Any, view: Any) -> bool:
        person = request.user
        if person and person.is_authenticated:
            self.left = self.people.wait(str(person.pk))
        else:
            self.left = self.strangers.wait(address(request))
        return not self.left

    def wait(self) -> float:
        return self.left


def slowly(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page to sign in on: so many tries from one address, then it asks to wait and does not look at what was sent."""

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **more: Any) -> HttpResponseBase:
        if request.method == "POST" and (wait := Everybody.strangers.wait(address(request))):
            answer = render(request, "429.html", {"wait": ceil(wait)}, status=429)
            answer["Retry-After"] = str(ceil(wait))
            return answer
        return view(request, *args, **more)

    return limited
