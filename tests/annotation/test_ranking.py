"""Ranking answers: marks on each, criteria, an edit of the best one, and what does not fit together."""

import uuid

import pytest
from django.core.exceptions import ValidationError

from annotation import exporting, labelling
from annotation.asking import ask
from annotation.forms import label_form
from annotation.labelling import Said
from annotation.models import Item, Label, Response
from annotation.text import as_seen
from tests.annotation.making import a_comparison, a_prompt, an_answer, lease


def submit(member, **said):
    return labelling.submit(assignment=lease(member), said=Said(**said))


def refusal(member, **said):
    """What is said of a label that does not fit; nothing was stored and the item stays with the person."""
    before = Response.objects.count()
    with pytest.raises(ValidationError) as refused:
        submit(member, **said)
    assert (Label.objects.count(), Response.objects.count()) == (0, before)
    return " ".join(refused.value.messages)


def four(project, **more):
    return a_comparison(project, ["one", "two", "three", "four"], **more)


# Ranks and marks


def test_any_order_and_any_ties_of_four_are_kept_as_they_stood(project, bob):
    four(project)
    label = submit(bob, ranks=(2, 1, 4, 2), unacceptable=(False, False, True, False), strength=1)
    judged = list(label.judgements.values_list("response_id", "rank", "unacceptable"))
    order = label.assignment.order
    assert judged == [(order[0], 2, False), (order[1], 1, False), (order[2], 4, True), (order[3], 2, False)]
    assert label.strength == 1


def test_strength_is_of_the_one_best_answer(project, bob, bea):
    four(project, wanted=2)
    assert submit(bob, ranks=(1, 1, 2, 3), strength=4).strength is None
    assert submit(bea, ranks=(1, 2, 2, 2), strength=4).strength == 4


@pytest.mark.parametrize(
    ("ranks", "unacceptable"),
    [((1, 2), (True, False)), ((2, 1), (False, True)), ((1, 2, 3), (False, True, False)), ((1, 1, 2), (1, 1, 0))],
)
def test_an_unacceptable_answer_is_not_better_than_one_that_will_do(project, bob, ranks, unacceptable):
    a_comparison(project, ["one", "two", "three"][: len(ranks)])
    assert "rank it lower, or unmark it" in refusal(bob, ranks=ranks, unacceptable=unacceptable)


@pytest.mark.parametrize(
    ("ranks", "unacceptable"),
    [((1, 2), (False, True)), ((1, 2), (True, True)), ((1, 1), (True, False)), ((1, 2, 2), (False, True, False))],
)
def test_marks_that_fit_the_ranks_are_kept(project, bob, ranks, unacceptable):
    a_comparison(project, ["one", "two", "three"][: len(ranks)])
    label = submit(bob, ranks=ranks, unacceptable=unacceptable)
    assert tuple(label.judgements.values_list("unacceptable", flat=True)) == unacceptable


def test_without_ties_only_unacceptable_answers_share_a_rank(project, bob):
    project.ties_allowed = False
    project.save()
    four(project)
    assert "no ties" in refusal(bob, ranks=(1, 2, 2, 3), unacceptable=(False, False, True, True))
    assert submit(bob, ranks=(1, 2, 3, 3), unacceptable=(False, False, True, True)).pk


# Criteria


def test_a_criterion_names_the_better_answer_wherever_it_stood(project, bob, bea):
    item = four(project, wanted=2)
    for member in (bob, bea):
        assignment = lease(member)
        place = assignment.order.index(item.responses.get(text="three").pk)
        said = Said(ranks=(1, 2, 3, 4), criteria={"helpful": place, "honest": None})
        labelling.submit(assignment=assignment, said=said)
    three = item.responses.get(text="three").pk
    assert [label.criteria for label in Label.objects.all()] == [{"helpful": three, "honest": 0}] * 2


@pytest.mark.parametrize("place", [-1, 4])
def test_a_criterion_names_one_of_the_answers(project, bob, place):
    four(project)
    assert "place of the better answer" in refusal(bob, ranks=(1, 2, 3, 4), criteria={"helpful": place})


# Editing the best answer


def test_an_edit_of_the_best_answer_is_an_answer_that_knows_where_it_came_from(project, bob):
    item = four(project)
    label = submit(bob, ranks=(3, 1, 2, 4), text="  Better.\n")
    best = label.judgements.get(rank=1).response
    assert (label.response.text, label.response.origin, label.response.edited_from) == ("Better.", "edit", best)
    assert label.verdict == ""
    assert item.responses.count() == 4, "the item asks what it asked"


