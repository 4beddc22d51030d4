"""Lists come in pages by cursor; whoever accepts JSON Lines is sent all of it in one stream."""

import json
from typing import Any

import pytest
import yaml

from annotation import endpoints, talk
from annotation.models import Prompt
from tests.annotation.making import a_demonstration, a_prompt, lease
from tests.api.test_documentation import KEPT

LINES = {"Accept": "application/x-ndjson"}
PROMPTS = "/api/v1/projects/desk/prompts/"
# Endpoints that answer with a list as it is, and why.
WHOLE = {"which_method": "a few steps, made up on the spot"}


def lines_of(answer: Any) -> list[Any]:
    assert answer["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_every_list_comes_in_pages():
    document = yaml.safe_load(KEPT.read_text())
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation["responses"].get("200", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            if schema.get("type") == "array":
                assert operation["operationId"] in WHOLE, path


def test_all_pages_and_all_lines_are_the_same_rows(api, alice, project, monkeypatch):
    monkeypatch.setattr(endpoints, "ROWS_AT_ONCE", 3)
    for number in range(7):
        a_prompt(project, f"Question {number}?")
    client = api(alice)
    rows, page = [], client.get(f"{PROMPTS}?page_size=2").json()
    while True:
        rows += page["results"]
        if page["next"] is None:
            break
        page = client.get(page["next"]).json()
    assert len(rows) == Prompt.objects.count() == 7
    assert lines_of(client.get(PROMPTS, headers=LINES)) == rows


def test_lines_can_be_filtered_and_are_for_those_who_may(api, alice, bob, project):
    a_prompt(project, split="heldout")
    a_prompt(project, split="train")
    assert len(lines_of(api(alice).get(f"{PROMPTS}?split=heldout", headers=LINES))) == 1
    for who, status in ((bob, 403), (None, 401)):
        answer = api(who).get(PROMPTS, headers=LINES)
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/json"
        assert list(answer.json()) == ["detail"]


def test_what_is_no_list_stays_json(api, bob):
    answer = api(bob).get("/api/v1/projects/desk/", headers=LINES)
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["slug"] == "desk"


def test_lists_whose_rows_are_made_up_stream_too(api, alice, world):
    for path in ("people/", "gold/", "invitations/", "models/", "consensus/", "paused/"):
        where = f"/api/v1/projects/desk/{path}"
        assert lines_of(api(alice).get(where, headers=LINES)) == api(alice).get(where).json()["results"]
    assert lines_of(api(alice).get("/api/v1/projects/", headers=LINES))[0]["slug"] == "desk"


@pytest.mark.parametrize("accept", [{}, LINES])
def test_a_thread_is_read_from_its_beginning(api, alice, bob, project, accept):
    a_demonstration(project)
    held = lease(bob, "demonstration")
    for text in ("First.", "Second.", "Third."):
        talk.comment(item=held.item, author=bob, text=text)
    answer = api(bob).get(f"/api/v1/assignments/{held.pk}/comments/", headers=accept)
    rows = lines_of(answer) if accept else answer.json()["results"]
    assert [row["text"] for row in rows] == ["First.", "Second.", "Third."]
