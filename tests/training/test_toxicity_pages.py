"""The leads' page about reading for toxicity, and what the page of findings says of it."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, claimed, fails
from training import toxicity
from training.models import ModelVersion, Run, ToxicityPolicy

ADDRESS = "/projects/desk/data/clean/toxicity/"
READ = f"{ADDRESS}read/"


@pytest.fixture
def classifier(project) -> ModelVersion:
    return a_model(project, "detector", kind="classifier", card={"labels": ["toxic", "insult", "praise"]})


@pytest.fixture
def lead(client, alice) -> Client:
    client.force_login(alice.person)
    return client


def shown(lead: Client, address: str = ADDRESS) -> str:
    return " ".join(lead.get(address).content.decode().split())


def naming(version: ModelVersion, *labels: str, threshold: str = "0.5") -> dict[str, object]:
    prefix = f"model-{version.pk}"
    return {"model": version.pk, f"{prefix}-labels": labels, f"{prefix}-threshold": threshold}


def test_without_a_classifier_it_says_how_to_give_one(lead, project):
    assert "There is no classifier yet" in shown(lead)
    assert "import_model desk SOURCE --name toxic --kind classifier" in shown(lead)
    page = shown(lead, reverse("cleaning", args=["desk"]))
    told = "Nobody reads for toxicity: that needs a text classifier."
    assert f'{told} <a href="{ADDRESS}">How to give one</a>' in page


def test_a_lead_names_one_with_the_labels_that_mean_toxic(lead, classifier):
    page = shown(lead)
    boxes = {label: page.partition(f'value="{label}"')[2].partition(">")[0] for label in ("toxic", "insult", "praise")}
    assert ["checked" in box for box in boxes.values()] == [True, True, False]
    answer = lead.post(ADDRESS, naming(classifier, "insult", threshold="0.7"))
    assert answer["Location"] == ADDRESS
    policy = ToxicityPolicy.objects.get()
    assert (policy.labels, policy.threshold) == (["insult"], 0.7)
    assert "0 texts read" in shown(lead)


@pytest.mark.parametrize(
    ("labels", "threshold", "words"),
    [((), "0.5", "was chosen"), (("toxic",), "7", "less than or equal to 0.99"), (("rude",), "0.5", "Select a valid")],
)
def test_what_cannot_be_is_told_beside_the_form(lead, classifier, labels, threshold, words):
    answer = lead.post(ADDRESS, naming(classifier, *labels, threshold=threshold))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ToxicityPolicy.objects.exists()


def test_the_page_tells_how_far_it_is(lead, project, classifier):
    toxicity.set_policy(project=project, model=classifier)
    an_answer(a_prompt(project), "An answer.")
    assert "2 to read" in shown(lead)
    assert lead.post(READ)["Location"] == ADDRESS
    run = Run.objects.get()
    assert "waits for its turn" in shown(lead)
    assert "on its way already" in lead.post(READ, follow=True).content.decode()
    assert "“detector” reads for toxicity soon." in shown(lead, reverse("cleaning", args=["desk"]))
    claimed(run)
    assert "reads at this moment" in shown(lead)
    Run.objects.update(status="queued")
    fails(run)
    assert "did not come to its end" in shown(lead)
    assert "“detector” has stopped reading for toxicity." in shown(lead, reverse("cleaning", args=["desk"]))


def test_another_page_is_needed_for_no_model(lead, project, classifier):
    toxicity.set_policy(project=project, model=classifier)
    assert "“detector” reads for toxicity." in shown(lead, reverse("cleaning", args=["desk"]))
    lead.post(ADDRESS, {"model": "none"})
    assert not ToxicityPolicy.objects.exists()
    assert lead.post(ADDRESS, {"model": "999999"}).status_code == 200  # no such form was there


def test_a_classifiers_own_page_tells_its_labels_and_offers_nothing_that_it_cannot(lead, project, classifier):
    a_model(project, stage="production")
    page = shown(lead, reverse("model", args=["desk", classifier.pk]))
    assert '<span class="chip">praise</span>' in page
    for offered in ("Measure it", "Promote", "Blind comparison", "Merge into"):
        assert offered not in page
    assert "detector" in shown(lead, reverse("models", args=["desk"]))
    assert "detector" not in shown(lead, reverse("start_run", args=["desk"]))


def test_only_leads_read(client, project, bob, classifier):
    client.force_login(bob.person)
    assert client.get(ADDRESS).status_code == 403
    assert client.post(ADDRESS, naming(classifier, "toxic")).status_code == 403
    assert client.post(READ).status_code == 403
    assert not ToxicityPolicy.objects.exists()
