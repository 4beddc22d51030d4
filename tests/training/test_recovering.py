"""Runs whose worker is lost, the processes that it left behind, and the messages that wake another."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import psutil
import pytest
from django.db import connection
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ

from annotation.models import Event
from tests.annotation.making import all_at_once
from tests.training.making import claimed
from tests.training.waiting import messages, silent
from training import runs, tasks
from training.models import Run

pytestmark = pytest.mark.django_db

HERE = f"{os.uname().nodename}:1"


# Recovering


def test_a_silent_run_is_queued_again_and_a_worker_woken(queued, django_capture_on_commit_callbacks):
    run = silent(claimed(queued()))
    with django_capture_on_commit_callbacks(execute=True):
        assert runs.recover() == {"requeued": 1, "failed": 0, "cancelled": 0}
    run.refresh_from_db()
    assert (run.status, run.attempt, run.worker, run.pid) == ("queued", 1, "", None)
    assert messages("gpu") == [("training.tasks.work",)]
    assert runs.recover() == {"requeued": 0, "failed": 0, "cancelled": 0}


def test_who_speaks_is_left_alone(queued, settings):
    run = claimed(queued())
    ago = timezone.now() - timedelta(seconds=settings.RUN_LOST_SECONDS - 5)
    Run.objects.filter(pk=run.pk).update(heartbeat_at=ago)
    assert runs.recover() == {"requeued": 0, "failed": 0, "cancelled": 0}
    run.refresh_from_db()
    assert (run.status, run.heartbeat_at) == ("running", ago)


def test_a_run_whose_worker_is_lost_again_and_again_is_given_up(queued, django_capture_on_commit_callbacks):
    run = queued(max_attempts=3)
    for attempt in (1, 2):
        silent(claimed(run))
        assert runs.recover()["requeued"] == 1
        run.refresh_from_db()
        assert (run.status, run.attempt) == ("queued", attempt)
    silent(claimed(run))
    with django_capture_on_commit_callbacks(execute=True):
        assert runs.recover() == {"requeued": 0, "failed": 1, "cancelled": 0}
    run.refresh_from_db()
    assert (run.status, run.reason, run.attempt) == ("failed", "lost_worker", 3)
    assert run.error == "The worker was lost 3 times."
    assert run.advice.startswith("See whether the gpu workers run")
    assert run.finished_at is not None
    assert messages("default") == [("evaluation.tasks.run_finished", run.pk)]
    assert runs.retry(run=run)
    assert claimed(run).attempt == 1


def test_a_silent_run_that_was_cancelled_is_not_tried_again(queued, django_capture_on_commit_callbacks):
    run = silent(claimed(queued()))
    runs.cancel(run=run)
    with django_capture_on_commit_callbacks(execute=True):
        assert runs.recover() == {"requeued": 0, "failed": 0, "cancelled": 1}
    run.refresh_from_db()
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert run.finished_at is not None
    assert messages("default") == [("evaluation.tasks.run_finished", run.pk)]


def test_each_lost_run_gets_what_it_needs(queued):
    silent_run, speaking, waiting = silent(claimed(queued())), claimed(queued()), queued()
    assert runs.recover() == {"requeued": 1, "failed": 0, "cancelled": 0}
    statuses = {run.pk: run.status for run in Run.objects.all()}
    assert statuses == {silent_run.pk: "queued", speaking.pk: "running", waiting.pk: "queued"}


@pytest.mark.django_db(transaction=True)
def test_many_who_recover_at_once_take_a_run_back_once(queued):
    run = silent(claimed(queued()))
    counts = all_at_once(*[runs.recover] * 6)
    assert sum(count["requeued"] for count in counts) == 1
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("queued", 1)
    assert Event.objects.filter(verb="run requeued").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_that_comes_while_a_run_is_taken_back_comes_too_late_or_saves_it(queued):
    """Never both: a worker that believes that the run is its own, and a run that waits for another one."""
    for number in range(12):
        run = silent(claimed(queued(), worker=f"w:{number}"))

        def beat(run=run, number=number) -> int:
            return Run.objects.filter(pk=run.pk, status="running", worker=f"w:{number}").update(
                heartbeat_at=timezone.now()
            )

        counts, beaten = all_at_once(runs.recover, beat)
        run.refresh_from_db()
        assert (counts["requeued"], beaten, run.status) in [(1, 0, "queued"), (0, 1, "running")]
        Run.objects.filter(pk=run.pk).update(status="cancelled")


def test_a_worker_is_woken_for_a_run_whose_message_was_lost(queued):
    assert runs.recover()["requeued"] == 0
    assert messages("gpu") == []
    queued()
    runs.recover()
    assert messages("gpu") == [("training.tasks.work",)]
    runs.recover()
    assert len(messages("gpu")) == 1  # one waits already
    OrmQ.objects.filter(key="gpu").update(lock=timezone.now() + timedelta(days=7))  # a worker took it, and died
    runs.recover()
    assert len(messages("gpu")) == 2


# Processes


@pytest.fixture
def process():
    """A process with a group of its own, which does nothing."""
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    yield started
    started.kill()
    started.wait()
    started.stdin.close()


def holds(run: Run, process, *, worker: str = HERE, began: float = 0) -> Run:
    """The row names this process, which began so many seconds later than the row says."""
    began = psutil.Process(process.pid).create_time() - began
    Run.objects.filter(pk=run.pk).update(worker=worker, pid=process.pid, pid_started=began)
    run.refresh_from_db()
    return run


def test_the_process_of_a_silent_run_is_killed(queued, process):
    silent(holds(claimed(queued()), process))
    assert runs.recover()["requeued"] == 1
    assert process.wait(timeout=30) == -signal.SIGKILL


def test_a_process_and_its_children_end_together(queued):
    words = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True); input()"
    parent = subprocess.Popen(
        [sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        runs.end_process(holds(claimed(queued()), parent))
        assert parent.wait(timeout=30) == -signal.SIGKILL
    _, alive = psutil.wait_procs([child], timeout=30)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "other",
    [{"began": 60}, {"began": -60}, {"worker": "another-machine:1"}],
    ids=["number reused by a later one", "earlier", "another machine"],
)
def test_a_process_that_only_has_the_same_number_is_not_touched(queued, process, other):
    run = silent(holds(claimed(queued()), process, **other))
    assert runs.recover()["requeued"] == 1
    run.refresh_from_db()
    assert run.status == "queued"
    process.stdin.write(b"end by yourself\n")
    process.stdin.flush()
    assert process.wait(timeout=30) == 0


def test_the_process_of_a_run_that_speaks_is_not_touched(queued, process):
    holds(claimed(queued()), process)
    runs.recover()
    process.stdin.write(b"end by yourself\n")
    process.stdin.flush()
    assert process.wait(timeout=30) == 0


def test_a_process_that_is_gone_is_no_trouble(queued, process):
    run = holds(claimed(queued()), process)
    process.kill()
    process.wait()
    runs.end_process(run)
    run.pid = None
    runs.end_process(run)


# Messages


def test_a_message_that_comes_twice_finds_nothing_to_do(db):
    assert tasks.work() == 0


def test_messages_for_training_go_to_the_gpu_cluster_and_no_other(db):
    runs.wake_gpu()
    assert get_broker("gpu").queue_size() == 1
    assert get_broker("default").queue_size() == 0
    assert connection.vendor == "postgresql"
