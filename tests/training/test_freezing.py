"""Snapshots that are asked for: few labels at once, many in the background, with nothing lost whoever dies."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from annotation.models import Project
from tests.annotation.making import a_prompt
from tests.training.making import a_preference
from training import tasks
from training.models import Freezing, Snapshot
from training.snapshots import Rule, asking, collecting, files, freeze, is_intact, read
from training.snapshots.asking import ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def many(monkeypatch):
    """As if two labels were many."""
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    monkeypatch.setattr(collecting, "CHUNK", 1)


def asked(project, **rule) -> Freezing:
    return ask(project=project, kind="preferences", rule=Rule(**rule))


def test_a_few_labels_are_frozen_at_once(project, bob, alice):
    a_preference(bob)
    made = ask(project=project, kind="preferences", rule=Rule(), actor=alice.person)
    assert (made.state, made.snapshot, made.snapshot.created_by) == ("done", Snapshot.objects.get(), alice.person)
    assert not OrmQ.objects.exists()


def test_many_are_frozen_by_a_queue_process_and_say_how_far_it_is(
    project, bob, many, django_capture_on_commit_callbacks, monkeypatch
):
    for _ in range(3):
        a_preference(bob)
    with django_capture_on_commit_callbacks(execute=True):
        made = asked(project)
    assert (made.state, made.snapshot, OrmQ.objects.count()) == ("waiting", None, 1)
    seen = []
    written = files.write
    monkeypatch.setattr(files, "write", lambda folder, rows: written(folder, _watched(rows, made, seen)))
    tasks.freeze(made.pk)
    made.refresh_from_db()
    assert (made.state, made.done, made.total, made.percent) == ("done", 3, 3, 100)
    assert [one[:2] for one in seen] == [("running", 0), ("running", 1), ("running", 2)]
    assert is_intact(made.snapshot)
    tasks.freeze(made.pk)  # delivered twice
    assert Snapshot.objects.count() == 1


def _watched(rows, made, seen):
    for row in rows:
        made.refresh_from_db()
        seen.append((made.state, made.done, made.total))
        yield row


def test_why_nothing_was_frozen_is_kept(project, bob, many, monkeypatch):
    assert asked(project).error == "No comparison on a training prompt has a preferred answer yet."
    a_preference(bob)
    strict = asked(project, minimum_votes=2)
    assert (strict.state, strict.snapshot) == ("failed", None)
    assert "loosen its filters" in strict.error

    def full(folder, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    assert "No space left" in asked(project).error


def test_what_a_lost_worker_left_is_done_again(project, bob, many):
    for _ in range(2):
        a_preference(bob)
    made = asked(project)
    long_ago = timezone.now() - timedelta(hours=1)
    running = Freezing.objects.filter(pk=made.pk)
    running.update(state="running", attempt=1, heartbeat_at=long_ago)
    assert asking.perform(made.pk) is None  # somebody has it
    assert asking.recover() == {"freezing again": 1, "not frozen": 0}
    assert asking.perform(made.pk) == Snapshot.objects.get()
    assert asking.recover() == {"freezing again": 0, "not frozen": 0}
    lost = Freezing.objects.create(
        project=project, kind="preferences", rule={}, state="running", attempt=3, heartbeat_at=long_ago
    )
    assert asking.recover() == {"freezing again": 0, "not frozen": 1}
    lost.refresh_from_db()
    assert "was lost 3 times" in lost.error


def test_what_nobody_took_is_called_for_again_and_not_every_minute(project, bob, many):
    for _ in range(2):
        a_preference(bob)
    made = asked(project)
    assert asking.recover()
    assert not OrmQ.objects.exists()  # it was asked for a moment ago
    Freezing.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(hours=1))
    for _ in range(3):
        asking.recover()
    assert OrmQ.objects.count() == 1


def test_a_worker_that_was_taken_for_lost_leaves_the_work_to_the_next(project, bob, many, monkeypatch):
    for _ in range(3):
        a_preference(bob)
    made = asked(project)
    written = files.write

    def overtaken(folder, rows):
        Freezing.objects.filter(pk=made.pk).update(attempt=2)
        return written(folder, rows)

    monkeypatch.setattr(files, "write", overtaken)
    assert asking.perform(made.pk) is None
    made.refresh_from_db()
    assert (made.state, Snapshot.objects.count()) == ("running", 0)


def test_rows_are_the_same_however_many_are_written_at_once(project, bob, monkeypatch):
    prompts = [a_prompt(project) for _ in range(4)]
    for number in range(12):
        a_preference(bob, prompts[number % 4])
    whole = collecting.collect(project=project, kind="preferences", rule=Rule())
    monkeypatch.setattr(collecting, "CHUNK", 1)
    monkeypatch.setattr(collecting, "FETCHED", 2)
    monkeypatch.setattr(files, "GROUP", 5)
    assert collecting.collect(project=project, kind="preferences", rule=Rule()) == whole
    snapshot = freeze(project=project, kind="preferences")
    assert read(snapshot) == whole
    assert is_intact(snapshot)
    for start, most in ((0, 3), (3, 5), (9, 50), (12, 5), (0, 12)):
        assert files.page(snapshot, start, most) == whole[start : start + most]
    assert files.rows_at(snapshot, {11, 2}) == {2: whole[2], 11: whole[11]}


def test_a_name_that_is_not_there_is_refused_before_anything_is_asked(project):
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError, match="Nobody"):
        asked(project, people=["nobody"])
    assert not Freezing.objects.exists()
    assert Project.objects.count() == 1
