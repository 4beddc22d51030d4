"""Bringing prompts in, as JSON Lines or as a list, and reading them."""

import json

import pytest

from annotation.models import Event, Item, Prompt

URL = "/api/v1/projects/desk/prompts/"
ROWS = [
    {"prompt": "Where is my parcel?", "completion": "On its way."},
    {"prompt": "May I return it?", "responses": ["Yes.", "No.", "Perhaps."]},
    {"prompt": "Hello?", "tags": ["greeting"], "language": "en"},
]


def ndjson(*lines):
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)


def send(client, body):
    return client.generic("POST", URL, body, content_type="application/x-ndjson")


def test_lines_become_prompts_and_items(api, alice):
    answer = send(api(alice), ndjson(*ROWS))
    assert answer.status_code == 200
    assert answer.json() == {
        "added": 3,
        "known": 0,
        "prompts": 3,
        "responses": 4,
        "demonstrations": 1,
        "comparisons": 1,
        "gold": 0,
        "labels": 0,
        "rejected": [],
    }
    assert Item.objects.count() == 2
    assert Event.objects.get(verb="data imported").actor == alice.person


def test_the_same_lines_again_add_nothing(api, alice):
    send(api(alice), ndjson(*ROWS))
    answer = send(api(alice), ndjson(*ROWS)).json()
    assert (answer["added"], answer["known"], answer["prompts"]) == (0, 3, 0)


def test_a_bad_line_is_named_and_stops_nothing(api, alice):
    answer = send(api(alice), ndjson(ROWS[0], "{not json", '"text"', {"completion": "To what?"}, ROWS[1])).json()
    assert answer["added"] == 2
    assert [one["line"] for one in answer["rejected"]] == [2, 3, 4]
    assert answer["rejected"][2]["reason"] == 'needs "messages" or "prompt"'


def test_bytes_that_are_not_text_are_a_bad_line(api, alice):
    answer = send(api(alice), b'\xff\xfe\n{"prompt": "Hello?"}\n').json()
    assert (answer["added"], answer["rejected"]) == (1, [{"line": 1, "reason": "not UTF-8 text"}])


def test_a_list_of_the_same_rows_does_too(api, alice):
    answer = api(alice).post(URL, [*ROWS, 7], format="json").json()
    assert answer["added"] == 3
    assert answer["rejected"] == [{"line": 4, "reason": "not a JSON object"}]


@pytest.mark.parametrize("body", [{"prompt": "Hello?"}, {}])
def test_one_object_is_no_list(api, alice, body):
    answer = api(alice).post(URL, body, format="json")
    assert answer.status_code == 400
    assert "list" in answer.json()["non_field_errors"][0]


def test_nothing_sent_is_refused(api, alice):
    assert send(api(alice), "").status_code == 400
    assert api(alice).generic("POST", URL, "{broken", content_type="application/json").status_code == 400
    assert api(alice).generic("POST", URL, "prompt", content_type="text/csv").status_code == 415


def test_an_annotator_brings_nothing_in(api, bob):
    assert send(api(bob), ndjson(*ROWS)).status_code == 403
    assert not Prompt.objects.exists()


def test_prompts_come_in_pages_newest_first(api, alice):
    send(api(alice), ndjson(*({"prompt": f"Question {n}?"} for n in range(5))))
    page = api(alice).get(URL, {"page_size": 2}).json()
    seen = [one["id"] for one in page["results"]]
    while page["next"]:
        page = api(alice).get(page["next"]).json()
        seen += [one["id"] for one in page["results"]]
    assert seen == sorted(Prompt.objects.values_list("pk", flat=True), reverse=True)


def test_prompts_can_be_asked_for_by_split(api, alice):
    send(api(alice), ndjson(*({"prompt": f"Question {n}?"} for n in range(20))))
    heldout = api(alice).get(URL, {"split": "heldout"}).json()["results"]
    assert {one["split"] for one in heldout} == {"heldout"}
    assert len(heldout) == Prompt.objects.heldout().count()
    assert api(alice).get(URL, {"split": "secret"}).status_code == 400