def test_an_answer_can_be_best_and_unacceptable_and_edited(project, bob):
    a_comparison(project)
    assert submit(bob, ranks=(1, 2), unacceptable=(True, True), text="Now it will do.").response is not None


def test_a_blank_edit_is_none(project, bob):
    a_comparison(project)
    assert submit(bob, ranks=(1, 1), text=" \n").response is None


def test_an_edit_needs_one_best_answer(project, bob):
    four(project)
    assert "say first which one" in refusal(bob, ranks=(1, 1, 2, 3), text="Better.")


def test_an_edit_that_changes_nothing_or_repeats_another_answer_is_refused(project, bob):
    four(project)
    texts = [response.text for response in lease(bob).shown()]
    assert "changes nothing" in refusal(bob, ranks=(1, 2, 3, 4), text=f" {texts[0]}\n")
    assert "another of the answers" in refusal(bob, ranks=(1, 2, 3, 4), text=f"{texts[2]}\u200b")


def test_a_revision_may_edit_too(project, bob):
    a_comparison(project)
    first = submit(bob, ranks=(1, 2), text="First thought.")
    second = labelling.revise(label=first, said=Said(ranks=(2, 1), text="Second thought."))
    assert second.response.edited_from == second.judgements.get(rank=1).response != first.response.edited_from


# Taking it back


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (
            {"ranks": (2, 1, 2), "unacceptable": (True, False, False), "strength": 2},
            {"rank_0": "2", "rank_1": "1", "rank_2": "2", "unacceptable_0": "on", "strength": "2"},
        ),
        (
            {"ranks": (2, 1), "unacceptable": (True, True), "text": "New.", "criteria": {"honest": 0, "helpful": None}},
            {
                **{"choice": "right", "unacceptable_0": "on", "unacceptable_1": "on", "text": "New.", "text_of": "1"},
                **{"criterion_honest": "0", "criterion_helpful": "equal"},
            },
        ),
        (
            {"ranks": (1, 1), "unacceptable": (True, True)},
            {"choice": "unacceptable", "unacceptable_0": "on", "unacceptable_1": "on"},
        ),
    ],
)
def test_what_was_said_comes_back_in_the_fields_of_its_page(project, bob, said, fields):
    a_comparison(project, ["one", "two", "three"][: len(said["ranks"])])
    undone = labelling.undo(assignment=submit(bob, **said).assignment)
    assert undone.draft == {"comment": "", **fields}
    form = label_form(undone, {**undone.draft, "client_uuid": str(uuid.uuid4())})
    assert form.is_valid(), form.errors
    again = labelling.submit(assignment=undone, said=form.said())
    assert list(again.judgements.values_list("rank", flat=True)) == list(said["ranks"])


# Out again


def test_an_export_says_what_was_said(project, bob):
    four(project)
    label = submit(bob, ranks=(2, 1, 4, 2), unacceptable=(0, 0, 1, 0), strength=2, criteria={"honest": 0}, text="New.")
    (row,) = exporting.labelled_rows(project=project)
    (said,) = row["labels"]
    order = label.assignment.order
    assert [(vote["answer"], vote["position"], vote["rank"], vote["unacceptable"]) for vote in said["votes"]] == [
        (order[0], 0, 2, False),
        (order[1], 1, 1, False),
        (order[2], 2, 4, True),
        (order[3], 3, 2, False),
    ]
    assert (said["strength"], said["criteria"], said["text"]) == (2, {"honest": order[0]}, "New.")
    assert {answer["id"] for answer in row["answers"]} == set(order)


# Answers that look the same


@pytest.mark.parametrize(
    "other",
    ["good day ", "good\u00a0day", "good\n\nday", "good\u200b day", "\ufeffgood day", "good d\u00aday", "good day\x07"],
)
def test_answers_that_look_the_same_are_not_asked_about(project, other):
    prompt = a_prompt(project)
    answers = [an_answer(prompt, text) for text in ("good day", other)]
    with pytest.raises(ValueError, match="the same answer twice"):
        ask(project=project, prompt=prompt, kind="comparison", responses=answers)
    assert not Item.objects.exists()


@pytest.mark.parametrize("other", ["Good day", "good day.", "go od day", "good dáy", "good\u0301 day"])
def test_a_difference_that_can_be_seen_is_one(project, other):
    assert as_seen(other) != as_seen("good day")


def test_one_letter_has_one_spelling():
    assert as_seen("Zoe\u0308") == as_seen("Zo\u00eb")
