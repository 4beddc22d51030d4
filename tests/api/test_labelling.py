"""A person's way through the work: the next item, a label, a resend, a lost lease, a skip, a draft."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import guidelines, leasing
from annotation.asking import ask
from annotation.gold import Right, mark
from annotation.models import Assignment, Item, Label, Project, Prompt
from annotation.text import sha256
from tests.annotation.making import a_comparison, a_demonstration, an_answer, let_time_pass
from training.models import Generation, ModelVersion, Run, Sample

NEXT = "/api/v1/projects/desk/next/"


def take(client, kind="comparison"):
    answer = client.post(NEXT, {"kind": kind}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()["assignment"]


def submit(client, assignment, **said):
    said = {"client_uuid": str(uuid.uuid4()), **said}
    return client.post(f"/api/v1/assignments/{assignment['id']}/submit/", said, format="json")


# The next item


def test_the_next_item_is_leased(api, project, bob):
    a_comparison(project, ["one", "other"])
    assignment = take(api(bob))
    assert assignment["kind"] == "comparison"
    assert sorted(one["text"] for one in assignment["answers"]) == ["one", "other"]
    assert [one["position"] for one in assignment["answers"]] == [0, 1]
    assert assignment["prompt"][0]["role"] == "user"
    assert assignment["ties_allowed"] is True
    assert len(assignment["strength_levels"]) == 4
    assert Assignment.objects.get(pk=assignment["id"]).person == bob.person
    assert take(api(bob))["id"] == assignment["id"]


def test_no_item_is_null(api, project, bob):
    assert take(api(bob)) is None


def test_a_kind_must_be_named(api, project, bob):
    for body in ({}, {"kind": "essay"}):
        answer = api(bob).post(NEXT, body, format="json")
        assert answer.status_code == 400
        assert "kind" in answer.json()


def test_nothing_tells_who_wrote_an_answer_or_that_it_is_gold(api, project, bob):
    """Two items that differ in all that must be hidden look the same."""
    version = ModelVersion.objects.create(
        project=project, name="secret-model", kind="policy", format="full", location="secret"
    )
    run = Run.objects.create(project=project, method="generate", base=version)
    generation = Generation.objects.create(project=project, run=run, model_version=version, seed=17)
    gold = a_comparison(
        project,
        ["one", "other"],
        priority=5,
        wanted=3,
        selection={"selector": "uncertainty", "round": 4},
    )
    for index, response in enumerate(gold.responses.all()):
        Sample.objects.create(generation=generation, response=response, index=index)
    gold.responses.update(origin="model")
    gold.prompt.split, gold.prompt.tags, gold.prompt.metadata = "heldout", ["hard"], {"from": "secret-file"}
    gold.prompt.messages = [{**gold.prompt.messages[0], "model": "secret-model"}]
    gold.prompt.save()
    better, worse = gold.responses.all()
    mark(item=gold, right=Right(ranks={better.pk: 1, worse.pk: 2}), explanation="Because.")
    plain = a_comparison(project, ["one", "other"])

    client = api(bob)
    Project.objects.update(gold_share=1.0)
    shown = take(client)
    said = submit(client, shown, ranks=[1, 2], next=True).json()
    assert (shown["id"], said["next"]["id"]) == tuple(Assignment.objects.get(item=item).pk for item in (gold, plain))
    after = submit(client, said["next"], ranks=[1, 2]).json()
    skeleton = {
        "id",
        "kind",
        "leased_at",
        "lease_until",
        "prompt",
        "answers",
        "ties_allowed",
        "strength_levels",
        "criteria",
        "flags",
        "draft",
    }
    for one in (shown, said["next"]):
        assert set(one) == skeleton
        assert [set(message) for message in one["prompt"]] == [{"role", "content"}]
        assert [set(answer) for answer in one["answers"]] == [{"position", "text"}] * 2
    for one in (said["label"], after["label"]):
        assert [one[key] for key in ("item", "prompt", "response")] == [None] * 3
        assert {judged["response"] for judged in one["judgements"]} == {None}
    everything = json.dumps([shown, said, after, client.get("/api/v1/projects/desk/labels/").json()])
    for secret in ("secret", "gold", "heldout", "uncertainty", "import", "hard", "origin", "split", "purpose"):
        assert secret not in everything
    assert not {str(response.pk) for response in gold.responses.all()} & {
        str(value) for one in (shown, said["label"]) for key, value in one.items() if key not in ("id", "assignment")
    }


# A label


def test_ranks_go_to_the_answers_as_they_were_shown(api, project, bob):
    item = a_comparison(project, ["worse", "better"])
    assignment = take(api(bob))
    ranks = [1 if one["text"] == "better" else 2 for one in assignment["answers"]]
    answer = submit(api(bob), assignment, ranks=ranks, strength=3, comment="clear", seconds=4.5)
    assert answer.status_code == 201
    label = Label.objects.get()
    assert answer.json()["label"]["id"] == label.pk
    assert answer.json()["next"] is None
    assert {one.response.text: one.rank for one in label.judgements.all()} == {"better": 1, "worse": 2}
    assert (label.strength, label.comment, label.seconds, label.item) == (3, "clear", 4.5, item)


def test_both_unacceptable_is_a_tie(api, project, bob):
    a_comparison(project)
    answer = submit(api(bob), take(api(bob)), ranks=[1, 1], unacceptable=[True, True], strength=2)
    assert answer.status_code == 201
    assert answer.json()["label"]["strength"] is None
    assert [one["unacceptable"] for one in answer.json()["label"]["judgements"]] == [True, True]


def test_a_demonstration_is_edited(api, project, bob):
    a_demonstration(project, "A draft.")
    answer = submit(api(bob), take(api(bob), "demonstration"), verdict="edit", text="Better.\r\n", flags=["tone"])
    assert answer.status_code == 201
    assert answer.json()["label"]["text"] == "Better."
    assert Label.objects.get().response.origin == "edit"
    assert Label.objects.get().flags == ["tone"]


def test_an_accepted_demonstration_ignores_text(api, project, bob):
    a_demonstration(project, "A draft.")
    answer = submit(api(bob), take(api(bob), "demonstration"), verdict="accept", text="left over")
    assert answer.json()["label"]["text"] == "A draft."


def test_the_next_item_comes_in_the_same_answer(api, project, bob):
    a_comparison(project)
    second = a_comparison(project)
    answer = submit(api(bob), take(api(bob)), ranks=[1, 2], next=True).json()
    assert Assignment.objects.get(pk=answer["next"]["id"]).item == second


def test_a_label_and_the_next_item_take_five_statements(api, project, bob):
    """The key, the assignment, the label; how the person stands, what they hold, the next item."""
    for _ in range(3):
        a_comparison(project)
    guidelines.mark_read(membership=bob, version=project.current_guidelines)
    client = api(bob)
    held = submit(client, take(client), ranks=[1, 2], next=True).json()["next"]
    with CaptureQueriesContext(connection) as seen:
        assert submit(client, held, ranks=[1, 2], next=True).json()["next"]
    assert len([one for one in seen if "SAVEPOINT" not in one["sql"]]) == 5


def test_a_resend_is_the_same_label(api, project, bob):
    a_comparison(project)
    assignment, said = take(api(bob)), {"client_uuid": str(uuid.uuid4()), "ranks": [2, 1]}
    first = submit(api(bob), assignment, **said)
    again = submit(api(bob), assignment, **said, next=True)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["label"] == first.json()["label"]
    assert Label.objects.count() == 1


def test_another_label_for_the_same_item_is_refused(api, project, bob):
    a_comparison(project)
    assignment = take(api(bob))
    submit(api(bob), assignment, ranks=[1, 2])
    answer = submit(api(bob), assignment, ranks=[2, 1])
    assert answer.status_code == 400
    assert answer.json() == {"non_field_errors": ["You have judged this item already."]}


def test_the_uuid_of_another_label_is_refused(api, project, bob, bea):
    project.labels_per_item = 2
    project.save()
    a_comparison(project)
    said = {"client_uuid": str(uuid.uuid4()), "ranks": [1, 2]}
    submit(api(bob), take(api(bob)), **said)
    assert submit(api(bea), take(api(bea)), **said).status_code == 400
    assert Label.objects.count() == 1


def test_a_lost_lease_says_so(api, project, bob, bea):
    a_comparison(project)
    assignment = take(api(bob))
    let_time_pass(Assignment.objects.all())
    assert take(api(bea)) is not None
    answer = submit(api(bob), assignment, ranks=[1, 2])
    assert answer.status_code == 409
    assert "somebody else" in answer.json()["detail"]
    assert not Label.objects.exists()


def test_a_late_label_is_welcome_while_there_is_room(api, project, bob):
    a_comparison(project)
    assignment = take(api(bob))
    let_time_pass(Assignment.objects.all())
    leasing.return_overdue()
    assert submit(api(bob), assignment, ranks=[1, 2]).status_code == 201


@pytest.mark.parametrize(
    ("said", "field", "sentence"),
    [
        ({}, "non_field_errors", "Give each answer a rank."),
        ({"ranks": [1]}, "non_field_errors", "Give each answer a rank."),
        ({"ranks": [2, 2]}, "non_field_errors", "Ranks run from 1"),
        ({"ranks": [1, 9]}, "ranks", "less than or equal to 8"),
        ({"ranks": [1, 2], "strength": 5}, "non_field_errors", "Strength runs from 1 to 4."),
        ({"ranks": [1, 2], "unacceptable": [True]}, "non_field_errors", "Say of each answer"),
        ({"ranks": [1, 2], "verdict": "accept"}, "non_field_errors", "ranks, not a verdict"),
        ({"ranks": [1, 2], "criteria": {"charm": 1}}, "non_field_errors", "no criterion called charm"),
        ({"ranks": [1, 2], "criteria": {"honest": 2}}, "non_field_errors", "place of the better answer"),
        ({"ranks": [1, 2], "criteria": {"honest": 9}}, "criteria", "less than or equal to 7"),
        ({"ranks": [1, 2], "unacceptable": [True, False]}, "non_field_errors", "rank it lower, or unmark it"),
        ({"ranks": [1, 1], "text": "An edit."}, "non_field_errors", "say first which one"),
        ({"ranks": [1, 2], "seconds": -1}, "seconds", "greater than or equal to 0"),
        ({"ranks": [1, 2], "comment": "\x00"}, "comment", "Null characters"),
        ({"ranks": [1, 2], "flags": ["\x00"]}, "flags", "Null characters"),
        ({"ranks": [1, 2], "client_uuid": "mine"}, "client_uuid", "valid UUID"),
        ({"ranks": "12"}, "ranks", "list"),
    ],
)
def test_what_does_not_fit_is_refused_in_sentences(api, project, bob, said, field, sentence):
    a_comparison(project)
    answer = submit(api(bob), take(api(bob)), **said)
    assert answer.status_code == 400
    assert sentence in json.dumps(answer.json()[field])
    assert not Label.objects.exists()


def test_criteria_of_the_project_are_kept(api, project, bob):
    project.criteria = ["helpful"]
    project.save()
    a_comparison(project)
    assignment = take(api(bob))
    answer = submit(api(bob), assignment, ranks=[1, 2], criteria={"helpful": 1})
    assert answer.status_code == 201
    assert answer.json()["label"]["criteria"] == {"helpful": 1}
    assert Label.objects.get().criteria == {"helpful": Assignment.objects.get(pk=assignment["id"]).order[1]}


def test_no_difference_in_a_criterion_is_null(api, project, bob):
    a_comparison(project)
    said = {"helpful": None, "honest": 0}
    assert submit(api(bob), take(api(bob)), ranks=[1, 2], criteria=said).json()["label"]["criteria"] == said
    assert Label.objects.get().criteria["helpful"] == 0


def test_the_best_answer_of_a_comparison_is_edited(api, project, bob):
    a_comparison(project, ["one", "two", "three"])
    answer = submit(api(bob), take(api(bob)), ranks=[3, 1, 2], text="Better.\r\nBy far.")
    assert answer.status_code == 201
    assert answer.json()["label"]["text"] == "Better.\nBy far."


def test_the_assignment_of_somebody_else_is_not_found(api, project, bob, bea, alice):
    a_comparison(project)
    assignment = take(api(bob))
    for other in (bea, alice):
        for verb in ("submit", "skip", "draft"):
            address = f"/api/v1/assignments/{assignment['id']}/{verb}/"
            assert api(other).post(address, {}, format="json").status_code == 404


def test_somebody_who_left_the_project_labels_no_more(api, project, bob):
    a_comparison(project)
    assignment = take(api(bob))
    bob.delete()
    assert submit(api(bob.person), assignment, ranks=[1, 2]).status_code == 404


# Skipping, drafts


def test_a_skipped_item_goes_to_others(api, project, bob, bea):
    a_comparison(project)
    second = a_comparison(project)
    assignment = take(api(bob))
    url = f"/api/v1/assignments/{assignment['id']}/skip/"
    answer = api(bob).post(url, {"reason": "not my field", "next": True}, format="json")
    assert answer.status_code == 200
    assert Assignment.objects.get(pk=answer.json()["next"]["id"]).item == second
    assert Assignment.objects.get(pk=assignment["id"]).skip_reason == "not my field"
    assert take(api(bea)) is not None
    assert api(bob).post(url, {}, format="json").status_code == 409


def test_a_draft_is_kept_and_renews_the_lease(api, project, bob):
    a_demonstration(project)
    assignment = take(api(bob), "demonstration")
    url = f"/api/v1/assignments/{assignment['id']}/draft/"
    Assignment.objects.update(lease_until="2020-01-01T00:00Z")
    assert api(bob).post(url, {"draft": {"text": "so far "}}, format="json").status_code == 204
    assert api(bob).post(url, {}, format="json").status_code == 204
    again = take(api(bob), "demonstration")
    assert again["draft"] == {"text": "so far "}
    assert again["lease_until"] > "2021"


def test_there_is_no_draft_without_a_lease(api, project, bob):
    a_demonstration(project)
    url = f"/api/v1/assignments/{take(api(bob), 'demonstration')['id']}/draft/"
    Assignment.objects.update(state="expired")
    Item.objects.update(taken=0)
    assert api(bob).post(url, {"draft": {"text": "so far"}}, format="json").status_code == 409


def test_a_draft_that_is_none_is_refused(api, project, bob):
    a_demonstration(project)
    url = f"/api/v1/assignments/{take(api(bob), 'demonstration')['id']}/draft/"
    for draft in ("text", {"text": 1}, {"text": {"a": "b"}}, {"text": "x" * 400_001}):
        assert api(bob).post(url, {"draft": draft}, format="json").status_code == 400
    assert take(api(bob), "demonstration")["draft"] == {}


# Fetching ahead, releasing, undoing


def test_the_next_item_can_be_taken_before_the_first_is_judged(api, project, bob):
    for _ in range(3):
        a_comparison(project)
    client = api(bob)
    first = take(client)
    url = "/api/v1/projects/desk/next/"
    second = client.post(url, {"kind": "comparison", "beyond": [first["id"]]}, format="json").json()["assignment"]
    assert second["id"] != first["id"]
    third = submit(client, first, ranks=[1, 2], next=True, beyond=[second["id"]]).json()["next"]
    assert third["id"] not in (first["id"], second["id"])


def test_an_item_not_begun_is_given_back(api, project, bob, bea):
    a_comparison(project)
    mine = take(api(bob))
    url = f"/api/v1/assignments/{mine['id']}/release/"
    assert api(bea).post(url, {}, format="json").status_code == 404
    stale = {"leased_at": "2020-01-01T00:00:00Z"}
    assert api(bob).post(url, stale, format="json").json() == {"released": False}
    assert api(bob).post(url, {"leased_at": mine["leased_at"]}, format="json").json() == {"released": True}
    assert take(api(bea)) is not None


def test_the_last_label_is_undone(api, project, bob):
    a_comparison(project)
    client = api(bob)
    mine = take(client)
    submit(client, mine, ranks=[2, 1], strength=2)
    url = "/api/v1/projects/desk/undo/"
    undone = client.post(url, {"kind": "comparison"}, format="json").json()["assignment"]
    assert undone["id"] == mine["id"]
    assert undone["draft"] == {"choice": "right", "strength": "2", "comment": ""}
    again = client.post(url, {"kind": "comparison"}, format="json")
    assert again.status_code == 400
    assert "no label" in str(again.json())


# Checks, flags, earlier turns


CHECK = "/api/v1/projects/desk/check/"


def by_characters(*, project, messages):
    return sum(len(message["content"]) for message in messages), None


def test_a_text_is_checked_and_counted_with_its_conversation(api, project, bob, settings):
    settings.COUNT_TOKENS = f"{__name__}.by_characters"
    talk = [{"role": "user", "content": "Hello?"}]
    answer = api(bob).post(CHECK, {"text": "Dear [NAME]", "messages": talk}, format="json")
    assert answer.status_code == 200
    found = answer.json()
    assert [(one["kind"], one["start"], one["end"]) for one in found["findings"]] == [("placeholder", 5, 11)]
    assert (found["more"], found["tokens"], found["limit"]) == (0, 17, None)


@pytest.mark.parametrize(
    "body",
    [{}, {"text": None}, {"text": "a" * 200_001}, {"text": "a", "messages": [{"role": "dog", "content": "woof"}]}],
)
def test_what_is_no_text_is_not_checked(api, project, bob, body):
    assert api(bob).post(CHECK, body, format="json").status_code == 400


def test_a_check_is_for_members(api, project, charlie):
    assert api(charlie).post(CHECK, {"text": "a"}, format="json").status_code == 404


def test_the_flags_to_choose_from_are_told_and_others_refused(api, project, bob):
    a_comparison(project)
    assignment = take(api(bob))
    assert assignment["flags"] == project.flags
    assert api(bob).get("/api/v1/projects/desk/").json()["flags"] == project.flags
    assert submit(api(bob), assignment, ranks=[1, 2], flags=["odd"]).status_code == 400
    label = submit(api(bob), assignment, ranks=[1, 2], flags=["tone"]).json()["label"]
    assert label["flags"] == ["tone"]


def a_talk(project):
    talk = [
        {"role": "user", "content": "Do you sell tea?"},
        {"role": "assistant", "content": "No idea."},
        {"role": "user", "content": "How much?"},
    ]
    prompt = Prompt.objects.create(project=project, messages=talk, sha256=sha256(talk), split="train")
    return ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, "Cheap.")])[0]


def test_earlier_turns_are_mended_with_an_edit(api, project, bob, alice):
    item = a_talk(project)
    assignment = take(api(bob), "demonstration")
    answer = submit(api(bob), assignment, verdict="edit", text="Four.", turns={"1": "We\r\ndo."})
    assert answer.status_code == 201, answer.content
    label = Label.objects.get()
    assert label.response.prompt.messages[1]["content"] == "We\ndo."
    (told,) = api(alice).get("/api/v1/projects/desk/labels/").json()["results"]
    assert told["prompt"] == label.response.prompt_id != item.prompt_id


@pytest.mark.parametrize("turns", [{"one": "a"}, {"-1": "a"}, {"٣": "a"}, {"0": "a"}, {"99999": "a"}, ["a"], {"1": ""}])
def test_turns_that_do_not_fit_are_refused(api, project, bob, turns):
    a_talk(project)
    assignment = take(api(bob), "demonstration")
    assert submit(api(bob), assignment, verdict="edit", text="Four.", turns=turns).status_code == 400
    assert not Label.objects.exists()


def test_turns_are_left_out_when_the_answer_is_accepted(api, project, bob):
    item = a_talk(project)
    submit(api(bob), take(api(bob), "demonstration"), verdict="accept", turns={"1": "We do."})
    assert Label.objects.get().response.prompt == item.prompt
