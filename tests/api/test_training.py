"""Snapshots, runs, models, sampling; and the way from an answer to its labels and back."""

import pytest
from django_q.models import OrmQ

from annotation import labelling
from annotation.models import Project
from tests.annotation.making import a_prompt
from training.models import ModelVersion, Run, Snapshot

DESK = "/api/v1/projects/desk/"


@pytest.fixture
def lead(api, alice):
    return api(alice)


def post(client, path, **body):
    return client.post(DESK + path, body, format="json")


@pytest.fixture
def elsewhere(db):
    """A model and a snapshot of another project."""
    other = Project.objects.create(slug="other", name="Other")
    model = ModelVersion.objects.create(project=other, name="theirs", kind="policy", format="full", location="x")
    return model, Snapshot.objects.create(project=other, kind="demonstrations", rule={}, sha256="0" * 64, folder="x")


# Snapshots


def test_labels_are_frozen_once(world, lead):
    first = post(lead, "snapshots/", kind="demonstrations")
    assert first.status_code == 201
    assert first.json()["id"] == world.snapshot.pk
    assert first.json()["counts"]["rows"] == 1
    preferences = post(lead, "snapshots/", kind="preferences", rule={"edits_as_preferences": False})
    assert preferences.json()["counts"]["labels"] == 1
    assert lead.get(f"{DESK}snapshots/{world.snapshot.pk}/").json() == first.json()
    assert [one["kind"] for one in lead.get(DESK + "snapshots/").json()["results"]] == ["preferences", "demonstrations"]


def test_nothing_to_freeze_is_a_conflict(project, lead):
    answer = post(lead, "snapshots/", kind="preferences")
    assert answer.status_code == 409
    assert "No comparison" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "essays"}, "kind"),
        ({"kind": "preferences", "rule": {"simulate": True}}, "rule"),
        ({"kind": "preferences", "rule": {"minimum_agreement": 2}}, "rule"),
        ({"kind": "preferences", "rule": []}, "rule"),
    ],
)
def test_a_rule_must_be_one(project, lead, body, field):
    answer = post(lead, "snapshots/", **body)
    assert answer.status_code == 400
    assert field in answer.json()


# Runs


