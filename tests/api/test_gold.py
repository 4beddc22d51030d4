"""Gold, its rules and paused people over the API."""

import uuid

import pytest

from annotation import pausing
from annotation.models import Gold, Item, Membership, Project
from tests.annotation.making import a_comparison, asked
from tests.annotation.test_gold import golden

DESK = "/api/v1/projects/desk/"


def submit(client, assignment, **said):
    return client.post(
        f"/api/v1/assignments/{assignment.pk}/submit/", {"client_uuid": str(uuid.uuid4()), **said}, format="json"
    )


def test_a_lead_makes_changes_and_takes_back_gold(api, project, alice):
    item = a_comparison(project)
    first, second = item.responses.all()
    client = api(alice)
    made = client.post(DESK + "gold/", {"item": item.pk, "ranks": {first.pk: 1, second.pk: 2}}, format="json")
    assert made.status_code == 201
    assert made.json()["ranks"] == {str(first.pk): 1, str(second.pk): 2}
    address = f"{DESK}gold/{made.json()['id']}/"
    changed = client.patch(address, {"explanation": "Why.", "quiz": True, "retired": True}, format="json").json()
    assert (changed["explanation"], changed["quiz"], changed["retired"]) == ("Why.", True, True)
    assert [one["id"] for one in client.get(DESK + "gold/").json()["results"]] == [made.json()["id"]]
    assert client.delete(address).status_code == 204
    assert not Gold.objects.exists()
    assert Item.objects.get().purpose == "train"


@pytest.mark.parametrize(
    "sent", [{"ranks": {"x": 1}}, {"ranks": {}}, {"verdicts": ["accept"]}, {"ranks": {"1": 9}}, {"verdicts": ["maybe"]}]
)
def test_what_does_not_fit_the_item_is_refused(api, project, alice, sent):
    item = a_comparison(project)
    assert api(alice).post(DESK + "gold/", {"item": item.pk, **sent}, format="json").status_code == 400
    assert not Gold.objects.exists()


def test_an_item_of_another_project_is_not_found(api, project, alice):
    other = a_comparison(Project.objects.create(slug="other", name="Other"))
    assert api(alice).post(DESK + "gold/", {"item": other.pk}, format="json").status_code == 404


def test_a_lead_sets_the_rules(api, project, alice):
    client = api(alice)
    answer = client.patch(DESK + "gold/rules/", {"gold_share": 0.2, "quiz_length": 3}, format="json")
    assert answer.status_code == 200
    assert (answer.json()["gold_share"], answer.json()["gold_threshold"]) == (0.2, 0)
    assert client.patch(DESK + "gold/rules/", {"gold_share": 0.9}, format="json").status_code == 400
    project.refresh_from_db()
    assert (project.gold_share, project.quiz_length) == (0.2, 3)


def test_the_answer_tells_what_was_right_where_the_project_says_so(api, project, bob, bea):
    made = golden(project, explanation="The other is rude.")
    plain = submit(api(bob), asked(made, bob), ranks=[2, 1]).json()
    assert plain["feedback"] is None
    Project.objects.update(gold_feedback=True)
    told = submit(api(bea), asked(made, bea), ranks=[2, 1]).json()
    assert told["feedback"] == {"correct": False, "explanation": "The other is rude."}


def test_a_paused_person_is_given_null_and_the_sentence(api, project, bob, alice):
    a_comparison(project)
    assert (
        api(alice).post(f"{DESK}people/{bob.person_id}/pause/", {"because": "Let us talk."}, format="json").status_code
        == 200
    )
    answer = api(bob).post(DESK + "next/", {"kind": "comparison"}, format="json")
    assert (answer.status_code, answer.json()["assignment"]) == (200, None)
    assert answer.json()["detail"] == (
        "You are paused in this project. Let us talk. Your labels are kept. Ask alice, who can let you go on."
    )
    assert [one["person"] for one in api(alice).get(DESK + "paused/").json()["results"]] == ["bob"]
    assert api(alice).post(f"{DESK}people/{bob.person_id}/pause/").status_code == 409
    assert api(alice).post(f"{DESK}people/{bob.person_id}/unpause/").status_code == 204
    assert api(alice).post(f"{DESK}people/{bob.person_id}/unpause/").status_code == 409
    answer = api(bob).post(DESK + "next/", {"kind": "comparison"}, format="json").json()
    assert answer["assignment"]
    assert answer["detail"] == ""


def test_the_label_that_pauses_somebody_says_so_in_place_of_the_next_item(api, project, bob, alice):
    Project.objects.update(gold_threshold=1, gold_minimum=1)
    a_comparison(project)
    answer = submit(api(bob), asked(golden(project), bob), ranks=[2, 1], next=True).json()
    assert answer["next"] is None
    assert answer["detail"].startswith("You are paused in this project. 0 of 1")
    assert Membership.objects.get(pk=bob.pk).paused_at


def test_nobody_pauses_people_of_another_project(api, project, alice, charlie):
    other = Membership.objects.create(person=charlie, project=Project.objects.create(slug="other", name="Other"))
    pausing.pause(membership=other, because="")
    for verb in ("pause", "unpause"):
        assert api(alice).post(f"{DESK}people/{other.person_id}/{verb}/").status_code == 404
    assert Membership.objects.get(pk=other.pk).paused_at


def test_gold_comes_in_with_the_data(api, project, alice):
    rows = [
        {"prompt": "a?", "responses": ["good", "bad"], "gold": {"ranks": [1, 2], "explanation": "Kind.", "quiz": True}},
        {"prompt": "b?", "completion": "Dunno.", "gold": {"verdicts": ["edit", "reject"]}},
        {"prompt": "c?", "responses": ["good", "bad"], "gold": {"ranks": [1, 1]}},
        {"prompt": "d?", "responses": ["good", "bad"], "gold": {"ranks": [1]}},
        {"prompt": "e?", "gold": {"ranks": [1, 2]}},
        {"prompt": "f?", "completion": "Yes.", "gold": {"verdicts": ["perhaps"]}},
    ]
    client = api(alice)
    answer = client.post(DESK + "prompts/", rows, format="json").json()
    assert (answer["gold"], [one["line"] for one in answer["rejected"]]) == (2, [3, 4, 5, 6])
    made = Gold.objects.get(item__kind="comparison")
    assert (made.explanation, made.quiz, made.item.purpose) == ("Kind.", True, "gold")
    assert made.ranks[str(made.item.responses.get(text="good").pk)] == 1
    assert sorted(Gold.objects.get(item__kind="demonstration").verdicts) == ["edit", "reject"]
    again = client.post(DESK + "prompts/", rows[:2], format="json").json()
    assert (again["added"], again["known"], again["gold"]) == (0, 2, 0)


def test_a_line_can_make_an_item_that_is_there_gold(api, project, alice):
    row = {"prompt": "a?", "responses": ["good", "bad"]}
    client = api(alice)
    client.post(DESK + "prompts/", [row], format="json")
    answer = client.post(DESK + "prompts/", [{**row, "gold": {"ranks": [1, 2]}}], format="json").json()
    assert (answer["added"], answer["gold"]) == (1, 1)
    assert Item.objects.get().purpose == "gold"
