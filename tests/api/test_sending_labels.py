"""Many labels at once, by a lead in their own name: held to what holds for all labels, each row by itself."""

import json

import pytest

from annotation import bulklabels, labelling
from annotation.gold import Right, mark
from annotation.models import Assignment, Item, Label, Project
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    an_answer,
    first_is_better,
    lease,
    miscounted,
    overlabelled,
)

LABELS = "/api/v1/projects/desk/labels/"
pytestmark = pytest.mark.django_db


def send(client, *rows):
    body = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows)
    return client.generic("POST", LABELS, body, content_type="application/x-ndjson")


def ranked(item: Item, *ranks: int, **more) -> dict:
    answers = item.answers.order_by("order").values_list("response_id", flat=True)
    votes = [{"answer": pk, "rank": rank} for pk, rank in zip(answers, ranks, strict=True)]
    return {"item": item.pk, "votes": votes, **more}


def told(answer) -> tuple[int, int, list[int]]:
    found = answer.json()
    assert answer.status_code == 200, found
    return found["added"], found["known"], [one["line"] for one in found["rejected"]]


def test_rows_become_labels_of_whoever_sends_them(api, alice, project):
    three, draft, written = a_comparison(project, "abc"), a_demonstration(project), a_demonstration(project, None)
    best = three.answers.get(order=2).response_id
    rows = [
        ranked(three, 2, 3, 1, strength=3, criteria={"helpful": best}, comment="Clearer.", seconds=4.5),
        {"item": draft.pk, "verdict": "reject", "flags": ["tone"]},
        {"item": written.pk, "verdict": "edit", "text": "Written at once."},
    ]
    assert told(send(api(alice), *rows)) == (3, 0, [])
    first, second, third = Label.objects.order_by("id")
    assert {one.response.text: one.rank for one in first.judgements.all()} == {"a": 2, "b": 3, "c": 1}
    assert [one.response_id for one in first.judgements.order_by("position")] == first.assignment.order
    assert (first.strength, first.criteria, first.comment) == (3, {"helpful": best}, "Clearer.")
    assert (first.seconds, first.person, first.assignment.state) == (4.5, alice.person, "submitted")
    assert (second.verdict, second.flags, third.response.text) == ("reject", ["tone"], "Written at once.")
    assert miscounted() == overlabelled() == []


def test_the_same_row_is_one_label_and_another_is_refused(api, alice, project):
    client, pair = api(alice), a_comparison(project)
    assert told(send(client, ranked(pair, 1, 2), ranked(pair, 1, 2), ranked(pair, 2, 1))) == (1, 1, [3])
    assert told(send(client, ranked(pair, 1, 2))) == (0, 1, [])
    assert Label.objects.count() == 1


def test_a_row_of_an_export_can_be_sent_as_it_went_out(api, alice, bob, project):
    from annotation.exporting import labelled_rows

    project.labels_per_item = 2
    project.save()
    a_comparison(project)
    theirs = labelling.submit(assignment=lease(bob), said=first_is_better(strength=2))
    (row,) = labelled_rows(project=project)
    assert told(send(api(alice), {"item": row["item"], **row["labels"][0]})) == (1, 0, [])
    mine = Label.objects.get(person=alice.person)
    said = [{one.response_id: one.rank for one in label.judgements.all()} for label in (mine, theirs)]
    assert said[0] == said[1]
    assert mine.client_uuid != theirs.client_uuid


def test_what_does_not_fit_is_named_and_stops_nothing(api, alice, bob, project):
    taken, dropped, known = a_comparison(project), a_comparison(project), a_demonstration(project)
    Item.objects.filter(pk=taken.pk).update(priority=9)
    Item.objects.filter(pk=dropped.pk).update(dropped=True)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    mark(item=known, right=Right(verdicts=["accept"]))
    elsewhere = a_comparison(Project.objects.create(slug="other", name="Other"))
    good = a_comparison(project)
    rows = [
        "{not json",
        {"votes": []},
        {"item": True},
        {"item": 2**70},
        ranked(elsewhere, 1, 2),
        ranked(taken, 1, 2),
        ranked(dropped, 1, 2),
        {"item": known.pk, "verdict": "accept"},
        {"item": good.pk, "votes": [{"answer": 1, "rank": 1}, {"answer": 2, "rank": 2}]},
        ranked(good, 1, 2, flags=["no such flag"]),
        ranked(good, 1, 2, comment="a\0b"),
        ranked(good, 1, 2, client_uuid="no"),
        ranked(good, 1, 2, client_uuid=str(Label.objects.get().client_uuid)),
        "",
        ranked(good, 1, 2),
    ]
    assert told(send(api(alice), *rows)) == (1, 0, list(range(1, 14)))
    assert not Assignment.objects.filter(person=alice.person, state="leased").exists()
    assert miscounted() == overlabelled() == []


def test_a_held_item_is_judged_in_its_place(api, alice, project):
    pair = a_comparison(project)
    held = lease(alice)
    assert told(send(api(alice), ranked(pair, 2, 1))) == (1, 0, [])
    assert Label.objects.get().assignment == held


def test_who_may_not_judge_now_is_told(api, alice, project, monkeypatch):
    monkeypatch.setattr(bulklabels, "MOST", 1)
    pair = a_comparison(project)
    answer = send(api(alice), ranked(pair, 1, 2), ranked(pair, 1, 2))
    assert (answer.status_code, answer.json()["non_field_errors"]) == (400, ["Send 1 labels at a time."])
    alice.paused_at = pair.created_at
    alice.save()
    answer = send(api(alice), ranked(pair, 1, 2))
    assert answer.status_code == 400
    assert "paused" in answer.json()["non_field_errors"][0]
    assert not Label.objects.exists()


def test_a_conversation_is_mended_on_the_way(api, alice, project):
    from annotation.asking import ask
    from annotation.models import Prompt

    turns = [
        {"role": role, "content": text} for role, text in (("user", "Tea?"), ("assistant", "No."), ("user", "Why?"))
    ]
    prompt = Prompt.objects.create(project=project, messages=turns, sha256="0" * 64, split="train")
    item = ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, "So.")])[0]
    mended = [turns[0], {**turns[1], "content": "Yes."}, turns[2]]
    row = {"item": item.pk, "verdict": "edit", "text": "Because.", "prompt": mended}
    assert told(send(api(alice), row)) == (1, 0, [])
    assert Label.objects.get().response.prompt.messages == mended
