"""Queue tasks of the default cluster: ids in, reload, one call."""

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
)
from evaluation.models import Round
from training import jobs, runs
from training.models import Run
from training.snapshots import asking, comparisons


def run_finished(run_id: int) -> None:
    """A run has ended: what it promised is done, and the round that waits for it goes on."""
    with bind(run_id=run_id):
        run = Run.objects.select_related("project", "base").get(pk=run_id)
        comparing.compare_samples(run)
        scoring.conclude_if_asked(run)
        second_opinion.conclude_if_asked(run)
        head_to_head.ask_if_ready(run)
        features.take_in_if_read(run)
        waiting = Round.objects.active().filter(steps__step_runs__run_id=run_id).values_list("pk", flat=True).first()
        if waiting is not None:
            rounds.advance(round_id=waiting)


def advance_round(round_id: int) -> None:
    rounds.advance(round_id=round_id)


def recover() -> dict[str, int]:
    """Return overdue leases, take up what was lost, move rounds on; scheduled every minute, safe at any time."""
    counts = {"leases": leasing.return_overdue(), "imports": imports.recover(), "jobs": jobs.recover()}
    counts |= {**runs.recover(), **asking.recover(), **comparisons.recover()}
    for pk in Round.objects.active().values_list("pk", flat=True):
        rounds.advance(round_id=pk)
    return counts


def watch_drift() -> int:
    """Tell the leads of projects at work what has moved; scheduled daily. Returns how many notices that made."""
    return sum(len(drift.watch(project)) for project in Project.objects.active())


def steer() -> int:
    """Put the queues in which enough was said in order anew; scheduled every minute, safe at any time."""
    return sum(steering.refresh_if_due(project) for project in Project.objects.active())


def settle_matches() -> int:
    """Conclude the head to heads that have said enough; scheduled every minute, safe at any time."""
    return polling.settle()


def start_rounds() -> int:
    """Start the rounds that projects' policies ask for; scheduled every minute, safe at any time."""
    return sum(starting.start_if_due(project) is not None for project in Project.objects.active())
