"""Taking data out over the API: in a stream in any shape, and as files that are downloaded in parts."""

import csv
import io
import json

import pytest

from annotation import labelling
from annotation.exporting import files
from annotation.models import Event, Export, Membership, Project
from tests.annotation.making import a_comparison, first_is_better, lease

STREAM = "/api/v1/projects/desk/export/"
FILES = "/api/v1/projects/desk/exports/"


@pytest.fixture
def said(project, bob):
    a_comparison(project, ("one", "other"))
    return labelling.submit(assignment=lease(bob), said=first_is_better(strength=2))


def body(answer) -> bytes:
    assert answer.status_code in (200, 206), answer.content
    return b"".join(answer.streaming_content)


def test_a_shape_is_streamed(api, said, alice):
    answer = api(alice).get(STREAM, {"shape": "trl-margin"})
    assert answer["Content-Type"] == "application/x-ndjson"
    assert json.loads(body(answer))["margin"] == 0.5
    answer = api(alice).get(STREAM, {"shape": "csv", "names": "true"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["person"] for row in csv.DictReader(io.StringIO(body(answer).decode()))] == ["bob"]
    event = Event.objects.filter(verb="data exported").order_by("-id")[0]
    assert (event.actor, event.data["wanted"]) == (alice.person, {"names": True})


def test_a_part_is_asked_for_by_words_with_commas(api, said, alice):
    said.item.prompt.tags = ["tea"]
    said.item.prompt.language = "en"
    said.item.prompt.save()
    client = api(alice)
    assert body(client.get(STREAM, {"tags": "coffee, tea", "languages": "en,de"})).count(b"\n") == 1
    assert body(client.get(STREAM, {"tags": "coffee"})) == b""


@pytest.mark.parametrize(
    "asked",
    [
        {"shape": "excel"},
        {"shape": "parquet"},
        {"split": "dev"},
        {"minimum_agreement": "2"},
        {"shape": "trl-preference", "names": "true"},
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(api, said, alice, asked):
    answer = api(alice).get(STREAM, asked)
    assert answer.status_code == 400
    assert all(isinstance(why, str) for reasons in answer.json().values() for why in reasons)
    assert not Event.objects.filter(verb="data exported").exists()


def test_a_file_is_made_told_of_and_downloaded_in_parts(api, said, alice):
    client = api(alice)
    made = client.post(FILES, {"shape": "parquet", "kind": "comparison"}, format="json")
    assert made.status_code == 201
    told = made.json()
    assert (told["status"], told["rows"], told["by"]) == ("ready", 1, "alice")
    assert told["wanted"] == {"kind": "comparison"}
    assert client.get(f"{FILES}{told['id']}/").json() == told == client.get(FILES).json()["results"][0]
    whole = client.get(f"{FILES}{told['id']}/file/")
    assert whole["ETag"] == f'"{told["sha256"]}"'
    data = body(whole)
    part = client.get(f"{FILES}{told['id']}/file/", headers={"Range": "bytes=10-", "If-Range": whole["ETag"]})
    assert (part.status_code, body(part)) == (206, data[10:])
    assert client.get(f"{FILES}{told['id']}/file/", headers={"Accept": "*/*"}).status_code == 200
    assert client.delete(f"{FILES}{told['id']}/").status_code == 204
    assert client.get(f"{FILES}{told['id']}/file/").status_code == 404


def test_a_file_that_is_being_made_is_not_there_yet(api, said, alice, monkeypatch):
    monkeypatch.setattr(files, "AT_ONCE", 0)
    told = api(alice).post(FILES, {}, format="json").json()
    assert told["status"] == "waiting"
    answer = api(alice).get(f"{FILES}{told['id']}/file/")
    assert (answer.status_code, answer.json()) == (409, {"detail": "The file is being made; ask again."})


def test_without_a_token_nothing_goes_to_the_hub(api, said, alice):
    answer = api(alice).post(FILES, {"shape": "dataset", "repository": "team/desk"}, format="json")
    assert answer.status_code == 400
    assert "HF_TOKEN" in answer.json()["non_field_errors"][0]
    assert not Export.objects.exists()


def test_files_are_for_the_leads_of_their_project(api, said, alice, bob, charlie):
    told = api(alice).post(FILES, {"shape": "csv"}, format="json").json()
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=charlie, project=other, role="lead")
    for who, code in ((bob, 403), (charlie, 404), (None, 401)):
        for address in (STREAM, FILES, f"{FILES}{told['id']}/", f"{FILES}{told['id']}/file/"):
            assert api(who).get(address).status_code == code
        assert api(who).post(FILES, {"shape": "csv"}, format="json").status_code == code
        assert api(who).delete(f"{FILES}{told['id']}/").status_code == code
    for address in (f"{told['id']}/", f"{told['id']}/file/"):
        assert api(charlie).get(f"/api/v1/projects/other/exports/{address}").status_code == 404
    assert Export.objects.count() == 1
