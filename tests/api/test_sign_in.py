"""A token for a name and a password."""

import pytest


def test_a_token_opens_the_api(api, bob):
    answer = api().post("/api/v1/token/", {"username": "bob", "password": "bob-has-a-secret"}, format="json")
    assert answer.status_code == 200
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    assert client.get("/api/v1/projects/").status_code == 200


def test_it_is_the_same_token_every_time(api, bob):
    said = {"username": "bob", "password": "bob-has-a-secret"}
    first, second = (api().post("/api/v1/token/", said, format="json").json() for _ in range(2))
    assert first == second


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
