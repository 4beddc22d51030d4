"""Webhooks over the API: the secret is told once, what may be changed, and what is refused."""

import pytest

from annotation.models import Delivery, Webhook

HOOKS = "/api/v1/projects/desk/webhooks/"
SAID = {"url": "https://hooks.example/", "groups": ["rounds", "runs"]}


def test_the_secret_is_told_once(api, alice, project):
    client = api(alice)
    made = client.post(HOOKS, SAID, format="json")
    assert made.status_code == 201
    assert made.json()["secret"] == Webhook.objects.get().secret
    assert made.json()["groups"] == ["runs", "rounds"]
    where = f"{HOOKS}{made.json()['id']}/"
    for answer in (client.get(where).json(), client.get(HOOKS).json()["results"][0]):
        assert "secret" not in answer
    renewed = client.post(f"{where}secret/").json()["secret"]
    assert renewed == Webhook.objects.get().secret != made.json()["secret"]


@pytest.mark.parametrize(
    "wrong",
    [{"url": "http://hooks.example/"}, {"url": "https://me:x@hooks.example/"}, {"groups": []}, {"groups": ["all"]}],
)
def test_what_cannot_be_one_is_refused(api, alice, project, wrong):
    assert api(alice).post(HOOKS, {**SAID, **wrong}, format="json").status_code == 400
    assert not Webhook.objects.exists()
    made = api(alice).post(HOOKS, SAID, format="json").json()
    assert api(alice).patch(f"{HOOKS}{made['id']}/", wrong, format="json").status_code == 400
    assert Webhook.objects.get().url == SAID["url"]


def test_what_was_sent_can_be_read_and_sent_again(api, alice, world):
    where = f"{HOOKS}{world.webhook.pk}/"
    Delivery.objects.update(state="failed", attempts=9, status_code=500, answer="broken")
    row = api(alice).get(f"{where}deliveries/").json()["results"][0]
    assert (row["state"], row["status_code"], row["next_try_at"]) == ("failed", 500, None)
    again = api(alice).post(f"{where}deliveries/{row['id']}/send/").json()
    assert (again["state"], again["attempts"], again["message_id"]) == ("waiting", 0, row["message_id"])
    assert again["next_try_at"]


def test_one_that_is_off_is_not_pinged(api, alice, world):
    where = f"{HOOKS}{world.webhook.pk}/"
    assert api(alice).patch(where, {"active": False}, format="json").json()["active"] is False
    before = Delivery.objects.count()
    assert api(alice).post(f"{where}ping/").status_code == 400
    assert Delivery.objects.count() == before


def test_its_deliveries_are_its_own(api, alice, world):
    made = api(alice).post(HOOKS, SAID, format="json").json()
    assert api(alice).get(f"{HOOKS}{made['id']}/deliveries/").json()["results"] == []
    other = f"{HOOKS}{made['id']}/deliveries/{world.delivery.pk}/send/"
    assert api(alice).post(other).status_code == 404
