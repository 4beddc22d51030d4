"""Starting, claiming, cancelling, retrying and ending runs: the row's side, with no process."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation.models import Event, Project
from tests.annotation.making import all_at_once
from tests.training.making import a_model, a_preference, an_edit, claimed, fails, succeeds
from tests.training.waiting import messages
from training import finishing, runs, snapshots
from training.methods import METHODS
from training.models import Run, Snapshot, Source

pytestmark = pytest.mark.django_db


@pytest.fixture
def demonstrations(project, bob):
    an_edit(bob)
    return snapshots.freeze(project=project, kind="demonstrations")


@pytest.fixture
def preferences(project, bob):
    a_preference(bob)
    return snapshots.freeze(project=project, kind="preferences")


# Starting


def test_a_run_is_written_down_whole_and_a_worker_woken(
    project, alice, base, demonstrations, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        run = runs.start(
            project=project,
            method="sft",
            base=base,
            snapshot=demonstrations,
            settings={"epochs": 1},
            seed=5,
            actor=alice.person,
        )
    run.refresh_from_db()
    assert (run.status, run.attempt, run.seed, run.created_by) == ("queued", 0, 5, alice.person)
    assert (run.settings["epochs"], run.settings["lora_rank"]) == (1.0, 16)
    assert messages("gpu") == [("training.tasks.work",)]
    assert messages("default") == []
    assert Event.objects.get(verb="run started").target == f"run:{run.pk}"


def test_nobody_is_woken_for_a_run_that_was_rolled_back(base, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        with transaction.atomic():
            runs.start(project=base.project, method="generate", base=base)
            transaction.set_rollback(True)
        runs.start(project=base.project, method="generate", base=base, wake=False)
    assert callbacks == []
    assert messages("gpu") == []


@pytest.mark.parametrize(
    ("method", "parts", "sentence"),
    [
        ("ppo", "base", f"There is no method 'ppo'; there are {', '.join(METHODS)}."),
        ("sft", "base", "Learn from good answers needs a snapshot of demonstrations."),
        ("sft", "base preferences", "Learn from good answers needs a snapshot of demonstrations."),
        ("reward", "base demonstrations", "Learn what people prefer needs a snapshot of preferences."),
        ("dpo", "base", "Prefer what people chose needs a snapshot of preferences."),
        ("dpo", "preferences", "Prefer what people chose needs a model to start from."),
        ("generate", "", "Write new answers needs a model to start from."),
        ("score", "base", "Score answers cannot start from a policy."),
        ("sft", "judge demonstrations", "Learn from good answers cannot start from a reward model."),
        ("sft", "theirs demonstrations", "That belongs to another project."),
        ("sft", "base their_demonstrations", "That belongs to another project."),
    ],
)
def test_what_does_not_fit_is_refused_in_words(project, base, demonstrations, preferences, method, parts, sentence):
    other = Project.objects.create(slug="other", name="Other")
    there = {
        "base": {"base": base},
        "judge": {"base": a_model(project, "judge", kind="reward", format="adapter", parent=base)},
        "theirs": {"base": a_model(other)},
        "demonstrations": {"snapshot": demonstrations},
        "preferences": {"snapshot": preferences},
        "their_demonstrations": {
            "snapshot": type(demonstrations).objects.create(
                project=other, kind="demonstrations", rule={}, sha256="0" * 64, folder="other"
            )
        },
    }
    given = {key: value for part in parts.split() for key, value in there[part].items()}
    with pytest.raises(ValidationError) as refused:
        runs.start(project=project, method=method, **given)
    assert refused.value.messages == [sentence]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epoch": 3}, "epoch: Extra inputs"),
        ({"epochs": 0}, "epochs: Input should be greater than 0"),
        ({"learning_rate": "fast"}, "learning_rate: Input should be a valid number"),
        ({"tuning": "half"}, "tuning: Input should be 'lora', 'rslora'"),
        ({"batch_size": 1.5}, "batch_size: Input should be a valid integer"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(project, base, demonstrations, given, words):
    with pytest.raises(ValidationError) as refused:
        runs.start(project=project, method="sft", base=base, snapshot=demonstrations, settings=given)
    (message,) = refused.value.messages
    assert message.startswith(words)
    assert not Run.objects.exists()


# Claiming


def test_the_oldest_is_claimed_first_and_only_once(queued):
    first, second = queued(), queued()
    found = runs.claim(worker="a:1")
    assert (found, found.status, found.attempt, found.worker) == (first, "running", 1, "a:1")
    assert found.heartbeat_at == found.started_at
    assert runs.claim(worker="b:2", run_id=first.pk) is None
    assert runs.claim(worker="b:2") == second
    assert runs.claim(worker="c:3") is None


def test_a_named_run_is_claimed_before_its_turn(queued):
    queued()
    second = queued()
    assert runs.claim(worker="a:1", run_id=second.pk) == second


@pytest.mark.parametrize("status", ["running", "succeeded", "failed", "cancelled"])
def test_only_queued_runs_are_claimed(queued, status):
    run = queued(status=status)
    assert runs.claim(worker="a:1") is None
    assert runs.claim(worker="a:1", run_id=run.pk) is None


def test_a_method_of_a_newer_release_is_left_to_its_workers(project, base, queued):
    newer = Run.objects.create(project=project, method="not invented yet", base=base)
    known = queued()
    assert runs.claim(worker="a:1") == known
    assert runs.claim(worker="a:1") is None
    assert runs.claim(worker="a:1", run_id=newer.pk) is None


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_never_claim_the_same_run(queued):
    waiting = {queued().pk for _ in range(5)}
    found = all_at_once(*[lambda n=n: runs.claim(worker=f"w:{n}") for n in range(8)])
    taken = [run.pk for run in found if run is not None]
    assert sorted(taken) == sorted(waiting)
    assert set(Run.objects.values_list("attempt", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_claim_one_named_run_once(queued):
    run = queued()
    found = all_at_once(*[lambda n=n: runs.claim(worker=f"w:{n}", run_id=run.pk) for n in range(8)])
    (mine,) = [one for one in found if one is not None]
    run.refresh_from_db()
    assert (run.worker, run.attempt) == (mine.worker, 1)


def test_the_database_counts_attempts_too(queued):
    run = queued(attempt=3)
    with pytest.raises(IntegrityError, match="run_attempts_bounded"), transaction.atomic():
        runs.claim(worker="a:1", run_id=run.pk)


# Cancelling and retrying


def test_a_waiting_run_is_cancelled_at_once(queued, alice, django_capture_on_commit_callbacks):
    run = queued()
    with django_capture_on_commit_callbacks(execute=True):
        assert runs.cancel(run=run, actor=alice.person)
    run.refresh_from_db()
    assert (run.status, run.reason, run.is_open) == ("cancelled", "cancelled", False)
    assert run.finished_at is not None
    assert messages("default") == [("evaluation.tasks.run_finished", run.pk)]
    assert runs.claim(worker="a:1") is None
    assert not runs.cancel(run=run)
    assert Event.objects.filter(verb="run cancelled", actor=alice.person).count() == 1


def test_a_running_run_is_asked_to_stop(queued, django_capture_on_commit_callbacks):
    run = claimed(queued())
    with django_capture_on_commit_callbacks(execute=True):
        assert runs.cancel(run=run)
    run.refresh_from_db()
    assert (run.status, run.cancel_requested, run.finished_at) == ("running", True, None)
    assert messages("default") == []


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_what_has_ended_is_not_cancelled(queued, status):
    run = queued(status=status)
    assert not runs.cancel(run=run)
    run.refresh_from_db()
    assert (run.status, run.cancel_requested) == (status, False)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_claimed_and_cancelled_at_once_is_never_left_running_unasked(queued):
    for number in range(12):
        run = queued()
        claim, cancelled = all_at_once(
            lambda n=number: runs.claim(worker=f"w:{n}"), lambda run=run: runs.cancel(run=run)
        )
        run.refresh_from_db()
        assert cancelled
        assert run.cancel_requested
        assert run.status == ("running" if claim else "cancelled")
        Run.objects.filter(pk=run.pk).update(status="cancelled")


def test_a_run_that_ended_badly_is_retried_with_all_its_attempts(queued, django_capture_on_commit_callbacks):
    for run in (fails(queued(settings={"top_p": 1})), queued(status="cancelled", cancel_requested=True, attempt=3)):
        with django_capture_on_commit_callbacks(execute=True):
            assert runs.retry(run=run)
        run.refresh_from_db()
        assert (run.status, run.attempt, run.cancel_requested) == ("queued", 0, False)
        assert (run.error, run.reason, run.finished_at) == ("", "", None)
        assert not runs.retry(run=run)
        assert claimed(run).attempt == 1
    assert messages("gpu") == [("training.tasks.work",)] * 2


@pytest.mark.parametrize("status", ["queued", "running", "succeeded"])
def test_what_goes_on_or_went_well_is_not_retried(queued, status):
    assert not runs.retry(run=queued(status=status))


# Ending


def test_who_lost_the_claim_can_store_nothing(queued):
    lost = claimed(queued())
    Run.objects.filter(pk=lost.pk).update(status="queued", worker="")
    again = claimed(lost, worker="elsewhere:2")
    finishing.finish(run=lost, result={"status": "failed", "reason": "crashed", "error": "late"})
    finishing.finish(run=lost, result={"status": "ok", "metrics": {"late": 1}})
    again.refresh_from_db()
    assert (again.status, again.attempt, again.worker, again.metrics) == ("running", 2, "elsewhere:2", {})


def test_the_same_worker_with_an_older_attempt_can_store_nothing(queued):
    lost = claimed(queued())
    Run.objects.filter(pk=lost.pk).update(status="queued")
    claimed(lost)
    finishing.fail(run=lost, reason="crashed", error="late")
    lost.refresh_from_db()
    assert (lost.status, lost.error) == ("running", "")


def test_a_stop_that_nobody_asked_for_is_tried_again(queued):
    run = queued(max_attempts=2)
    assert fails(run, reason="cancelled").status == "queued"
    assert (run.worker, run.pid) == ("", None)
    last = fails(run, reason="cancelled", error="It was stopped.")
    assert (last.status, last.attempt, last.error) == ("failed", 2, "It was stopped.")


def test_a_stop_that_was_asked_for_is_a_cancel(queued):
    run = claimed(queued())
    runs.cancel(run=run)
    finishing.finish(run=run, result={"status": "failed", "reason": "cancelled", "error": "Stopped."})
    run.refresh_from_db()
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert (run.error, run.advice) == ("", "Retry goes on from its last checkpoint.")


def test_a_run_that_is_done_when_the_cancel_comes_has_succeeded(queued):
    run = claimed(queued())
    runs.cancel(run=run)
    finishing.finish(run=run, result={"status": "ok"})
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_either_everything_a_run_yielded_is_stored_or_nothing(project, base, demonstrations):
    run = runs.start(project=project, method="sft", base=base, snapshot=demonstrations, inputs={"name": base.name})
    with pytest.raises(IntegrityError, match="model_name_once"), transaction.atomic():
        succeeds(run)
    run.refresh_from_db()
    assert (run.status, run.metrics) == ("queued", {})


# Data mixed in, and adapters that go on


def test_other_snapshots_are_mixed_in(project, base, bob, demonstrations):
    an_edit(bob)
    now = snapshots.freeze(project=project, kind="demonstrations")
    more = {"project": project, "method": "sft", "base": base, "snapshot": now, "wake": False}
    run = runs.start(others=[demonstrations, demonstrations], **more)
    assert run.snapshots == [now, demonstrations]
    with pytest.raises(ValidationError, match="must be other snapshots of demonstrations"):
        runs.start(others=[now], **more)
    with pytest.raises(IntegrityError), transaction.atomic():
        Source.objects.create(run=run, snapshot=demonstrations)


def test_what_is_mixed_in_must_fit(project, base, demonstrations, preferences):
    theirs = Snapshot.objects.create(
        project=Project.objects.create(slug="other", name="Other"), kind="demonstrations", rule={}, sha256="a" * 64
    )
    start = {"project": project, "base": base, "wake": False}
    with pytest.raises(ValidationError, match="must be other snapshots of demonstrations"):
        runs.start(method="sft", snapshot=demonstrations, others=[preferences], **start)
    with pytest.raises(ValidationError, match="another project"):
        runs.start(method="sft", snapshot=demonstrations, others=[theirs], **start)
    with pytest.raises(ValidationError, match="learns from one data set"):
        runs.start(method="probe", snapshot=preferences, others=[demonstrations], **start)
    assert not Run.objects.exists()


@pytest.fixture
def tuned(project, base, demonstrations):
    """Makes a version that was trained in one way."""

    def make(way: str):
        run = Run.objects.create(project=project, method="sft", base=base, settings={"tuning": way})
        return a_model(project, way, format="adapter", parent=base, run=run)

    return make


def test_an_adapter_goes_on_as_it_was_begun(project, preferences, tuned):
    start = {"project": project, "method": "dpo", "snapshot": preferences, "wake": False}
    assert runs.start(base=tuned("ia3"), **start).settings["tuning"] == "ia3"
    lora = tuned("lora")
    assert runs.start(base=lora, settings={"tuning": "qlora"}, **start).settings["tuning"] == "qlora"
    assert runs.start(base=lora, settings={"tuning": "full"}, **start).settings["tuning"] == "full"
    with pytest.raises(ValidationError, match="was trained by LoRA, and goes on that way"):
        runs.start(base=lora, settings={"tuning": "dora"}, **start)
    for way in ("prompt", "llama_adapter"):
        with pytest.raises(ValidationError, match="goes no further"):
            runs.start(base=tuned(way), **start)


def test_a_reward_model_begins_anew_whatever_it_starts_from(project, preferences, tuned):
    run = runs.start(project=project, method="reward", base=tuned("prompt"), snapshot=preferences, wake=False)
    assert run.settings["tuning"] == "lora"
