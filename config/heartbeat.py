"""The queue's broker: PostgreSQL, as django-q2 has it, and a row that says that its process is alive.

The process that guards a queue's workers tells its broker twice a second how they are. Every few seconds that goes into
a row of `Worker`, so that pages and metrics on other machines know; long tasks do not delay it.
"""

import logging
import os
from time import monotonic
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.signing import SignedPackage

from training import devices
from training.models import Worker
from training.runs import GPU

log = logging.getLogger(__name__)

BEAT_SECONDS = 10


class Broker(ORM):
    beaten_at = -float("inf")

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        super().set_stat(key, value, timeout)
        stat = SignedPackage.loads(value)
        ends = stat.status in (Conf.STOPPING, Conf.STOPPED)
        if not ends and monotonic() - self.beaten_at < BEAT_SECONDS:
            return
        self.beaten_at = monotonic()
        try:
            self.get_connection()  # lets go of one that broke
            goodbye() if ends else beat(queue=self.list_key, processes=len(stat.workers))
        except (InterfaceError, OperationalError) as error:
            log.warning("The database is away, so that nobody can be told that the queue is alive: %s", error)
            connection.close()


def beat(*, queue: str, processes: int) -> None:
    """This process is alive; whoever has been silent for long is forgotten."""
    held: list[dict[str, Any]] = devices.memory() if queue == GPU else []
    said = {"queue": queue, "processes": processes, "devices": held, "beat_at": timezone.now()}
    Worker.objects.update_or_create(name=name(), defaults=said)
    Worker.objects.forgotten().delete()


def goodbye() -> None:
    Worker.objects.filter(name=name()).delete()


def name() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"
