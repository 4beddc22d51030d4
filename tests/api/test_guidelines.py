"""Guidelines, one's own work and overlap over the API."""

import uuid

from annotation.guidelines import publish
from annotation.models import Item, Label
from tests.annotation.making import a_comparison, a_demonstration

DESK = "/api/v1/projects/desk/"


def test_a_lead_publishes_and_people_say_that_they_have_read(api, project, bob, alice):
    sent = {"text": "# Be brief", "note": "Shorter."}
    made = api(alice).post(DESK + "guidelines/", sent, format="json")
    assert (made.status_code, made.json()["number"], made.json()["author"]) == (201, 2, "alice")
    assert api(bob).post(DESK + "guidelines/", sent, format="json").status_code == 403
    found = api(bob).get(DESK).json()
    assert (found["guidelines"], found["guidelines_number"], found["guidelines_unread"]) == ("# Be brief", 2, True)
    assert api(bob).post(DESK + "guidelines/2/read/").status_code == 204
    assert api(bob).post(DESK + "guidelines/3/read/").status_code == 404
    assert api(bob).get(DESK).json()["guidelines_unread"] is False
    assert [one["number"] for one in api(bob).get(DESK + "guidelines/").json()["results"]] == [2, 1]


def test_what_was_written_after_an_older_version_is_refused(api, project, alice):
    def send(after):
        return api(alice).post(DESK + "guidelines/", {"text": f"# After {after}", "after": after}, format="json")

    assert send(after=1).status_code == 201
    assert (send(after=1).status_code, send(after=0).status_code) == (201, 409)  # the same text again changes nothing
    assert project.guidelines == "# After 1"
    assert send(after=2).status_code == 201


def test_next_does_not_wait_for_reading_and_the_label_says_what_was_read(api, project, bob):
    publish(project=project, text="# Be brief")
    a_comparison(project)
    shown = api(bob).post(DESK + "next/", {"kind": "comparison"}, format="json").json()["assignment"]
    said = {"client_uuid": str(uuid.uuid4()), "ranks": [1, 2]}
    answer = api(bob).post(f"/api/v1/assignments/{shown['id']}/submit/", said, format="json").json()
    assert answer["label"]["guidelines"] == 1
    assert Label.objects.get().guidelines.number == 1  # the one before that which asks to be read


def test_one_reads_ones_own_work(api, project, bob, bea):
    a_comparison(project)
    shown = api(bob).post(DESK + "next/", {"kind": "comparison"}, format="json").json()["assignment"]
    said = {"client_uuid": str(uuid.uuid4()), "ranks": [1, 2], "seconds": 30}
    api(bob).post(f"/api/v1/assignments/{shown['id']}/submit/", said, format="json")
    mine = api(bob).get(DESK + "me/").json()
    assert (mine["today"], mine["total"], mine["per_hour"], mine["gold"]) == (1, 1, 120, None)
    assert len(mine["days"]) == 14
    assert api(bea).get(DESK + "me/").json()["total"] == 0


def test_a_lead_asks_more_people_about_a_part(api, project, alice):
    pair, draft = a_comparison(project), a_demonstration(project)
    pair.prompt.tags, pair.prompt.language = ["hard"], "fr"
    pair.prompt.save()
    client = api(alice)
    assert client.post(DESK + "overlap/", {"people": 2, "tag": "easy"}, format="json").json() == {"items": 0}
    assert client.post(DESK + "overlap/", {"people": 2, "tag": "hard", "language": "fr"}, format="json").json() == {
        "items": 1
    }
    assert client.post(DESK + "overlap/", {"people": 3, "kind": "demonstration"}, format="json").json() == {"items": 1}
    assert [Item.objects.get(pk=item.pk).wanted for item in (pair, draft)] == [2, 3]
    assert client.post(DESK + "overlap/", {"people": 0}, format="json").status_code == 400
