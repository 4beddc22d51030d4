"""What has moved is found, told once a week, with what to do; what has not is not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Notice, Prompt
from evaluation import drift
from evaluation.models import Evaluation, Round, Score
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference
from training import snapshots
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(project, bob):
    """A production model that learned from thirty short English prompts."""
    for number in range(30):
        a_preference(bob, a_prompt(project, f"Where is parcel {number} of mine, please?", language="en"))
    Prompt.objects.update(created_at=timezone.now() - timedelta(days=30))
    base = a_model(project, "base")
    snapshot = snapshots.freeze(project=project, kind="preferences")
    run = Run.objects.create(project=project, method="dpo", base=base, snapshot=snapshot)
    return a_model(project, "tuned", stage="production", format="adapter", parent=base, run=run)


def test_prompts_of_the_same_kind_are_no_drift(project, trained):
    for number in range(30):
        a_prompt(project, f"Where is parcel {number} of hers, please?", language="en")
    assert drift.findings(project) == []


def test_longer_prompts_are_found_and_told(project, trained):
    for number in range(30):
        a_prompt(project, f"Write a poem in {number} verses about " + "the sea and the sky " * 12, language="en")
    (found,) = drift.findings(project)
    assert found.name == "prompts"
    assert "they have 67 words where it was 7" in found.words
    assert found.advice == "Have some of them answered and ranked, then start a round."


def test_another_language_is_named(project, trained):
    for number in range(30):
        a_prompt(project, f"Wo ist Paket {number} von mir, bitte schön?", language="de")
    (found,) = drift.findings(project)
    assert "more of them are in de" in found.words


def test_leads_are_told_once_a_week(project, trained, alice, bob, monkeypatch):
    for number in range(30):
        a_prompt(project, f"Long {number} " + "word " * 90)
    assert len(drift.watch(project)) == 1
    assert drift.watch(project) == []
    notice = Notice.objects.get()
    assert notice.person == alice.person
    assert notice.address == "/projects/desk/history/#drift-title"
    monkeypatch.setattr(drift, "AGAIN_DAYS", 0)
    assert len(drift.watch(project)) == 1


def test_with_few_new_prompts_or_no_trained_model_nothing_is_said(project, trained):
    for number in range(drift.FEWEST - 1):
        a_prompt(project, f"Long {number} " + "word " * 90)
    assert drift.findings(project) == []
    trained.stage = "retired"
    trained.save()
    a_prompt(project)
    assert drift.findings(project) == []


def test_a_reward_model_that_got_worse_is_found(project):
    base = a_model(project, "base", stage="production")
    for number, (value, lower, upper) in enumerate([(0.8, 0.72, 0.86), (0.6, 0.52, 0.68)], start=1):
        judge = a_model(project, f"judge-{number}", kind="reward")
        Round.objects.create(project=project, number=number, status="done", champion=base, reward_model=judge)
        evaluation = Evaluation.objects.create(project=project, model_version=judge, kind="held-out pairs")
        Score.objects.create(
            evaluation=evaluation, name="reward accuracy", value=value, lower=lower, upper=upper, n=150
        )
        if number == 1:
            assert drift.findings(project) == []
    (found,) = drift.findings(project)
    assert found.words.startswith("The newest reward model agrees with people on 60 % of held-out pairs")
