"""The same request sent again with its Idempotency-Key is done once; and everything that could go wrong with that."""

import json
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from annotation import repeating
from annotation.models import KeptAnswer, Prompt, Team
from tests.api.test_access_keys import sent_with

TEAMS = "/api/v1/projects/desk/teams/"
LETTERS = {"name": "Letters", "tags": ["letter"]}


def send(client: Any, body: Any, key: str = "one", where: str = TEAMS) -> Any:
    return client.post(where, body, format="json", headers={"Idempotency-Key": key})


def test_a_request_sent_again_is_done_once_and_answered_alike(api, alice):
    first, second = (send(api(alice), LETTERS) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Team.objects.count() == 1


def test_another_request_with_the_key_is_refused(api, alice):
    assert send(api(alice), LETTERS).status_code == 201
    for body, where in (({"name": "Calls"}, TEAMS), (LETTERS, "/api/v1/projects/desk/prompts/")):
        answer = send(api(alice), body, where=where)
        assert answer.status_code == 422
        assert "another request" in answer.json()["detail"]
    assert Team.objects.count() == 1


def test_a_key_is_of_one_person(api, alice, member):
    dora = member("dora", "lead")
    assert send(api(alice), LETTERS).status_code == 201
    assert send(api(dora), LETTERS).status_code == 400  # the name is taken: it was tried, and not answered from store
    assert KeptAnswer.objects.get().person == alice.person


def test_a_refusal_is_not_kept(api, alice, bob):
    assert send(api(bob), LETTERS).status_code == 403
    assert send(api(alice), {}).status_code == 400
    assert not KeptAnswer.objects.exists()
    assert send(api(alice), LETTERS).status_code == 201


def test_lines_that_stream_in_are_read_once(api, alice, project):
    lines = "".join(json.dumps({"prompt": f"Question {n}?", "completion": "Yes."}) + "\n" for n in range(500))
    for _ in range(2):
        answer = api(alice).generic(
            "POST",
            "/api/v1/projects/desk/prompts/",
            lines,
            content_type="application/x-ndjson",
            headers={"Idempotency-Key": "import"},
        )
        assert answer.json()["added"] == 500
    assert Prompt.objects.count() == 500


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
def test_what_is_no_key(api, alice, key):
    assert send(api(alice), LETTERS, key).status_code == 400


def test_an_answer_that_is_a_secret_is_not_kept(api, alice):
    answer = send(api(alice), {"name": "x", "scopes": ["read"]}, where="/api/v1/access-keys/")
    assert answer.status_code == 400
    assert not KeptAnswer.objects.exists()


def test_reading_needs_none(api, alice):
    for _ in range(2):
        assert api(alice).get(TEAMS, headers={"Idempotency-Key": "one"}).status_code == 200
    assert not KeptAnswer.objects.exists()


def test_answers_are_kept_for_a_day(api, alice):
    assert send(api(alice), LETTERS).status_code == 201
    assert repeating.forget() == 0
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert send(api(alice), {"name": "Calls"}).status_code == 201  # before the schedule came by
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert repeating.forget() == 1


def test_what_was_not_committed_was_not_done(api, alice, monkeypatch):
    """A process that dies in the middle: neither the work nor the answer is there, and the key is free again."""
    client = api(alice)
    client.raise_request_exception = False

    def die(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(KeptAnswer.objects, "create", die)
        assert send(client, LETTERS).status_code == 500
    assert not Team.objects.exists()
    assert send(client, LETTERS).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_under_way_the_second_waits_for_nothing(api, alice):
    """The second comes while the first holds its key: another connection holds it here."""
    client = api(alice)
    answers = []

    def second() -> None:
        answers.append(send(client, LETTERS))
        connection.close()

    with transaction.atomic():
        assert repeating._hold(alice.person, "one")
        other = Thread(target=second)
        other.start()
        other.join()
    assert answers[0].status_code == 409
    assert send(client, LETTERS).status_code == 201


def test_a_session_may_use_it_too(client, alice):
    client.force_login(alice.person)
    for _ in range(2):
        answer = client.post(
            TEAMS, json.dumps(LETTERS), content_type="application/json", headers={"Idempotency-Key": "one"}
        )
        assert answer.status_code == 201
    assert Team.objects.count() == 1


def test_nobody_has_one(api, project):
    assert send(api(), LETTERS).status_code == 401
    assert send(sent_with("tst_wrong"), LETTERS).status_code == 401