def test_a_run_is_queued_and_a_worker_woken(world, lead, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(
            lead,
            "runs/",
            method="sft",
            snapshot=world.snapshot.pk,
            base=world.base.pk,
            settings={"epochs": 1},
            seed=3,
        )
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["seed"], made["created_by"]) == ("queued", 3, "alice")
    assert made["base"] == {"id": world.base.pk, "name": "base"}
    assert made["settings"]["epochs"] == 1
    assert made["settings"]["lora_rank"] == 16
    assert Run.objects.get(pk=made["id"]).created_by == alice.person
    assert OrmQ.objects.filter(key="gpu").count() == 1
    assert lead.get(DESK + "runs/").json()["results"][0]["id"] == made["id"]


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"settings": {"epoch": 1}}, "non_field_errors", "epoch"),
        ({"settings": {"epochs": -1}}, "non_field_errors", "epochs"),
        ({"settings": [1]}, "settings", "dictionary"),
        ({"method": "dpo"}, "non_field_errors", "preferences"),
        ({"method": "generate"}, "method", "valid choice"),
        ({"method": "convert"}, "method", "valid choice"),
        ({"base": 0}, "base", "does not exist"),
        ({"base": None}, "base", "null"),
        ({"seed": -1}, "seed", "greater"),
        ({"seed": 2**31}, "seed", "less"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(world, lead, changes, field, sentence):
    before = Run.objects.count()
    body = {"method": "sft", "snapshot": world.snapshot.pk, "base": world.base.pk, **changes}
    answer = post(lead, "runs/", **body)
    assert answer.status_code == 400
    assert sentence in str(answer.json()[field])
    assert Run.objects.count() == before


def test_rows_of_another_project_are_not_there(world, lead, elsewhere):
    model, snapshot = elsewhere
    answer = post(lead, "runs/", method="sft", snapshot=snapshot.pk, base=model.pk)
    assert answer.status_code == 400
    assert set(answer.json()) == {"snapshot", "base"}
    unknown = post(lead, "runs/", method="sft", snapshot=99999, base=99999).json()
    assert str(answer.json()).replace(str(model.pk), "").replace(str(snapshot.pk), "") == str(unknown).replace(
        "99999", ""
    )
    assert post(lead, "generations/", model=model.pk, split="train").status_code == 400


def test_a_curve_is_read_from_where_one_was(world, lead):
    url = f"{DESK}runs/{world.run.pk}/metrics/"
    assert [one["step"] for one in lead.get(url).json()["points"]] == [1, 2]
    found = lead.get(url, {"after": 1}).json()
    assert found == {"status": "failed", "step": 2, "total": 2, "points": [{"step": 2, "values": {"loss": 0.0}}]}
    assert lead.get(url, {"after": "x"}).status_code == 400


def test_a_run_may_freeze_first_and_start_from_production(world, lead):
    made = post(lead, "runs/", method="sft")
    assert made.status_code == 201, made.content
    assert (made.json()["snapshot"], made.json()["base"]["name"]) == (world.snapshot.pk, "base")
    made = post(lead, "runs/", method="dpo", rule={"edits_as_preferences": False})
    assert Snapshot.objects.get(pk=made.json()["snapshot"]).rule["edits_as_preferences"] is False


def test_nothing_to_freeze_starts_nothing(project, lead):
    ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", stage="production", location="base"
    )
    answer = post(lead, "runs/", method="dpo")
    assert answer.status_code == 400
    assert "No comparison" in answer.json()["non_field_errors"][0]
    assert not Run.objects.exists()


def test_a_run_is_retried_and_cancelled(world, lead):
    url = f"runs/{world.run.pk}/"
    assert post(lead, url + "cancel/").status_code == 409
    assert post(lead, url + "retry/").json()["status"] == "queued"
    assert post(lead, url + "retry/").status_code == 409
    assert post(lead, url + "cancel/").json()["status"] == "cancelled"


# Models


def test_a_model_says_who_made_it(world, lead):
    found = lead.get(f"{DESK}models/{world.tuned.pk}/").json()
    assert [(one["name"], one["method"], one["snapshot"]) for one in found["ancestry"]] == [
        ("tuned", "sft", world.snapshot.pk),
        ("base", None, None),
    ]
    assert (found["labels"], found["people"]) == (1, [{"person": "bob", "labels": 1}])
    assert found["judged_answers"] == 1
    assert [one["name"] for one in lead.get(DESK + "models/").json()["results"]] == ["tuned", "base"]


def test_a_model_is_promoted_and_back(world, lead):
    answer = post(lead, f"models/{world.tuned.pk}/promote/", reason="wins")
    assert (answer.status_code, answer.json()["stage"]) == (200, "production")
    assert lead.get(f"{DESK}models/{world.base.pk}/").json()["stage"] == "retired"
    assert post(lead, f"models/{world.base.pk}/promote/").json()["stage"] == "production"


def test_a_reward_model_is_not_promoted(world, lead):
    ModelVersion.objects.filter(pk=world.tuned.pk).update(kind="reward")
    answer = post(lead, f"models/{world.tuned.pk}/promote/")
    assert answer.status_code == 400
    assert answer.json()["non_field_errors"] == ["Only a policy can be promoted."]


def test_importing_a_model_is_a_run(world, lead):
    answer = post(lead, "models/", name="smol", source="some/model")
    assert (answer.status_code, answer.json()["method"]) == (201, "convert")
    assert Run.objects.get(pk=answer.json()["id"]).inputs == {"source": "some/model", "name": "smol"}
    assert "base" in post(lead, "models/", name="base", source="some/model").json()["non_field_errors"][0]
    for path in ("/etc", str(world.base.path), "training/recipes", "../other/model"):
        assert "superusers" in post(lead, "models/", name="sly", source=path).json()["non_field_errors"][0]
    assert set(post(lead, "models/").json()) == {"name", "source"}


