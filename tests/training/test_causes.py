"""Why runs end: each cause is in the table with what to do, and a run short of memory is tried once with less."""

import doctest
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from annotation.models import Event
from tests.training.making import a_model, a_model_on_disk, claimed, fails
from training import causes, easing, finishing, runs
from training.causes import CAUSES
from training.models import Run

pytestmark = pytest.mark.django_db
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def queued(project):
    def make(**more) -> Run:
        base = a_model(project, f"base {Run.objects.count()}")
        return Run.objects.create(project=project, method="sft", base=base, **more)

    return make


@pytest.mark.parametrize("module", [causes, easing])
def test_worked_examples(module):
    outcome = doctest.testmod(module)
    assert (outcome.attempted > 0, outcome.failed) == (True, 0)


def test_every_cause_is_documented():
    page = (REPOSITORY / "docs" / "methods.md").read_text()
    assert not [name for name in CAUSES if f"`{name}`" not in page]


def test_the_database_knows_no_other_cause(queued):
    with pytest.raises(IntegrityError, match="run_reason_known"), transaction.atomic():
        queued(reason="bad luck")
    assert fails(queued(), reason="bad luck").reason == "crashed"


@pytest.mark.parametrize("reason", CAUSES)
def test_a_run_s_page_and_the_api_say_what_to_do(client, alice, queued, reason):
    run = queued(status="failed", reason=reason, error="This is what happened.")
    client.force_login(alice.person)
    shown = client.get(reverse("run", args=["desk", run.pk])).content.decode().replace("&#x27;", "'")
    assert CAUSES[reason].title in shown
    assert CAUSES[reason].advice in shown
    assert client.get(f"/api/v1/projects/desk/runs/{run.pk}/").json()["advice"] == CAUSES[reason].advice


# Memory


def test_a_run_short_of_memory_is_tried_once_with_half_the_batch_and_as_many_examples_a_step(queued, client, alice):
    settings = runs.checked_settings("sft", {"batch_size": 4, "gradient_accumulation": 2})
    run = fails(queued(settings=settings), reason="out_of_memory", error="Memory ran out.")
    assert (run.status, run.eased) == ("queued", {"batch_size": 2, "gradient_accumulation": 4})
    assert run.settings == settings  # what was chosen never changes
    assert run.used_settings["batch_size"] == 2
    assert Event.objects.get(verb="run eased").data == run.eased
    client.force_login(alice.person)
    assert b"Memory ran out once." in client.get(reverse("run", args=["desk", run.pk])).content
    again = fails(run, reason="out_of_memory", error="Memory ran out.")
    assert (again.status, again.reason, again.attempt) == ("failed", "out_of_memory", 2)


@pytest.mark.parametrize(
    "more",
    [
        {"settings": {"batch_size": 1}},
        {"settings": {"batch_size": 4, "gradient_accumulation": 256}},  # more is not allowed
        {"settings": {"batch_size": 4}, "max_attempts": 1},
    ],
)
def test_where_nothing_can_be_halved_it_fails_at_once(queued, more):
    settings = runs.checked_settings("sft", more["settings"])
    more = {**more, "settings": settings}
    run = fails(queued(**more), reason="out_of_memory")
    assert (run.status, run.reason, run.eased) == ("failed", "out_of_memory", {})


def test_a_process_that_was_killed_from_outside_is_tried_again_while_attempts_are_left(queued):
    run = queued(max_attempts=2)
    assert fails(run, reason="killed").status == "queued"
    assert fails(run, reason="killed", error="Somebody did.").reason == "killed"
    other = claimed(queued())
    runs.cancel(run=other)
    finishing.fail(run=other, reason="killed", error="Somebody did.")
    other.refresh_from_db()
    assert (other.status, other.reason) == ("cancelled", "cancelled")


# A full disk


def test_a_full_disk_is_seen_behind_other_errors():
    full = RuntimeError("could not be saved")
    full.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert causes.is_disk_full(full)
    assert causes.is_disk_full(RuntimeError("[enforce fail at inline_container.cc:603] PytorchStreamWriter failed"))
    assert not causes.is_disk_full(OSError(errno.EACCES, os.strerror(errno.EACCES)))


def test_a_recipe_that_cannot_even_write_its_result_says_so_by_its_exit_code(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "training.recipes.sft", str(tmp_path)],  # no spec: a result is due at once
        cwd=REPOSITORY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),  # no file may hold a byte
        timeout=60,
    )
    assert process.returncode == causes.DISK_FULL_CODE
    assert list(tmp_path.glob("result.json")) == []


def test_a_worker_that_finds_no_room_says_so(project, tmp_path, monkeypatch):
    from training import runner

    def full(run):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runner, "_prepare", full)
    run = runner.execute(claimed(Run.objects.create(project=project, method="generate", base=a_model_on_disk(project))))
    assert (run.status, run.reason) == ("failed", "disk_full")
