"""Labels that all the others speak against are told; those that cannot be judged are left alone."""

from random import Random

import numpy as np
import pytest

from annotation import tidying
from annotation.models import Finding, Label, Review
from evaluation import label_errors
from tests.annotation.making import a_prompt
from tests.training.making import compares, says

SHORT = "Yes."
LONG = "- Yes, gladly.\n- It takes two days.\n- You will hear from us, {}."


@pytest.fixture
def judged(project, bob):
    """Fifty comparisons, in all but two of which the longer answer won."""
    for number in range(50):
        item = compares(a_prompt(project, language="en"), f"{SHORT} {number}", LONG.format(number))
        says(bob, item, ranks=(1, 2) if number in (7, 31) else (2, 1), strength=2)
    return project


def wrong(project):
    labels = Label.objects.filter(project=project).order_by("pk")
    return {labels[7].pk, labels[31].pk}


def test_the_labels_that_the_others_speak_against_are_found(judged):
    assert label_errors.find(project=judged) == 2
    assert {one.data["label"] for one in Finding.objects.filter(kind="label_error")} == wrong(judged)
    assert label_errors.find(project=judged) == 2
    assert Finding.objects.count() == 2


def test_they_go_to_the_reviewers(judged, alice):
    label_errors.find(project=judged)
    assert tidying.send(project=judged, findings=Finding.objects.all(), actor=alice.person).done == 2
    assert {case.item_id for case in Review.objects.open()} == {one.data["item"] for one in Finding.objects.all()}
    assert tidying.exclude(project=judged, findings=Finding.objects.all(), because="No.").passed_over == 2


def test_an_open_one_that_is_likely_no_more_goes(judged, monkeypatch):
    label_errors.find(project=judged)
    first, _ = Finding.objects.order_by("pk")
    tidying.accept(project=judged, findings=Finding.objects.filter(pk=first.pk))
    monkeypatch.setattr(label_errors, "FEWEST", 1_000)
    assert label_errors.find(project=judged) == 0
    assert list(Finding.objects.all()) == [first]


def test_few_labels_and_a_signal_that_foretells_nothing_say_nothing(project, bob):
    random = Random(1)
    for number in range(20):
        says(bob, compares(a_prompt(project), f"{SHORT} {number}", LONG.format(number)), ranks=(2, 1))
    assert label_errors.find(project=project) == 0
    differences = np.random.default_rng(1).normal(size=(200, 4))
    prompts = np.arange(200)
    random.shuffle(differences)
    assert label_errors.disagreement(differences, prompts, np.ones(200), np.zeros(4, int)) is None
