"""Tags that a classifier suggests, over the API: read, decided, asked for again; by leads alone."""

import pytest

from tests.annotation.making import a_prompt
from tests.training.making import a_classifier, a_model
from training.models import Run, TagSuggestion

pytestmark = pytest.mark.django_db
DESK = "/api/v1/projects/desk"


@pytest.fixture
def base(project):
    return a_model(project, stage="production")


@pytest.fixture
def classifier(project, base):
    return a_classifier(project, base, "tea", "bus")


@pytest.fixture
def suggested(project, classifier):
    """tea for two prompts, surely and not; bus for the first."""
    one, two = a_prompt(project), a_prompt(project)
    return [
        TagSuggestion.objects.create(
            project=project, prompt=prompt, tag=tag, confidence=sure, model_version=classifier, run=classifier.run
        )
        for prompt, tag, sure in ((one, "tea", 0.93), (two, "tea", 0.5), (one, "bus", 0.7))
    ]


def listed(client, **asked):
    return [row["id"] for row in client.get(f"{DESK}/suggestions/", asked).json()["results"]]


def test_they_are_read_with_who_suggests_and_who_decided(api, alice, classifier, suggested):
    lead, (sure, unsure, bus) = api(alice), suggested
    row = lead.get(f"{DESK}/suggestions/", {"prompt": sure.prompt_id, "tag": "tea"}).json()["results"][0]
    assert (row["tag"], row["confidence"], row["state"]) == ("tea", 0.93, "open")
    assert (row["model"], row["run"]) == ({"id": classifier.pk, "name": "tags"}, classifier.run.pk)
    assert row["decided_by"] is None
    assert listed(lead) == [bus.pk, unsure.pk, sure.pk]
    assert listed(lead, confidence=0.6) == [bus.pk, sure.pk]
    assert listed(lead, tag="tea", model=classifier.pk) == [unsure.pk, sure.pk]
    assert listed(lead, model=classifier.pk + 1) == []


def test_they_are_accepted_and_dismissed(api, alice, suggested):
    lead, (sure, unsure, bus) = api(alice), suggested
    sent = {"accept": [sure.pk, bus.pk], "dismiss": [unsure.pk]}
    assert lead.post(f"{DESK}/suggestions/decide/", sent, format="json").json() == {"accepted": 2, "dismissed": 1}
    sure.prompt.refresh_from_db()
    assert sorted(sure.prompt.tags) == ["bus", "tea"]
    assert listed(lead, state="open") == []
    assert listed(lead, state="dismissed") == [unsure.pk]
    assert lead.get(f"{DESK}/suggestions/", {"state": "accepted"}).json()["results"][0]["decided_by"] == "alice"
    assert lead.post(f"{DESK}/suggestions/decide/", sent, format="json").json() == {"accepted": 0, "dismissed": 0}
    both = {"accept": [sure.pk], "dismiss": [sure.pk]}
    assert lead.post(f"{DESK}/suggestions/decide/", both, format="json").status_code == 400


def test_prompts_are_found_by_them(api, alice, bob, member, suggested):
    found = api(alice).get(f"{DESK}/prompts/", {"suggested": "bus"}).json()["results"]
    assert [row["id"] for row in found] == [suggested[2].prompt_id]
    reviewer = member("rita", "reviewer")
    assert api(reviewer).get(f"{DESK}/prompts/", {"suggested": "bus"}).status_code == 400
    for door in (f"{DESK}/suggestions/", f"{DESK}/suggestions/?state=open"):
        assert api(reviewer).get(door).status_code == 403


def test_a_classifier_reads_newer_prompts(api, alice, base, classifier, suggested):
    lead = api(alice)
    run = lead.post(f"{DESK}/models/{classifier.pk}/suggest/", {"settings": {"suggest": 1}}, format="json").json()
    assert (run["method"], run["base"]["id"], run["settings"]["suggest"]) == ("suggest", classifier.pk, 1)
    assert len(Run.objects.get(pk=run["id"]).inputs["untagged"]) == 1
    refused = lead.post(f"{DESK}/models/{base.pk}/suggest/", {}, format="json")
    assert (refused.status_code, "not trained on tags" in str(refused.json())) == (400, True)


def test_another_project_is_out_of_reach(api, alice, suggested):
    theirs = type(suggested[0].project).objects.create(slug="theirs", name="Theirs")
    TagSuggestion.objects.filter(pk=suggested[0].pk).update(project=theirs)
    sent = {"accept": [suggested[0].pk], "dismiss": []}
    assert api(alice).post(f"{DESK}/suggestions/decide/", sent, format="json").json()["accepted"] == 0
    assert suggested[0].pk not in listed(api(alice))
