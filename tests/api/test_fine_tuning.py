"""Fine-tuning over HTTP, where the official client does not go: odd requests, and the shape of refusals."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.training.making import a_model

BASE = "/api/v1/projects/desk/openai/v1/"


@pytest.fixture
def lead(api, world, alice):
    return api(alice)


def create(lead, world, **more):
    body = {"model": "base", "training_file": world.job.training_file.key, **more}
    return lead.post(f"{BASE}fine_tuning/jobs", body, format="json")


@pytest.mark.parametrize(
    "path", ["files/a%00b", "files/a%00b/content", "fine_tuning/jobs/%00", "models/a%00b", "models/a/b"]
)
def test_names_that_no_row_can_have_are_not_found(lead, path):
    answer = lead.get(BASE + path)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 10**400}}}}, "method."),
        ({"hyperparameters": {"learning_rate_multiplier": True}}, "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size"),
        ({"metadata": {"a\0": "b"}}, "metadata"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"seed": -1}, "seed"),
        ({"model": "reward"}, "model"),
        ({"training_file": None}, "training_file"),
    ],
)
def test_odd_values_are_named(lead, world, project, more, param):
    a_model(project, "reward", kind="reward")
    answer = create(lead, world, **more)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)


def test_a_job_of_another_project_s_file_or_model_is_not_made(lead, world, project):
    from annotation.models import Project
    from training import files

    other = Project.objects.create(slug="other", name="Other")
    theirs = files.keep(project=other, name="a", parts=[b"{}"])
    a_model(other, "theirs")
    assert create(lead, world).status_code == 200
    assert create(lead, world, training_file=theirs.key).json()["error"]["code"] == "file_not_found"
    assert create(lead, world, model="theirs").json()["error"]["code"] == "model_not_found"
    assert lead.get(f"{BASE}files/{theirs.key}").status_code == 404


def test_a_file_is_for_fine_tuning_and_has_something_in_it(lead, world):
    def send(content: bytes, purpose: str = "fine-tune") -> int:
        file = SimpleUploadedFile("a\0b.jsonl", content)
        return lead.post(f"{BASE}files", {"file": file, "purpose": purpose}, format="multipart").status_code

    assert send(b"{}") == 200
    assert send(b"") == 400
    assert send(b"{}", purpose="vision") == 400
    assert lead.post(f"{BASE}files", {"purpose": "fine-tune"}, format="multipart").status_code == 400


def test_whatever_a_client_accepts_it_gets_json(lead):
    answer = lead.get(f"{BASE}models", HTTP_ACCEPT="application/binary")
    assert answer.json()["object"] == "list"


def test_a_key_may_be_called_bearer_or_token_and_a_wrong_one_opens_nothing(client, api, world, alice):
    key = api(alice)._credentials["HTTP_AUTHORIZATION"].split()[1]
    for word, status in (("Bearer", 200), ("Token", 200)):
        assert client.get(f"{BASE}models", HTTP_AUTHORIZATION=f"{word} {key}").status_code == status
    answer = client.get(f"{BASE}models", HTTP_AUTHORIZATION="Bearer wrong")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_list_after_a_row_that_is_not_there_is_refused(lead):
    for path in ("files", "fine_tuning/jobs"):
        assert lead.get(f"{BASE}{path}?after=nothing").json()["error"]["param"] == "after"
        assert lead.get(f"{BASE}{path}?limit=0").json()["error"]["param"] == "limit"
