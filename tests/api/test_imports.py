"""Imports over the API: sent, counted, started, stopped; never by others than leads."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotation import imports
from annotation.models import Import, Item, Prompt
from annotation.models.imports import Stage

NDJSON = "application/x-ndjson"
HERE = "/api/v1/projects/desk/imports/"
ROWS = b'{"prompt": "One?", "responses": ["a", "b"]}\n{"prompt": "Two?"}\n{\n'


@pytest.fixture
def lead(api, alice):
    return api(alice)


def test_a_file_is_brought_in_at_once_if_it_is_small(lead, project, alice):
    answer = lead.post(HERE, {"file": SimpleUploadedFile("rows.jsonl", ROWS)}, format="multipart")
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["shape"], made["status"], made["person"]) == (
        "rows.jsonl",
        "touchstone",
        "done",
        "alice",
    )
    assert (made["counts"]["added"], made["counts"]["comparisons"], made["rejected"], made["lines"]) == (2, 1, 1, 3)
    assert Prompt.objects.count() == 2
    assert lead.get(HERE).json()["results"] == [made]
    refused = lead.get(f"{HERE}{made['id']}/rejected/")
    assert json.loads(refused.getvalue())["rejected"].startswith("line 3: not JSON")


def test_json_lines_can_be_the_body_and_be_counted_first(lead, project):
    answer = lead.generic("POST", f"{HERE}?dry_run=true&name=mine.jsonl", ROWS, content_type=NDJSON)
    made = answer.json()
    assert (answer.status_code, made["name"], made["status"], made["dry_run"]) == (201, "mine.jsonl", "uploaded", True)
    assert (made["counts"]["added"], Prompt.objects.count()) == (2, 0)
    started = lead.post(f"{HERE}{made['id']}/start/", {}, format="json").json()
    assert (started["status"], started["dry_run"], started["counts"]["added"]) == ("done", False, 2)
    assert lead.post(f"{HERE}{made['id']}/start/", {}, format="json").status_code == 409


def test_a_mapping_names_columns(lead, project):
    row = SimpleUploadedFile("rows.jsonl", b'{"question": "Why?", "reply": "Because."}')
    sent = {"file": row, "shape": "touchstone", "mapping.prompt": "question", "mapping.completion": "reply"}
    assert lead.post(HERE, sent, format="multipart").json()["counts"]["demonstrations"] == 1
    made = lead.generic("POST", f"{HERE}?dry_run=true&shape=touchstone", b'{"question": "How?"}', content_type=NDJSON)
    answer = lead.post(f"{HERE}{made.json()['id']}/start/", {"mapping": {"prompt": "question"}}, format="json")
    assert (answer.json()["counts"]["added"], Prompt.objects.count()) == (1, 2)
    wrong = lead.generic("POST", f"{HERE}?dry_run=true&shape=touchstone", b'{"q": "Why?"}', content_type=NDJSON).json()
    answer = lead.post(f"{HERE}{wrong['id']}/start/", {"mapping": {"colour": "q"}}, format="json")
    assert answer.status_code == 400
    assert "no part called colour" in str(answer.json())


@pytest.mark.parametrize(
    ("body", "complaint"),
    [(b"", "Send a file"), (b'{"number": 7}', "Choose what kind of data")],
)
def test_what_cannot_be_imported_is_refused_and_not_kept(lead, project, body, complaint):
    answer = lead.generic("POST", HERE, body, content_type=NDJSON)
    assert answer.status_code == 400
    assert complaint in str(answer.json())
    assert not Import.objects.filter(status__in=[Stage.UPLOADED, Stage.WAITING]).exists()


def test_a_request_without_a_file_says_what_to_send(lead, project):
    answer = lead.post(HERE, {}, format="json")
    assert (answer.status_code, list(answer.json())) == (400, ["file"])
    answer = lead.post(HERE, {"hub": "no such name"}, format="json")
    assert answer.status_code == 400
    assert "owner/name" in str(answer.json())


def test_a_large_file_waits_for_a_worker_and_can_be_stopped(lead, project, monkeypatch):
    monkeypatch.setattr(imports, "SMALL", 10)
    made = lead.generic("POST", HERE, ROWS, content_type=NDJSON).json()
    assert (made["status"], made["done"], made["counts"]) == ("waiting", 0, None)
    stopped = lead.post(f"{HERE}{made['id']}/cancel/")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "cancelled")
    assert lead.post(f"{HERE}{made['id']}/cancel/").status_code == 409
    assert lead.post(f"{HERE}{made['id']}/retry/").status_code == 409
    imports.work(made["id"])
    assert not Item.objects.exists()


def test_annotators_bring_in_nothing(api, bob, project):
    for answer in (
        api(bob).generic("POST", HERE, ROWS, content_type=NDJSON),
        api(bob).post(HERE, {"file": SimpleUploadedFile("rows.jsonl", ROWS)}, format="multipart"),
    ):
        assert answer.status_code == 403
    assert not Import.objects.exists()
