import time
from typing import Any

from django.db import connections
from django_q.management.commands import qcluster

from config import health

PAUSE = 2.0  # seconds between two looks at a database that is behind


class Command(qcluster.Command):
    """django-q2's own, once the database has the migrations of this code.

    During an upgrade new workers may be started before `migrate` is done. One that took a task then would fail at it,
    and with it what a person asked for.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        told = ""
        while problem := health.why_not_ready():
            if problem != told:
                self.stderr.write(f"{problem} Until then no task is taken.")
                told = problem
            time.sleep(PAUSE)
        connections.close_all()  # the workers are forks of this process
        super().handle(*args, **options)
