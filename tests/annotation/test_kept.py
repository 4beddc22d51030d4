"""What the pages of quality show of a big project: kept by the queue, with its time, and people as they stand now."""

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import agreement, kept, raters, tasks
from annotation.models import Label, Membership, QualityReport
from tests.annotation.making import a_prompt
from tests.benchmarks import raters as simulated
from tests.training.making import compares, says

FIRST, SECOND = (1, 2), (2, 1)


@pytest.fixture
def big(project, bob, bea, alice, monkeypatch):
    """A project with more labels than are worked out at once."""
    for number in range(6):
        item = compares(a_prompt(project, tags=["refund"]), "one", "two")
        for who in (bob, bea):
            says(who, item, ranks=FIRST if number else SECOND, strength=2, seconds=20)
    monkeypatch.setattr(kept, "AT_ONCE", 5)
    return project


def test_a_small_project_is_worked_out_at_once_and_nothing_is_kept(project, bob):
    says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert not kept.keep(project)
    assert kept.reports(project) == (agreement.reports(project), None)
    assert kept.ways(project) == (raters.of_project(project), None)
    assert not QualityReport.objects.exists()


def test_what_is_kept_of_a_big_one_is_what_would_be_worked_out(big):
    assert kept.keep(big)
    found, as_of = kept.reports(big)
    assert found == agreement.reports(big)
    people, _ = kept.ways(big)
    assert people == raters.of_project(big)
    assert as_of.since == 0
    assert timezone.now() >= as_of.made_at


def test_what_was_said_since_is_counted_and_not_in_it_yet(big, bob):
    kept.keep(big)
    says(bob, compares(a_prompt(big), "one", "two"), ranks=FIRST)
    people, as_of = kept.ways(big)
    assert as_of.since == 1
    assert {one.person: one.labels for one in people} == {"bob": 6, "bea": 6}
    tasks.consensus(big.pk)
    people, as_of = kept.ways(big)
    assert (as_of.since, {one.person: one.labels for one in people}) == (0, {"bob": 7, "bea": 6})


def test_people_are_told_as_they_stand_now(big, bob, bea):
    kept.keep(big)
    Membership.objects.filter(pk=bob.pk).update(excluded_at=timezone.now())
    bea.delete()
    (only,) = kept.ways(big)[0]
    assert only.person == "bob"
    assert only.membership.excluded_at


def test_before_anything_is_kept_and_for_simulated_people_it_is_worked_out(big):
    assert kept.reports(big)[1] is None
    kept.keep(big)
    assert kept.reports(big, simulated=True)[1] is None


def test_what_is_unusual_is_kept_with_its_words(project, monkeypatch):
    monkeypatch.setattr(simulated, "LABELS", 60)
    simulated.fill(project, ["careful"] * 5 + ["left-clicker"], np.random.default_rng(1))
    real = raters.of_project
    monkeypatch.setattr(raters, "of_project", lambda project: real(project, simulated=True))
    monkeypatch.setattr(kept, "AT_ONCE", 5)
    kept.keep(project)
    first = kept.ways(project)[0][0]
    assert [finding.name for finding in first.findings] == ["side"]
    assert "Takes the left answer" in first.findings[0].words
    assert Label.objects.count() == 360


def test_the_pages_and_the_api_tell_of_when_it_is(client, big, alice):
    client.force_login(alice.person)
    kept.keep(big)
    for page in ("quality", "raters"):
        assert "As of" in client.get(reverse(page, args=["desk"])).content.decode()
    for name in ("agreement", "raters"):
        assert client.get(f"/api/v1/projects/desk/{name}/").json()["made_at"]
    QualityReport.objects.all().delete()
    assert "As of" not in client.get(reverse("quality", args=["desk"])).content.decode()
    assert client.get("/api/v1/projects/desk/agreement/").json()["made_at"] is None
