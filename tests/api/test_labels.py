"""Reading and withdrawing labels; taking everything out; agreement."""

import json

import pytest

from annotation import labelling
from annotation.labelling import Said
from annotation.models import Item, Label
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease

LABELS = "/api/v1/projects/desk/labels/"
EXPORT = "/api/v1/projects/desk/export/"
AGREEMENT = "/api/v1/projects/desk/agreement/"


@pytest.fixture
def said(project, bob, bea):
    """Both judged one comparison, each in their own order; bob rejected a draft."""
    project.labels_per_item = 2
    project.save()
    a_comparison(project, ["one", "other"])
    a_demonstration(project)
    return [
        labelling.submit(assignment=lease(bob), said=first_is_better(strength=1, comment="mine")),
        labelling.submit(assignment=lease(bea), said=first_is_better(strength=4)),
        labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="reject")),
    ]


def ids(answer):
    assert answer.status_code == 200
    return [one["id"] for one in answer.json()["results"]]


def test_an_annotator_reads_their_own(api, said, bob):
    answer = api(bob).get(LABELS)
    assert ids(answer) == [said[2].pk, said[0].pk]
    assert {one["person"] for one in answer.json()["results"]} == {"bob"}


def test_a_reviewer_reads_all_but_not_which_answers(api, said, member):
    answer = api(member("rita", "reviewer")).get(LABELS)
    assert ids(answer) == [said[2].pk, said[1].pk, said[0].pk]
    judgements = [judged for one in answer.json()["results"] for judged in one["judgements"]]
    assert len(judgements) == 4
    assert {judged["response"] for judged in judgements} == {None}


def test_a_lead_reads_all_by_answer(api, said, alice):
    results = api(alice).get(LABELS).json()["results"]
    first = results[-1]
    assert first["item"] == said[0].item_id
    assert {one["response"]: one["rank"] for one in first["judgements"]} == dict(
        said[0].judgements.values_list("response_id", "rank")
    )


def test_labels_can_be_asked_for(api, said, alice):
    client = api(alice)
    labelling.retract(label=said[1], actor=alice)
    assert ids(client.get(LABELS, {"kind": "demonstration"})) == [said[2].pk]
    assert ids(client.get(LABELS, {"person": "bea"})) == [said[1].pk]
    assert ids(client.get(LABELS, {"live": "true"})) == [said[2].pk, said[0].pk]
    assert ids(client.get(LABELS, {"live": "false"})) == [said[1].pk]
    assert client.get(LABELS, {"live": "perhaps"}).status_code == 400
    assert client.get(LABELS, {"kind": "essay"}).status_code == 400


def test_the_list_costs_the_same_however_long(api, said, alice, django_assert_max_num_queries):
    client = api(alice)
    with django_assert_max_num_queries(12):
        client.get(LABELS)


def test_a_person_withdraws_their_own_label(api, said, bob):
    answer = api(bob).post(f"/api/v1/labels/{said[0].pk}/retract/")
    assert answer.status_code == 200
    assert answer.json()["live"] is False
    assert Item.objects.get(pk=said[0].item_id).taken == 1
    again = api(bob).post(f"/api/v1/labels/{said[0].pk}/retract/")
    assert again.status_code == 400
    assert "already" in again.json()["non_field_errors"][0]


def test_a_lead_withdraws_any(api, said, alice):
    assert api(alice).post(f"/api/v1/labels/{said[1].pk}/retract/").status_code == 200


def test_nobody_else_does(api, said, bea, charlie, member):
    url = f"/api/v1/labels/{said[0].pk}/retract/"
    assert api(bea).post(url).status_code == 404
    assert api(member("rita", "reviewer")).post(url).status_code == 403
    outside, unknown = api(charlie).post(url), api(charlie).post("/api/v1/labels/99999999/retract/")
    assert (outside.status_code, outside.json()) == (unknown.status_code, unknown.json())
    assert Label.objects.live().count() == 3


# Out of the project


