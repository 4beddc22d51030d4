"""The guide proposes by what a project has, and its links open the form with the settings filled in."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Project
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, compares, demonstrates, says
from training import guide
from training.guide import Holdings, Needs, propose
from training.methods import METHODS
from training.methods.tagging import learnable
from training.models import Run


def steps(goal: str, *, subject: str = "known", means: str = "one", **have: Any) -> list[guide.Step]:
    return propose(Needs(goal, subject, means), Holdings(**have))  # type: ignore[arg-type]


def test_few_answers_are_collected_or_shown_and_not_trained_on() -> None:
    (step,) = steps("manner", demonstrations=12)
    assert (step.method, step.title) == ("", "Collect more good answers first")
    assert any("trains nothing" in why for why in step.why)
    assert len(steps("manner")[0].why) == 1
    assert any("invent" in why for why in steps("knowledge", demonstrations=300)[0].why)


def test_manner_from_some_dozens_of_answers() -> None:
    (step,) = steps("manner", demonstrations=60)
    assert (step.method, step.settings) == ("sft", {"tuning": "lora", "epochs": 3})


def test_enough_answers_keep_some_back_and_stop_early() -> None:
    settings = steps("manner", demonstrations=400)[0].settings
    assert (settings["validation_share"], settings["patience"]) == (0.1, 3)


@pytest.mark.parametrize(
    ("have", "needs", "way"),
    [
        ({"demonstrations": 500, "parameters": 7 * 10**9}, {"means": "one"}, "qlora"),
        ({"demonstrations": 500, "parameters": 2 * 10**9}, {"means": "processor"}, "ia3"),
        ({"demonstrations": 2000}, {"subject": "new"}, "rslora"),
        ({"demonstrations": 9000}, {"subject": "new", "means": "many"}, "full"),
    ],
)
def test_how_much_of_the_model(have: dict[str, int], needs: dict[str, str], way: str) -> None:
    assert steps("manner", **needs, **have)[0].settings["tuning"] == way


def test_a_small_language_is_balanced() -> None:
    languages = {"en": 300, "sw": 40}
    settings = steps("language", subject="new", demonstrations=340, languages=languages)[0].settings
    assert (settings["mix_by"], settings["mix_alpha"], settings["loss_on"]) == ("language", 0.3, "conversation")
    even = steps("manner", demonstrations=340, languages={"en": 200, "de": 140})[0].settings
    assert "mix_by" not in even


def test_a_tuned_model_is_not_undone() -> None:
    assert steps("manner", demonstrations=100, tuned=True)[0].settings["replay_share"] == 0.2
    assert "replay_share" not in steps("manner", demonstrations=100)[0].settings


def test_preferences_in_order() -> None:
    assert [step.method for step in steps("preference", comparisons=5)] == [""]
    few = steps("preference", demonstrations=50, comparisons=100)
    assert [step.method for step in few] == ["sft", "probe", "dpo"]
    assert few[-1].settings["beta"] == 0.3
    many = steps("preference", comparisons=5000)
    assert [(step.method, step.settings.get("epochs")) for step in many] == [("reward", 1), ("dpo", 1)]


def test_failures_need_marks() -> None:
    assert [step.method for step in steps("unacceptable", comparisons=300, unacceptable=3)] == [""]
    assert [step.method for step in steps("unacceptable", comparisons=300, unacceptable=30)] == ["reward", "dpo"]


def test_scores_need_comparisons() -> None:
    assert [step.method for step in steps("scoring", comparisons=30)] == ["probe"]
    assert [step.method for step in steps("scoring")] == [""]


@pytest.mark.parametrize("goal", ["manner", "preference", "unacceptable", "knowledge", "language", "scoring"])
@pytest.mark.parametrize("count", [0, 40, 250, 3000, 50_000])
@pytest.mark.parametrize("means", ["processor", "one", "many"])
def test_whatever_is_proposed_is_valid(goal: str, count: int, means: str) -> None:
    for subject in ("known", "new"):
        for parameters in (None, 135_000_000, 8 * 10**9):
            have = {"demonstrations": count, "comparisons": count, "unacceptable": count, "parameters": parameters}
            for step in steps(goal, subject=subject, means=means, tuned=bool(count % 7), **have):
                assert step.why
                if step.method:
                    METHODS[step.method].settings.model_validate(step.settings)
                    assert len(step.chosen) == len(step.settings)


@pytest.mark.django_db
def test_what_a_project_has(project: Project, bob: Any, bea: Any) -> None:
    base = a_model(project, stage="production", card={"metrics": {"parameters": 1234}})
    assert guide.holdings(project) == Holdings(parameters=1234)
    for language in ("en", "en", "nl"):
        an_edit(bob, a_prompt(project, language=language))
    an_edit(bob, a_prompt(project, split="heldout"))
    says(bob, demonstrates(a_prompt(project, language="en"), "Rude."), verdict="reject")
    a_preference(bob)
    item = compares(a_prompt(project), "fine", "awful")
    for member in (bob, bea):
        says(member, item, ranks=(1, 2), strength=1, unacceptable=(False, True))
    run = Run.objects.create(project=project, method="sft", base=base)
    base.stage = "retired"
    base.save()
    a_model(project, "tuned", format="adapter", parent=base, run=run, stage="production")
    assert guide.holdings(project) == Holdings(3, 2, 1, {"en": 2, "nl": 1}, 1234, True)


@pytest.mark.django_db
class TestPage:
    page = "/projects/desk/runs/which-method/"

    def test_only_leads_come_in(self, client: Client, project: Project, charlie: Any, member: Any) -> None:
        assert client.get(self.page)["Location"].startswith(reverse("login"))
        for person, status in ((charlie, 404), (member("rita", "reviewer").person, 403)):
            client.force_login(person)
            assert client.get(self.page).status_code == status

    def test_it_asks_and_then_proposes(self, client: Client, project: Project, alice: Any, bob: Any) -> None:
        client.force_login(alice.person)
        assert self.page in client.get(reverse("start_run", args=["desk"])).content.decode()
        asked = client.get(self.page)
        assert asked.context["steps"] == []
        assert not asked.context["form"].errors
        for _ in range(30):
            an_edit(bob)
        shown = client.get(self.page, {"goal": "manner", "subject": "known", "means": "one"})
        assert [step.method for step in shown.context["steps"]] == ["sft"]
        link = reverse("start_run", args=["desk"]) + "?method=sft&amp;tuning=lora&amp;epochs=3"
        assert link in shown.content.decode()
        unanswered = client.get(self.page, {"goal": "manner"})
        assert set(unanswered.context["form"].errors) == {"subject", "means"}


def test_sorting_prompts_wants_tags_that_can_be_told_apart() -> None:
    (step,) = steps("sorting", tags=learnable({("tea",): 12, ("bus",): 10}, [], 10))
    assert (step.method, step.settings) == ("classify", {})
    assert step.why[0].startswith("22 tagged prompts are enough for 2 tags.")
    (step,) = steps("sorting", tags=learnable({("tea",): 3}, [], 10))
    assert (step.method, step.why) == ("", (learnable({("tea",): 3}, [], 10).problem,))
