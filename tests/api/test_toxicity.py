"""Reading for toxicity over the API: the same verbs as the page."""

import pytest

from annotation.models import Project
from tests.annotation.making import a_prompt
from tests.training.making import a_model
from training import toxicity
from training.models import ModelVersion, Run, ToxicityPolicy

ADDRESS = "/api/v1/projects/desk/toxicity/"


@pytest.fixture
def classifier(project) -> ModelVersion:
    return a_model(project, "detector", kind="classifier", card={"labels": ["toxic", "insult", "praise"]})


def test_a_classifier_is_named_reads_and_is_named_no_more(api, project, alice, classifier):
    client = api(alice)
    assert client.get(ADDRESS).json()["model"] is None
    answer = client.put(ADDRESS, {"model": classifier.pk, "threshold": 0.7}, format="json")
    assert answer.status_code == 200
    assert answer.json() == {
        **{"model": {"id": classifier.pk, "name": "detector"}, "labels": ["toxic", "insult"], "threshold": 0.7},
        **{"read": 0, "found": 0, "unread": 0, "run": None, "failed": False},
    }
    assert client.post(ADDRESS).status_code == 409  # nothing is there to read
    a_prompt(project)
    assert client.get(ADDRESS).json()["unread"] == 1
    started = client.post(ADDRESS)
    assert (started.status_code, started.json()["method"]) == (201, "toxicity")
    assert client.get(ADDRESS).json()["run"] == started.json()["id"] == Run.objects.get().pk
    assert client.post(ADDRESS).status_code == 409
    assert client.delete(ADDRESS).status_code == 204
    assert not ToxicityPolicy.objects.exists()


def test_what_cannot_read_is_refused(api, project, alice, classifier):
    client = api(alice)
    other = a_model(Project.objects.create(slug="other", name="Other"), "theirs", kind="classifier")
    for wrong in (
        {},
        {"model": other.pk},
        {"model": a_model(project).pk},
        {"model": classifier.pk, "labels": []},
        {"model": classifier.pk, "labels": ["rude"]},
        {"model": classifier.pk, "threshold": 1},
        {"model": classifier.pk, "threshold": "nan"},
        {"model": classifier.pk, "labels": ["a\0b"]},
    ):
        assert client.put(ADDRESS, wrong, format="json").status_code == 400, wrong
    assert not ToxicityPolicy.objects.exists()


def test_its_findings_are_told_like_all_others(api, project, alice, classifier):
    policy = toxicity.set_policy(project=project, model=classifier)
    prompt = a_prompt(project, "You fool!")
    policy.scores.create(prompt=prompt, value=0.9, label="insult", turn=0)
    toxicity.judge(policy)
    client = api(alice)
    (found,) = client.get("/api/v1/projects/desk/findings/", {"kind": "toxicity"}).json()["results"]
    assert (found["prompt"], found["turn"], found["data"]["label"]) == (prompt.pk, 0, "insult")
    assert client.get("/api/v1/projects/desk/checks/").json()["found"] == {"toxicity": {"open": 1}}
    sent = {"verb": "exclude", "kind": "toxicity", "because": "Toxic."}
    answer = client.post("/api/v1/projects/desk/findings/decide/", sent, format="json")
    assert answer.json()["done"] == 1


def test_an_import_says_of_what_kind_the_model_is(api, project, alice):
    sent = {"name": "detector", "source": "some/detector", "kind": "classifier"}
    answer = api(alice).post("/api/v1/projects/desk/models/", sent, format="json")
    assert answer.status_code == 201
    assert Run.objects.get().inputs["kind"] == "classifier"
    assert (
        api(alice).post("/api/v1/projects/desk/models/", {**sent, "kind": "reward"}, format="json").status_code == 400
    )
