"""Runs that wait for others, and runs that are continued: the row's side."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from annotation.models import Event, Project
from tests.training.making import a_model, an_edit, fails, succeeds
from training import runs, snapshots
from training.models import Run
from training.runs import Plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def start(project, bob):
    """Queues an SFT run."""
    base = a_model(project)
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")

    def make(*after: Run, **more) -> Run:
        return runs.start(project=project, method="sft", base=base, snapshot=snapshot, plan=Plan(after=after), **more)

    return make


def test_a_run_is_not_taken_before_all_that_it_waits_for_have_succeeded(start):
    first, second = start(), start()
    waiting = start(first, second)
    assert runs.claim(worker="a:1", run_id=waiting.pk) is None
    succeeds(first)
    assert runs.claim(worker="a:1", run_id=waiting.pk) is None
    succeeds(second)
    assert runs.claim(worker="a:1") == waiting


def test_if_one_fails_those_that_wait_for_it_fail_with_the_reason(start, django_capture_on_commit_callbacks):
    first = start()
    second = start(first)
    third = start(second)
    other = start()
    fails(first)
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.status, second.reason) == ("failed", "dependency")
    assert second.error == f"It waited for the sft run {first.pk}, which did not succeed."
    assert third.error == f"It waited for the sft run {second.pk}, which did not succeed."
    assert second.finished_at is not None
    assert Event.objects.filter(verb="run failed").count() == 2
    assert runs.claim(worker="a:1") == other


def test_if_one_is_cancelled_they_fail_too(start):
    first = start()
    second = start(first)
    runs.cancel(run=first)
    second.refresh_from_db()
    assert (second.status, second.reason) == ("failed", "dependency")


def test_one_that_is_tried_again_keeps_them_waiting(start):
    first = start()
    second = start(first)
    fails(first, reason="killed")  # queued again
    second.refresh_from_db()
    assert second.status == "queued"


def test_they_are_retried_in_order(start, client, alice):
    first = start()
    second = start(first)
    fails(first)
    client.force_login(alice.person)
    page = client.post(reverse("retry_run", args=["desk", second.pk]), follow=True)
    assert "retry it first" in page.content.decode()
    with pytest.raises(ValidationError, match="retry it first"):
        runs.retry(run=second)
    assert runs.retry(run=first)
    assert runs.retry(run=second)
    assert runs.claim(worker="a:1", run_id=second.pk) is None


def test_nobody_waits_for_what_cannot_come_or_is_not_theirs(start, project):
    failed = fails(start())
    with pytest.raises(ValidationError, match="did not succeed"):
        start(failed)
    other = Project.objects.create(slug="other", name="Other")
    theirs = Run.objects.create(project=other, method="generate", base=a_model(other))
    with pytest.raises(ValidationError, match="another project"):
        start(theirs)


# Continuing


def test_a_lead_continues_a_run_on_its_page_and_over_the_api(start, client, alice):
    run = succeeds(start())
    client.force_login(alice.person)
    page = reverse("run", args=["desk", run.pk])
    assert b"Continue as a new run" in client.get(page).content
    client.post(reverse("continue_run", args=["desk", run.pk]), {"epochs": "2"})
    further = Run.objects.get(continues=run)
    assert (further.base, further.settings["epochs"], further.created_by) == (run.model_version, 2.0, alice.person)
    api = client.post(
        f"/api/v1/projects/desk/runs/{run.pk}/continue/", {"epochs": 0.5}, content_type="application/json"
    )
    assert (api.status_code, api.json()["continues"]) == (201, run.pk)


@pytest.mark.parametrize("epochs", ["0", "many", "", "101"])
def test_nonsense_is_refused(start, client, alice, epochs):
    run = succeeds(start())
    client.force_login(alice.person)
    client.post(reverse("continue_run", args=["desk", run.pk]), {"epochs": epochs})
    assert not Run.objects.filter(continues=run).exists()


def test_a_run_that_made_nothing_is_not_continued(start, client, alice):
    run = fails(start())
    with pytest.raises(ValidationError, match="made a model"):
        runs.carry_on(run=run, epochs=1)
    client.force_login(alice.person)
    page = reverse("run", args=["desk", run.pk])
    assert b"Continue as a new run" not in client.get(page).content
    api = f"/api/v1/projects/desk/runs/{run.pk}/continue/"
    assert client.post(api, {"epochs": 1}, content_type="application/json").status_code == 400


def test_a_reward_model_is_continued_from_itself(project, alice, start):
    base = a_model(project, "full")
    snapshot = start().snapshot
    type(snapshot).objects.filter(pk=snapshot.pk).update(kind="preferences")
    snapshot.refresh_from_db()
    run = succeeds(runs.start(project=project, method="reward", base=base, snapshot=snapshot))
    further = succeeds(runs.carry_on(run=run, epochs=1))
    assert further.base == run.model_version
    assert further.model_version.parent == run.model_version


# The plan


def test_limit_devices_and_order_come_from_the_form(start, client, alice):
    first = start()
    client.force_login(alice.person)
    values = {"base": first.base_id, "snapshot": first.snapshot_id, "after": [first.pk], "limit_minutes": 90}
    answer = client.post(
        reverse("start_run", args=["desk"]) + "?method=sft", {**values, "devices": 2, "spread": "fsdp", "start": "yes"}
    )
    assert answer.status_code == 302
    run = Run.objects.latest("id")
    assert (run.limit_minutes, run.minutes, run.devices, run.spread) == (90, 90, 2, "fsdp")
    assert list(run.waits_for.all()) == [first]
    assert first.minutes == 6 * 24 * 60


def test_and_over_the_api(start, client, alice):
    first = start()
    client.force_login(alice.person)
    sent = {"method": "sft", "snapshot": first.snapshot_id, "base": first.base_id, "after": [first.pk]}
    answer = client.post("/api/v1/projects/desk/runs/", {**sent, "limit_minutes": 5}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["waits_for"], made["limit_minutes"], made["devices"]) == ([first.pk], 5, 1)
    wrong = client.post("/api/v1/projects/desk/runs/", {**sent, "devices": 0}, content_type="application/json")
    assert wrong.status_code == 400


def test_a_worker_takes_no_run_that_needs_more_devices_than_it_has(start):
    run = start()
    Run.objects.filter(pk=run.pk).update(devices=2)
    assert runs.claim(worker="a:1") is None
    assert runs.claim(worker="a:1", devices=2) == run
