"""Findings over HTTP: what was found, what is decided about it, and exclusion without a finding."""

import pytest

from annotation import cleaning
from annotation.models import Finding, Project, Response
from tests.annotation.making import a_comparison, a_demonstration, a_prompt

MAIL = "Write to anna@shop.org, please."


@pytest.fixture(autouse=True)
def _no_other_rooms(settings):
    settings.MORE_CHECKS = []


@pytest.fixture
def found(project):
    a_demonstration(project, MAIL)
    a_comparison(project, ("Dear [NAME].", "Dear [NAME], hello."))
    cleaning.check(project=project)
    return Finding.objects.all()


def test_the_checks_are_asked_for_once_and_tell_how_far_they_are(api, project, alice, found):
    client = api(alice)
    before = client.get("/api/v1/projects/desk/checks/").json()
    assert before["found"] == {"personal": {"open": 1}, "placeholder": {"open": 2}}
    assert before["busy"] is False
    answer = client.post("/api/v1/projects/desk/checks/")
    assert (answer.status_code, answer.json()["busy"]) == (202, True)
    assert client.post("/api/v1/projects/desk/checks/").status_code == 409


def test_findings_come_in_pages_and_can_be_told_apart(api, project, alice, found):
    client = api(alice)
    address = "/api/v1/projects/desk/findings/"
    page = client.get(address, {"page_size": 2}).json()
    assert len(page["results"]) == 2
    assert client.get(page["next"]).json()["results"][0]["kind"] == "personal"
    (one,) = client.get(address, {"kind": "personal", "text": "answer"}).json()["results"]
    assert MAIL[one["start"] : one["end"]] == "anna@shop.org"
    assert client.get(address, {"tag": "parcels"}).json()["results"] == []
    assert client.get(address, {"kind": "nonsense"}).status_code == 400


def test_deciding_by_ids_and_by_what_fits(api, project, alice, found):
    client = api(alice)
    address = "/api/v1/projects/desk/findings/decide/"
    ids = [found.filter(kind="placeholder").first().pk]
    sent = {"verb": "exclude", "findings": ids}
    assert client.post(address, sent, format="json").status_code == 400
    answer = client.post(address, {**sent, "because": "A leftover."}, format="json")
    assert answer.json() == {"done": 1, "passed_over": 0, "left": 0}
    assert client.post(address, {"verb": "mend", "state": "open"}, format="json").json()["passed_over"] == 1
    assert Response.objects.filter(origin="edit").get().text == "Write to (e-mail address removed), please."
    assert client.post(address, {"verb": "bring_back"}, format="json").json()["done"] == 2
    assert set(found.values_list("state", flat=True)) == {"open"}
    for wrong in ({"verb": "burn"}, {"verb": "accept", "findings": []}, {"verb": "accept", "findings": ["one"]}):
        assert client.post(address, wrong, format="json").status_code == 400


def test_findings_of_another_project_are_not_decided(api, project, alice):
    other = Project.objects.create(slug="other", name="Other")
    a_demonstration(other, MAIL)
    cleaning.check(project=other)
    sent = {"verb": "accept", "findings": [Finding.objects.get().pk]}
    answer = api(alice).post("/api/v1/projects/desk/findings/decide/", sent, format="json")
    assert answer.json()["done"] == 0
    assert Finding.objects.get().state == "open"


def test_leaving_out_and_bringing_back(api, project, alice):
    client = api(alice)
    prompt = a_prompt(project)
    sent = {"prompts": [prompt.pk, 999_999]}
    assert client.post("/api/v1/projects/desk/exclude/", sent, format="json").status_code == 400
    sent["because"] = "Not ours."
    assert client.post("/api/v1/projects/desk/exclude/", sent, format="json").json() == {"changed": 1}
    prompt.refresh_from_db()
    assert prompt.excluded_because == "Not ours."
    assert client.post("/api/v1/projects/desk/bring-back/", {"prompts": [prompt.pk]}, format="json").json() == {
        "changed": 1
    }
