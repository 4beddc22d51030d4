"""An access key for a name and a password."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import accesskeys


def test_a_token_opens_the_api(api, bob):
    answer = api().post("/api/v1/token/", {"username": "bob", "password": "bob-has-a-secret"}, format="json")
    assert answer.status_code == 200
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    assert client.get("/api/v1/projects/").status_code == 200


def test_each_time_there_is_a_new_one_and_the_newest_go_on_working(api, bob, monkeypatch):
    monkeypatch.setattr(accesskeys, "MOST_SIGN_INS", 2)
    said = {"username": "bob", "password": "bob-has-a-secret"}
    secrets = [api().post("/api/v1/token/", said, format="json").json()["token"] for _ in range(3)]
    assert [accesskeys.holder(secret) is not None for secret in secrets] == [False, True, True]


def test_it_opens_what_was_asked_for_and_ends(api, bob):
    said = {"username": "bob", "password": "bob-has-a-secret"}
    answer = api().post("/api/v1/token/", {**said, "scopes": ["read"], "days": 1}, format="json").json()
    key = accesskeys.holder(answer["token"])
    assert key is not None
    assert (key.scopes, answer["scopes"]) == (["read"], ["read"])
    assert key.expires_at < timezone.now() + timedelta(days=1)
    assert api().post("/api/v1/token/", {**said, "scopes": ["all"]}, format="json").status_code == 400


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"username": "bob", "password": "guess"}, "non_field_errors"),
        ({"username": "nobody", "password": "guess"}, "non_field_errors"),
        ({"username": "bob"}, "password"),
        ({"username": "bob\x00", "password": "guess"}, "username"),
        ({}, "username"),
    ],
)
def test_without_the_password_there_is_none(api, bob, said, field):
    answer = api().post("/api/v1/token/", said, format="json")
    assert answer.status_code == 400
    assert field in answer.json()


def test_somebody_who_has_left_gets_none(api, bob):
    bob.person.is_active = False
    bob.person.save()
    said = {"username": "bob", "password": "bob-has-a-secret"}
    assert api().post("/api/v1/token/", said, format="json").status_code == 400


def test_a_made_up_token_opens_nothing(api, bob):
    client = api()
    client.credentials(HTTP_AUTHORIZATION="Token 0123456789")
    assert client.get("/api/v1/projects/").status_code == 401