def rows(answer):
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_the_export_has_every_vote(api, said, alice):
    comparison, demonstration = rows(api(alice).get(EXPORT))
    assert (comparison["kind"], demonstration["kind"]) == ("comparison", "demonstration")
    assert [one["text"] for one in comparison["answers"]] == ["one", "other"]
    assert [one["strength"] for one in comparison["labels"]] == [1, 4]
    for label, exported in zip(said, comparison["labels"], strict=False):
        assert {one["answer"]: one["rank"] for one in exported["votes"]} == dict(
            label.judgements.values_list("response_id", "rank")
        )
    assert demonstration["labels"][0]["verdict"] == "reject"


def test_the_export_names_nobody(api, said, alice):
    comparison, demonstration = rows(api(alice).get(EXPORT))
    bob, bea = (one["person"] for one in comparison["labels"])
    assert bob != bea
    assert demonstration["labels"][0]["person"] == bob
    assert not {"bob", "bea"} & {bob, bea}


def test_the_export_has_live_labels_alone(api, said, alice):
    for label in said[1:]:
        labelling.retract(label=label, actor=alice)
    (only,) = rows(api(alice).get(EXPORT))
    assert [one["id"] for one in only["labels"]] == [said[0].pk]


def test_one_kind_can_be_exported(api, said, alice):
    client = api(alice)
    assert [row["kind"] for row in rows(client.get(EXPORT, {"kind": "comparison"}))] == ["comparison"]
    assert client.get(EXPORT, {"kind": "essay"}).status_code == 400
    assert len(rows(client.get(EXPORT, headers={"accept": "application/x-ndjson"}))) == 2


def test_the_export_reads_in_batches(api, project, said, alice, monkeypatch, django_assert_max_num_queries):
    from annotation.exporting import items

    monkeypatch.setattr(items, "BATCH", 1)
    client = api(alice)
    with django_assert_max_num_queries(4 + 2 * 4):
        assert len(rows(client.get(EXPORT))) == 2


# Agreement


def test_without_two_labels_there_is_no_agreement(api, project, alice):
    for kind in ("demonstration", "comparison"):
        found = api(alice).get(AGREEMENT).json()[kind]
        assert [found[name] for name in ("items", "comparisons", "agreed")] == [0, 0, 0]
        assert [found[name] for name in ("agreement", "lower", "upper", "alpha", "fleiss")] == [None] * 5
        assert [found[name] for name in ("pairs", "weeks", "tags", "criteria")] == [[], [], [], []]


def test_agreement_is_over_answers_and_not_over_sides(api, project, said, alice, bob, bea):
    """Both ranked the first answer they saw best; whether they agree depends on what they saw."""
    same = said[0].assignment.order == said[1].assignment.order
    found = api(alice).get(AGREEMENT).json()
    comparison = found["comparison"]
    assert [comparison[name] for name in ("items", "comparisons", "agreed")] == [1, 1, int(same)]
    assert comparison["agreement"] == float(same)
    assert found["demonstration"]["agreement"] is None
    labelling.submit(assignment=lease(bea, "demonstration"), said=Said(verdict="reject"))
    assert api(alice).get(AGREEMENT).json()["demonstration"]["agreement"] == 1.0


def test_the_agreement_of_two_people_is_told_with_its_interval(api, project, said, alice):
    (pair,) = api(alice).get(AGREEMENT).json()["comparison"]["pairs"]
    assert (pair["one"], pair["other"], pair["comparisons"]) == ("bea", "bob", 1)
    assert pair["kappa"] in (1.0, -1.0)
    (week,) = api(alice).get(AGREEMENT).json()["comparison"]["weeks"]
    assert week["comparisons"] == 1


def test_simulated_labels_count_only_when_asked_for(api, project, alice, member):
    project.labels_per_item = 2
    project.save()
    a_comparison(project)
    for name in ("robot", "android"):
        labelling.submit(assignment=lease(member(name, simulated=True)), said=first_is_better())
    assert api(alice).get(AGREEMENT).json()["comparison"]["agreement"] is None
    assert api(alice).get(AGREEMENT, {"simulated": "true"}).json()["comparison"]["items"] == 1
