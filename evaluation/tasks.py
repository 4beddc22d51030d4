"""Queue tasks of the default cluster: ids in, reload, one call.

What is done for all projects is done for each by itself (`_each`): one that breaks holds up no other.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

from annotation import imports, leasing
from annotation.logcontext import bind
from annotation.models import Project
from evaluation import (
    comparing,
    drift,
    features,
    head_to_head,
    polling,
    rounds,
    scoring,
    second_opinion,
    starting,
    steering,
    suites,
)
from evaluation.models import Round
from training import jobs, runs, toxicity
from training.models import Run
from training.snapshots import asking, comparisons

log = logging.getLogger(__name__)


def run_finished(run_id: int) -> None:
    """A run has ended: what it promised is done, and the round that waits for it goes on."""
    with bind(run_id=run_id):
        run = Run.objects.select_related("project", "base").get(pk=run_id)
        comparing.compare_samples(run)
        scoring.conclude_if_asked(run)
        second_opinion.conclude_if_asked(run)
        suites.conclude_if_asked(run)
        head_to_head.ask_if_ready(run)
        features.take_in_if_read(run)
        toxicity.go_on(run)
        waiting = Round.objects.active().filter(steps__step_runs__run_id=run_id).values_list("pk", flat=True).first()
        if waiting is not None:
            rounds.advance(round_id=waiting)


def advance_round(round_id: int) -> None:
    rounds.advance(round_id=round_id)


def recover() -> dict[str, int]:
    """Return overdue leases, take up what was lost, move rounds on; scheduled every minute, safe at any time."""
    counts = {"leases": leasing.return_overdue(), "imports": imports.recover(), "jobs": jobs.recover()}
    counts |= {**runs.recover(), **asking.recover(), **comparisons.recover()}
    _each(Round.objects.active(), lambda current: bool(rounds.advance(round_id=current.pk)), "move on")
    return counts


def watch_drift() -> int:
    """Tell the leads of projects at work what has moved; scheduled daily. Returns how many notices that made."""
    return _each(Project.objects.active(), lambda project: len(drift.watch(project)), "look for drift in")


def steer() -> int:
    """Put the queues in which enough was said in order anew; scheduled every minute, safe at any time."""
    return _each(Project.objects.active(), steering.refresh_if_due, "order the queue of")


def settle_matches() -> int:
    """Conclude the head to heads that have said enough; scheduled every minute, safe at any time."""
    return polling.settle()


def start_rounds() -> int:
    """Start the rounds that projects' policies ask for; scheduled every minute, safe at any time."""
    return _each(
        Project.objects.active(), lambda project: starting.start_if_due(project) is not None, "start a round in"
    )


def _each(rows: QuerySet[Any], do: Callable[[Any], int], what: str) -> int:
    """The sum of what comes of each row. One that breaks is logged, and all of them are raised together at the end, so
    that the queue knows of it."""
    total, broken = 0, []
    for row in rows:
        try:
            total += do(row)
        except (InterfaceError, OperationalError):
            raise
        except Exception as error:
            log.exception("Could not %s %s %s", what, row._meta.verbose_name, row.pk)
            broken.append(error)
    if broken:
        raise ExceptionGroup(f"could not {what} each {rows.model._meta.verbose_name}", broken)
    return total
