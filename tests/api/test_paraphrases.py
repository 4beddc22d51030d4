"""Paraphrases over the API: asked for, read, refused and taken back."""

import pytest

from tests.annotation.making import a_prompt
from training.models import Paraphrase, Run

pytestmark = pytest.mark.django_db
PATH = "/api/v1/projects/desk/paraphrases/"


@pytest.fixture
def lead(api, alice):
    return api(alice)


def test_a_run_is_asked_for(lead, world):
    sent = {"model": world.base.pk, "prompts": 1, "settings": {"instruction": "Say it in other words."}, "seed": 3}
    answer = lead.post(PATH, sent, format="json")
    assert answer.status_code == 201, answer.content
    run = Run.objects.get(pk=answer.json()["id"])
    assert (run.method, run.seed, run.settings["instruction"]) == ("paraphrase", 3, "Say it in other words.")
    assert [row["id"] for row in run.inputs["prompts"]] == [world.prompt.pk]


@pytest.mark.parametrize(
    "wrong", [{"settings": {"temperature": 9}}, {"prompts": 0}, {"prompts": 10_001}, {"model": 10**9}, {"seed": -1}]
)
def test_what_does_not_fit_is_refused(lead, world, wrong):
    answer = lead.post(PATH, {"model": world.base.pk, **wrong}, format="json")
    assert answer.status_code == 400
    assert not Run.objects.filter(method="paraphrase").exists()


def test_they_are_read_beside_their_originals(lead, world):
    refused = Paraphrase.objects.create(
        run=world.paraphrase.run,
        prompt=world.prompt,
        index=1,
        text="5?",
        refused_because="detail",
        about="5",
        nearness=0,
    )
    second, first = lead.get(PATH).json()["results"]
    assert (first["id"], first["kept"], first["original"]) == (world.paraphrase.pk, True, world.prompt.last_turn)
    assert (second["why"], second["final"]) == ("A number, a name or a place to fill in is not the same: 5", False)
    for query, expected in (
        ("kept=true", [world.paraphrase.pk]),
        ("kept=false", [refused.pk]),
        ("refused_because=detail", [refused.pk]),
        ("refused_because=heldout", []),
        (f"run={world.run.pk}", []),
    ):
        assert [one["id"] for one in lead.get(f"{PATH}?{query}").json()["results"]] == expected
    assert lead.get(f"{PATH}?refused_because=dull").status_code == 400


def test_a_lead_refuses_and_takes_back(lead, world, alice):
    where = f"{PATH}{world.paraphrase.pk}/decide/"
    answer = lead.post(where, {"keep": False}, format="json").json()
    assert (answer["kept"], answer["decision"], answer["decided_by"]) == (False, "refused", "alice")
    assert lead.post(where, {"keep": False}, format="json").status_code == 409
    assert lead.post(where, {"keep": True}, format="json").json()["kept"] is True
    assert lead.post(where, {}, format="json").status_code == 400
    Paraphrase.objects.update(refused_because="heldout", decision="", decided_by=None, decided_at=None)
    answer = lead.post(where, {"keep": True}, format="json")
    assert (answer.status_code, "stays refused" in answer.content.decode()) == (400, True)


def test_that_of_another_project_is_not_there(lead, world, project):
    other = type(project).objects.create(slug="other", name="Other")
    run = Run.objects.create(project=other, method="paraphrase", status="succeeded")
    theirs = Paraphrase.objects.create(run=run, prompt=a_prompt(other), index=0, text="x", nearness=0)
    assert lead.post(f"{PATH}{theirs.pk}/decide/", {"keep": False}, format="json").status_code == 404
    assert theirs.pk not in [one["id"] for one in lead.get(PATH).json()["results"]]
