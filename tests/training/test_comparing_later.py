"""Big snapshots are compared by the queue: asked for once, told how far, taken up again, and a failure is said."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from tests.annotation.making import a_prompt
from tests.training.making import a_preference
from training.models import ComparisonAsked
from training.snapshots import comparing, comparisons, freeze
from training.snapshots.comparing import Comparison

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(project, bob, monkeypatch):
    """Snapshots of two and of three rows, which are taken for many."""
    monkeypatch.setattr(comparisons, "AT_ONCE", 4)
    found = []
    for number in range(3):
        a_preference(bob, a_prompt(project, f"Where is parcel {number}?"))
        found.append(freeze(project=project, kind="preferences"))
    return found[1], found[2]


def waiting() -> list[int]:
    return [one.task["args"][0] for one in OrmQ.objects.all() if one.task["func"] == comparisons.TASK]


def test_it_is_asked_for_once_and_found_when_it_is_done(two, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first, again = (comparisons.ask(first=two[0], second=two[1]) for _ in range(2))
    assert first == again
    assert waiting() == [first.pk]
    comparisons.perform(first.pk)
    comparisons.perform(first.pk)  # delivered twice
    found = comparisons.ask(first=two[0], second=two[1])
    assert isinstance(found, Comparison)
    assert found.counts() == {"added": 1, "removed": 0, "changed": 0, "same": 2}
    assert not ComparisonAsked.objects.exists()


def test_small_ones_are_compared_at_once(two, monkeypatch):
    monkeypatch.setattr(comparisons, "AT_ONCE", 5)
    assert isinstance(comparisons.ask(first=two[0], second=two[1]), Comparison)


def test_the_page_tells_how_far_it_is(two, client, alice, monkeypatch):
    client.force_login(alice.person)
    address = reverse("compare_snapshots", args=["desk", two[1].pk])
    assert "It waits for its turn." in client.get(address, {"with": two[0].pk}).content.decode()
    asked = ComparisonAsked.objects.get()
    seen = []

    def look(done: int) -> None:
        ComparisonAsked.objects.filter(pk=asked.pk).update(done=done)
        part = client.get(address, {"with": two[0].pk}, headers={"HX-Request": "true"})
        seen.append(part.content.decode())

    monkeypatch.setattr(comparing, "TOLD_EVERY", 2)
    ComparisonAsked.objects.update(state="running")
    comparing.compare(first=two[0], second=two[1], progress=look)
    assert ["2 of 5 rows are read." in seen[0], "4 of 5 rows are read." in seen[1]] == [True, True]
    assert "<h1" not in seen[0]
    over = client.get(address, {"with": two[0].pk}, headers={"HX-Request": "true"})
    assert over["HX-Refresh"] == "true"
    assert client.get(address, {"with": two[0].pk}).context["counts"]["added"] == 1


def test_the_api_answers_202_until_it_is_there(two, client, alice):
    client.force_login(alice.person)
    address = f"/api/v1/projects/desk/snapshots/{two[1].pk}/compare/{two[0].pk}/"
    answer = client.get(address, {"what": "added"})
    assert (answer.status_code, answer.json()) == (202, {"state": "waiting", "done": 0, "total": 5})
    comparisons.perform(ComparisonAsked.objects.get().pk)
    assert len(client.get(address, {"what": "added"}).json()["changes"]) == 1


def test_a_failure_is_said_once_and_asking_again_begins_anew(two):
    asked = comparisons.ask(first=two[0], second=two[1])
    (two[0].path / "train.parquet").unlink()
    comparisons.perform(asked.pk)
    with pytest.raises(ValidationError, match="gone or damaged"):
        comparisons.ask(first=two[0], second=two[1])
    assert comparisons.ask(first=two[0], second=two[1]).state == "waiting"


def test_what_a_lost_worker_left_is_taken_up_and_given_up_in_the_end(two):
    asked = comparisons.ask(first=two[0], second=two[1])
    row = ComparisonAsked.objects.filter(pk=asked.pk)
    long_ago = timezone.now() - timedelta(hours=1)
    row.update(state="running", attempt=1, heartbeat_at=long_ago, created_at=long_ago)
    assert comparisons.recover() == {"comparing again": 1}
    assert waiting() == [asked.pk]
    assert comparisons.recover() == {"comparing again": 0}
    assert waiting() == [asked.pk]
    row.update(state="running", attempt=3, heartbeat_at=long_ago)
    comparisons.recover()
    assert row.get().state == "failed"


def test_a_worker_that_was_overtaken_stops(two, monkeypatch):
    asked = comparisons.ask(first=two[0], second=two[1])
    monkeypatch.setattr(comparing, "TOLD_EVERY", 1)
    compare = comparing.compare

    def overtaken(*, first, second, progress):
        ComparisonAsked.objects.filter(pk=asked.pk).update(attempt=2)
        return compare(first=first, second=second, progress=progress)

    monkeypatch.setattr(comparing, "compare", overtaken)
    comparisons.perform(asked.pk)
    assert ComparisonAsked.objects.get().state == "running"
