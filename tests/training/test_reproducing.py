"""Doing a run again: what is compared, and that what a run was started with never changes."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.urls import reverse

from annotation.models import Event
from tests.training.making import a_model, an_edit, fails, succeeds
from training import reproducing, runs, snapshots
from training.models import Metric, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def before(project, bob) -> Run:
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    return runs.start(project=project, method="sft", base=a_model(project), snapshot=snapshot, seed=5)


def wrote(run: Run, *losses: float | None) -> Run:
    Metric.objects.bulk_create(Metric(run=run, step=n, values={"loss": x}) for n, x in enumerate(losses, start=1))
    return run


@pytest.mark.parametrize(
    ("losses", "difference", "missing", "same"),
    [
        ((2.0, 1.0), 0.0, 0, True),
        ((2.0, 1.00005), 5e-5, 0, True),
        ((2.0, 1.001), 1e-3, 0, False),
        ((2.0,), 0.0, 1, False),
        ((2.0, 1.0, 0.5), 0.0, 1, False),
        ((), None, 2, False),
    ],
)
def test_losses_are_compared_step_by_step(before, losses, difference, missing, same):
    again = reproducing.repeat(run=wrote(before, 2.0, 1.0))
    found = reproducing.compare(before, wrote(again, *losses))
    assert found.difference == (None if difference is None else pytest.approx(difference, abs=1e-9))
    assert (found.missing, found.is_same) == (missing, same)


def test_what_else_is_not_alike_is_named(before):
    again = reproducing.repeat(run=succeeds(wrote(before, 1.0)))
    succeeds(wrote(again, 1.0))
    Run.objects.filter(pk=before.pk).update(environment={"torch": "2.12", "device": "cpu"})
    Run.objects.filter(pk=again.pk).update(environment={"torch": "2.13", "device": "cpu"})
    before.refresh_from_db()
    again.refresh_from_db()
    found = reproducing.compare(before, again)
    assert found.other == {"torch": ("2.12", "2.13")}
    assert found.same_weights is False  # each of the files says which run wrote it
    assert reproducing.in_words(found)[1:] == [
        "The weights are not the same, byte for byte.",
        "torch: 2.12 before, 2.13 now.",
    ]


def test_the_settings_that_memory_made_necessary_are_repeated(before):
    fails(before, reason="out_of_memory")
    before.refresh_from_db()
    again = reproducing.repeat(run=before)
    assert (again.settings["batch_size"], again.settings["gradient_accumulation"]) == (2, 2)
    assert (again.seed, again.repeats) == (5, before)


def test_a_run_that_reads_what_is_unread_is_not_done_again(before):
    before.method = "toxicity"
    with pytest.raises(ValidationError, match="read for toxicity once"):
        reproducing.repeat(run=before)


def test_the_page_says_whether_it_is_the_same(before, client, alice):
    again = reproducing.repeat(run=succeeds(wrote(before, 1.0)))
    succeeds(wrote(again, 1.5))
    client.force_login(alice.person)
    page = client.get(reverse("run", args=["desk", again.pk])).content.decode()
    assert "not the same, largest difference 0.5" in page
    assert f"manage.py reproduce desk {again.pk}" in page


@pytest.mark.parametrize(("number", "words"), [(10**9, "There is no run"), (None, "has not succeeded")])
def test_the_command_refuses_what_cannot_be_compared(before, number, words):
    with pytest.raises(CommandError, match=words):
        call_command("reproduce", "desk", str(number or before.pk))
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"settings": {"epochs": 9}}, {"seed": 6}, {"method": "dpo"}, {"inputs": {"x": 1}}, {"snapshot": None}]
)
def test_what_a_run_was_started_with_never_changes(before, change):
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Run.objects.filter(pk=before.pk).update(**change)
    assert Event.objects.filter(verb="run started").count() == 1


def test_where_and_from_what_it_is_made_is_known_when_it_starts(before):
    origin = reproducing.origin(before)
    assert origin["snapshot_sha256"] == before.snapshot.sha256
    assert {"base_sha256"} <= origin.keys()
