"""Excluding somebody leaves what was made of their labels marked, and makes nothing more of them."""

import pytest
from django.urls import reverse

from annotation import excluding
from evaluation import leaderboard, report, winrate
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit
from training import snapshots, staleness
from training.models import ModelVersion, Run, Snapshot, Source


@pytest.fixture
def trained(project, bob, bea, alice):
    """A model tuned on edits of bob's and bea's, and another on top of it, trained on a preference of bea's."""
    an_edit(bob), an_edit(bea), a_preference(bea)
    base = a_model(project, stage="production")
    edits, preferences = (snapshots.freeze(project=project, kind=kind) for kind in ("demonstrations", "preferences"))
    versions = [base]
    for name, snapshot in (("sft", edits), ("dpo", preferences)):
        run = Run.objects.create(project=project, method=name, base=versions[-1], snapshot=snapshot, status="succeeded")
        versions.append(a_model(project, name, format="adapter", parent=versions[-1], run=run))
    return versions


def exclude(who, alice):
    assert excluding.exclude(membership=who, because="guesses", actor=alice.person)


def test_nothing_is_stale_while_everybody_counts(project, trained):
    assert staleness.of_models(project) == {}
    assert staleness.of_model(trained[2]) == ""


def test_what_was_trained_on_their_labels_is_stale_and_all_that_stands_on_it(project, trained, bob, alice):
    base, sft, dpo = trained
    exclude(bob, alice)
    assert staleness.of_models(project).keys() == {sft.pk, dpo.pk}
    assert "bob (1)" in staleness.of_model(dpo)
    assert staleness.of_model(base) == ""
    assert "bob (1)" in staleness.of_snapshot(sft.run.snapshot)
    excluding.include(membership=bob, actor=alice.person)
    assert staleness.of_models(project) == {}


def test_labels_of_one_person_in_two_snapshots_are_told_together(project, trained, bea, alice):
    _, sft, dpo = trained
    exclude(bea, alice)
    assert dpo.run.snapshot.labels.filter(person=bea.person).count() == 2  # her edit is a preference too
    assert "bea (2)" in staleness.of_model(dpo)
    assert "bea (1)" in staleness.of_model(sft)


def test_another_project_is_not_touched(project, trained, bob, alice):
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    there = Membership.objects.create(person=bob.person, project=other)
    exclude(there, alice)
    assert staleness.of_models(project) == {}


def test_what_had_their_labels_mixed_in_is_stale(project, trained, bob, bea, alice):
    clean = Snapshot.objects.create(project=project, kind="demonstrations", rule={}, sha256="b" * 64, folder="b")
    run = Run.objects.create(project=project, method="sft", base=trained[0], snapshot=clean)
    version = a_model(project, "mixed", format="adapter", parent=trained[0], run=run)
    exclude(bob, alice)
    assert staleness.of_model(version) == ""
    Source.objects.create(run=run, snapshot=trained[1].run.snapshot)
    assert "bob (1)" in staleness.of_model(version)


def test_freezing_again_does_without_them(project, trained, bob, alice):
    before = trained[1].run.snapshot
    exclude(bob, alice)
    after = snapshots.freeze(project=project, kind="demonstrations")
    assert after != before
    assert not after.labels.filter(person=bob.person).exists()
    assert staleness.of_snapshot(after) == ""


def test_held_out_pairs_win_rates_and_readiness_do_without_them(project, bob, bea, alice):
    heldout = a_prompt(project, split="heldout")
    a_preference(bob, heldout), a_preference(bea, a_prompt(project, split="heldout"))
    assert len(snapshots.heldout_pairs(project=project)) == 2
    assert report.readiness(project)["labels"]["heldout_pairs"] == 2
    exclude(bob, alice)
    assert len(snapshots.heldout_pairs(project=project)) == 1
    assert report.readiness(project)["labels"]["heldout_pairs"] == 1
    assert leaderboard.standings(project) == []
    one, other = a_model(project, "one"), a_model(project, "other")
    assert winrate.between(one, other).human is None


def test_pages_and_api_say_so_with_the_reason(client, project, trained, bob, alice):
    exclude(bob, alice)
    client.force_login(alice.person)
    models = client.get(reverse("models", args=["desk"])).content.decode()
    assert models.count(">Stale<") == 2
    page = client.get(reverse("model", args=["desk", trained[2].pk])).content.decode()
    assert "Stale." in page
    assert "bob (1)" in page
    listed = client.get("/api/v1/projects/desk/models/").json()["results"]
    stale = {one["name"]: one["stale"] for one in listed}
    assert stale["base"] == ""
    assert "bob (1)" in stale["sft"]
    assert "bob (1)" in client.get(f"/api/v1/projects/desk/models/{trained[1].pk}/").json()["stale"]
    assert ModelVersion.objects.count() == 3