# Sampling


def test_a_model_answers_prompts_by_id_or_split(world, lead, project):
    heldout = a_prompt(project, split="heldout")
    answer = post(lead, "generations/", model=world.base.pk, prompts=[world.prompt.pk], settings={"top_p": 0.5})
    assert (answer.status_code, answer.json()["method"]) == (201, "generate")
    run = Run.objects.get(pk=answer.json()["id"])
    assert run.inputs["prompts"] == [{"id": world.prompt.pk, "messages": world.prompt.messages}]
    assert run.settings["top_p"] == 0.5
    split = post(lead, "generations/", model=world.base.pk, split="heldout").json()
    assert [one["id"] for one in Run.objects.get(pk=split["id"]).inputs["prompts"]] == [heldout.pk]
    listed = lead.get(DESK + "generations/").json()["results"]
    assert [(one["model"]["name"], one["answers"]) for one in listed] == [("tuned", 1), ("base", 1)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "non_field_errors"),
        ({"split": "train", "prompts": [1]}, "non_field_errors"),
        ({"split": "heldout"}, "non_field_errors"),
        ({"split": "secret"}, "split"),
        ({"prompts": []}, "non_field_errors"),
        ({"split": "train", "pairs_per_prompt": -1}, "pairs_per_prompt"),
        ({"prompts": [2**63 - 1]}, "prompts"),
        ({"prompts": [2**70]}, "prompts"),
        ({"split": "train", "settings": {"temperature": 0}}, "non_field_errors"),
        ({"split": "train", "settings": {"temprature": 1}}, "non_field_errors"),
    ],
)
def test_sampling_that_does_not_fit_is_refused(world, lead, body, field):
    before = Run.objects.count()
    answer = post(lead, "generations/", model=world.base.pk, **body)
    assert answer.status_code == 400
    assert field in answer.json()
    assert Run.objects.count() == before


# Lineage


def test_one_answer_is_walked_back_to_its_labels(world, lead):
    found = lead.get(f"{DESK}responses/{world.new_answer.pk}/lineage/").json()
    (generation,) = found["generations"]
    assert generation["model"]["name"] == "tuned"
    assert [one["snapshot"] for one in generation["model"]["ancestry"]] == [world.snapshot.pk, None]
    assert generation["model"]["labels"] == [world.first_label.pk]
    assert generation["model"]["people"] == [{"person": "bob", "labels": 1}]


def test_an_answer_of_the_base_model_has_no_labels_behind_it(world, lead):
    (generation,) = lead.get(f"{DESK}responses/{world.old_answer.pk}/lineage/").json()["generations"]
    assert (generation["model"]["name"], generation["model"]["labels"]) == ("base", [])


def test_an_edit_names_what_was_edited(world, lead):
    edited = world.first_label.response
    found = lead.get(f"{DESK}responses/{edited.pk}/lineage/").json()
    assert (found["edited_from"], found["generations"]) == (edited.edited_from_id, [])


def test_a_model_leads_to_the_labels_on_its_answers(world, lead, alice):
    url = f"{DESK}models/{world.tuned.pk}/answers/"
    (answer,) = lead.get(url, {"judged": "true"}).json()["results"]
    assert answer["text"] == "The new answer."
    assert answer["labels"] == [{"id": world.label.pk, "item": world.label.item_id, "person": "bob"}]
    labelling.retract(label=world.label, actor=alice)
    assert lead.get(url, {"judged": "true"}).json()["results"] == []
    (answer,) = lead.get(url, {"judged": "false"}).json()["results"]
    assert answer["labels"] == []
