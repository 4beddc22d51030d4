"""Guessing and runaway scripts are slowed down; everybody else does not notice."""

import pytest
from django.test import RequestFactory

from config import limits
from config.limits import Everybody, Limit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again_at_its_rate():
    clock = Clock()
    limit = Limit(60, clock=clock)
    assert [limit.wait("bob") for _ in range(60)] == [0.0] * 60
    assert limit.wait("bob") == pytest.approx(1.0)
    clock.now += 1.5
    assert limit.wait("bob") == 0.0
    assert limit.wait("bob") == pytest.approx(0.5)


def test_one_who_waits_long_has_no_more_than_a_full_bucket():
    clock = Clock()
    limit = Limit(3, clock=clock)
    limit.wait("bob")
    clock.now += 3600
    assert [limit.wait("bob") > 0 for _ in range(4)] == [False, False, False, True]


def test_one_does_not_use_up_what_is_another_s():
    limit = Limit(1, clock=Clock())
    assert (limit.wait("bob"), limit.wait("bea")) == (0.0, 0.0)
    assert limit.wait("bob") > 0


def test_what_is_full_again_is_forgotten_and_what_is_not_is_kept(monkeypatch):
    monkeypatch.setattr(limits, "MOST_KEPT", 10)
    clock = Clock()
    limit = Limit(1, clock=clock)
    for number in range(10):
        limit.wait(f"stranger {number}")
    clock.now += 59
    limit.wait("bob")
    clock.now += 2
    limit.wait("bea")
    assert set(limit._buckets) == {"bob", "bea"}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "6.6.6.6", "10.0.0.9"),  # nobody is before us: what a client says of itself counts for nothing
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.8", "1.2.3.4"),
        (1, "", ""),
    ],
)
def test_an_address_is_what_our_own_proxy_saw(settings, proxies, forwarded, expected):
    settings.PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.9", HTTP_X_FORWARDED_FOR=forwarded)
    assert limits.address(request) == expected


def test_guessing_passwords_ends_with_429_and_says_when_to_go_on(api, bob, monkeypatch):
    monkeypatch.setattr(Everybody, "strangers", Limit(3, clock=Clock()))
    said = {"username": "bob", "password": "guess"}
    answers = [api().post("/api/v1/token/", said, format="json") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert int(answers[-1]["Retry-After"]) == 20
    assert "20 seconds" in answers[-1].json()["detail"]


def test_a_person_has_a_bucket_of_their_own(api, bob, alice, monkeypatch):
    monkeypatch.setattr(Everybody, "people", Limit(2, clock=Clock()))
    clients = api(bob), api(alice)
    assert [clients[0].get("/api/v1/projects/").status_code for _ in range(3)] == [200, 200, 429]
    assert clients[1].get("/api/v1/projects/").status_code == 200


def test_the_page_asks_to_wait_too_and_does_not_look_at_what_was_sent(client, bob, monkeypatch):
    page = "/sign-in/"
    monkeypatch.setattr(Everybody, "strangers", Limit(2, clock=Clock()))
    said = {"username": "bob", "password": "guess"}
    assert [client.post(page, said).status_code for _ in range(2)] == [200, 200]
    answer = client.post(page, {**said, "password": "bob-has-a-secret"})
    assert answer.status_code == 429
    assert answer["Retry-After"] == "30"
    assert b"in 30 seconds" in answer.content
    assert client.get("/").status_code == 302


def test_whoever_waited_signs_in(client, bob, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(Everybody, "strangers", Limit(1, clock=clock))
    said = {"username": "bob", "password": "bob-has-a-secret"}
    assert client.post("/sign-in/", {**said, "password": "guess"}).status_code == 200
    assert client.post("/sign-in/", said).status_code == 429
    clock.now += 61
    assert client.post("/sign-in/", said).status_code == 302


@pytest.mark.parametrize("body", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_beyond_all_reason_is_refused(api, bob, body):
    answer = api(bob).post("/api/v1/projects/desk/next/", body, content_type="application/json")
    assert answer.status_code == 400
    assert "nested too deeply" in answer.json()["detail"]


def test_a_body_that_is_too_large_is_refused(api, bob, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = api(bob).post("/api/v1/projects/desk/next/", {"kind": "a" * 1001}, format="json")
    assert answer.status_code == 400
