"""Saying something about an item: what is stored, what is refused, and what can never be undone."""

import uuid
from collections import Counter

import pytest

from annotation import labelling, leasing
from annotation.labelling import LeaseLost, Said
from annotation.models import Item, Label, Response
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
    overlabelled,
)
from tests.annotation.saying import refusal, submit


@pytest.fixture(autouse=True)
def _nothing_is_overfull(project):
    yield
    assert miscounted() == []
    assert overlabelled() == []


# Comparisons


def test_each_rank_goes_to_the_answer_that_stood_there(project, bob):
    a_comparison(project, answers=["a", "b", "c"])
    assignment = lease(bob)
    label = labelling.submit(assignment=assignment, said=Said(ranks=(2, 3, 1), strength=None))
    judged = {one.response.text: (one.position, one.rank) for one in label.judgements.select_related("response")}
    shown = [response.text for response in assignment.shown()]
    assert judged == {shown[0]: (0, 2), shown[1]: (1, 3), shown[2]: (2, 1)}


def test_each_answer_stands_left_about_half_of_the_time(project, bob):
    left = Counter()
    for number in range(40):
        a_comparison(project, answers=("good", "bad"), priority=-number)
        assignment = lease(bob)
        shown = [response.text for response in assignment.shown()]
        left[shown[0]] += 1
        label = labelling.submit(assignment=assignment, said=first_is_better())
        assert label.judgements.get(rank=1).response.text == shown[0]
        assert list(label.judgements.values_list("position", flat=True)) == [0, 1]
    assert min(left["good"], left["bad"]) > 4, "with fair coins this fails once in five million times"


def test_two_people_need_not_see_the_same_order(project, member):
    a_comparison(project, answers=[f"answer {n}" for n in range(8)], wanted=3)
    orders = {tuple(lease(member(name)).order) for name in ("ben", "bill", "bo")}
    assert len(orders) > 1


def test_a_label_knows_who_said_it_about_what_and_when(project, bob):
    project.criteria = ["honest"]
    project.save()
    item = a_comparison(project)
    said = first_is_better(strength=3, comment="Clearer.", seconds=12.5, criteria={"honest": 1}, flags=["tone", "tone"])
    label = Label.objects.get(pk=submit(bob, said).pk)
    right = label.assignment.order[1]
    assert (label.project, label.item, label.person, label.assignment.state) == (project, item, bob.person, "submitted")
    assert (label.client_uuid, label.strength, label.comment, label.seconds) == (said.client_uuid, 3, "Clearer.", 12.5)
    assert (label.criteria, label.flags, label.simulated, label.response) == ({"honest": right}, ["tone"], False, None)
    assert label.assignment.ended_at is not None


def test_a_program_that_plays_an_annotator_is_marked_on_its_labels(project, member):
    a_comparison(project)
    label = submit(member("bot", simulated=True), first_is_better())
    assert label.simulated
    assert not Label.objects.trainable().exists()
    assert Label.objects.trainable(simulated=True).get() == label


def test_equal_ranks_are_a_tie_and_have_no_strength(project, bob):
    a_comparison(project)
    label = submit(bob, Said(ranks=(1, 1), strength=4))
    assert list(label.judgements.values_list("rank", "unacceptable")) == [(1, False), (1, False)]
    assert label.strength is None


def test_both_unacceptable_is_a_tie_of_unacceptable_answers(project, bob):
    a_comparison(project)
    label = submit(bob, Said(ranks=(1, 1), unacceptable=(True, True)))
    assert list(label.judgements.values_list("rank", "unacceptable")) == [(1, True), (1, True)]


def test_a_project_without_ties_refuses_them_but_not_both_unacceptable(project, bob):
    project.ties_allowed = False
    project.save()
    a_comparison(project)
    assignment = lease(bob)
    assert "no ties" in refusal(labelling.submit, assignment=assignment, said=Said(ranks=(1, 1)))
    labelling.submit(assignment=assignment, said=Said(ranks=(1, 1), unacceptable=(True, True)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "Give each answer a rank"),
        ({"ranks": (1,)}, "Give each answer a rank"),
        ({"ranks": (1, 2, 3)}, "Give each answer a rank"),
        ({"ranks": (0, 1)}, "Ranks run from 1"),
        ({"ranks": (1, 3)}, "Ranks run from 1"),
        ({"ranks": (2, 2)}, "Ranks run from 1"),
        ({"ranks": (1, 2), "strength": 0}, "Strength runs from 1 to 4"),
        ({"ranks": (1, 2), "strength": 5}, "Strength runs from 1 to 4"),
        ({"ranks": (1, 2), "unacceptable": (True,)}, "unacceptable"),
        ({"ranks": (1, 2), "verdict": "accept"}, "not a verdict"),
        ({"ranks": (1, 2), "seconds": -1}, "time spent"),
        ({"ranks": (1, 2), "seconds": float("nan")}, "time spent"),
        ({"ranks": (1, 2), "seconds": float("inf")}, "time spent"),
        ({"ranks": (1, 2), "comment": "a\0b"}, "NUL"),
        ({"ranks": (1, 2), "comment": "\ud83d"}, "surrogate"),
        ({"ranks": (1, 2), "flags": ["\0"]}, "NUL"),
        ({"ranks": (1, 2), "criteria": {"\0": 1}}, "NUL"),
        ({"ranks": (1, 2), "criteria": {"x": float("inf")}}, "not finite"),
        ({"ranks": (1, 2), "criteria": {"wit": 1}}, "no criterion called wit"),
    ],
)
def test_a_comparison_label_that_does_not_fit_is_refused_and_the_lease_stays(project, bob, said, reason):
    a_comparison(project)
    assignment = lease(bob)
    assert reason in refusal(labelling.submit, assignment=assignment, said=Said(**said))
    assert labelling.submit(assignment=assignment, said=first_is_better()).item == assignment.item


# Demonstrations


def test_accept_keeps_the_original(project, bob):
    item = a_demonstration(project, "A draft.")
    label = submit(bob, Said(verdict="accept"), "demonstration")
    assert label.response == item.responses.get()
    assert Response.objects.count() == 1


def test_edit_makes_an_answer_that_knows_what_it_was_edited_from(project, bob):
    item = a_demonstration(project, "A draft.")
    label = submit(bob, Said(verdict="edit", text="  A better answer.\n"), "demonstration")
    original = item.responses.get()
    assert (label.response.text, label.response.origin) == ("A better answer.", "edit")
    assert (label.response.edited_from, original.text) == (original, "A draft.")


def test_the_same_edit_of_two_people_is_one_answer(project, bob, bea):
    a_demonstration(project, "A draft.", wanted=2)
    labels = [submit(one, Said(verdict="edit", text="Better."), "demonstration") for one in (bob, bea)]
    assert labels[0].response == labels[1].response


def test_reject_keeps_no_text(project, bob):
    a_demonstration(project)
    assert submit(bob, Said(verdict="reject", text="ignored"), "demonstration").response is None


def test_an_answer_is_written_where_there_is_none(project, bob):
    a_demonstration(project, answer=None)
    label = submit(bob, Said(verdict="edit", text="Written."), "demonstration")
    assert (label.response.text, label.response.origin, label.response.edited_from) == ("Written.", "human", None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "Choose accept, edit or reject"),
        ({"verdict": "maybe"}, "Choose accept, edit or reject"),
        ({"verdict": "accept", "ranks": (1,)}, "Choose accept, edit or reject"),
        ({"verdict": "edit"}, "empty"),
        ({"verdict": "edit", "text": " \n\t"}, "empty"),
        ({"verdict": "edit", "text": " A draft.\n"}, "Nothing was changed"),
        ({"verdict": "edit", "text": "a\0b"}, "NUL"),
        ({"verdict": "edit", "text": "\udc00"}, "surrogate"),
        ({"verdict": "reject", "seconds": -0.1}, "time spent"),
    ],
)
def test_a_demonstration_label_that_does_not_fit_is_refused_and_the_lease_stays(project, bob, said, reason):
    a_demonstration(project, "A draft.")
    assignment = lease(bob, "demonstration")
    assert reason in refusal(labelling.submit, assignment=assignment, said=Said(**said))
    assert labelling.submit(assignment=assignment, said=Said(verdict="accept")).item == assignment.item


def test_an_answer_that_is_not_there_cannot_be_accepted(project, bob):
    a_demonstration(project, answer=None)
    assignment = lease(bob, "demonstration")
    assert "no answer to accept" in refusal(labelling.submit, assignment=assignment, said=Said(verdict="accept"))


# Flags


@pytest.mark.parametrize("kind", ["comparison", "demonstration"])
def test_either_kind_of_label_takes_the_projects_flags(project, bob, kind):
    project.flags = ["dull", "rude"]
    project.save()
    a_comparison(project), a_demonstration(project)
    what = {"ranks": (1, 2)} if kind == "comparison" else {"verdict": "reject"}
    assert submit(bob, Said(**what, flags=["rude", "dull", "rude"]), kind).flags == ["rude", "dull"]


@pytest.mark.parametrize("kind", ["comparison", "demonstration"])
def test_a_flag_that_the_project_does_not_have_is_refused(project, bob, kind):
    a_comparison(project), a_demonstration(project)
    what = {"ranks": (1, 2)} if kind == "comparison" else {"verdict": "reject"}
    said = Said(**what, flags=["tone", "odd", "bad"])
    assert "no flag called bad, odd" in refusal(labelling.submit, assignment=lease(bob, kind), said=said)


# Sending again


def test_a_label_sent_again_is_the_same_label(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    said = first_is_better()
    label = labelling.submit(assignment=assignment, said=said)
    again = Said(client_uuid=said.client_uuid, ranks=(2, 1))
    assert labelling.submit(assignment=assignment, said=again) == label
    assert Label.objects.count() == 1
    assert list(label.judgements.values_list("rank", flat=True)) == [1, 2], "the first word counts"


def test_a_label_sent_again_after_it_was_withdrawn_stays_withdrawn(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    said = first_is_better()
    label = labelling.submit(assignment=assignment, said=said)
    labelling.retract(label=label, actor=bob)
    assert labelling.submit(assignment=assignment, said=said) == label
    assert not Label.objects.live().exists()


def test_a_second_label_of_one_person_on_an_item_is_refused(project, bob):
    a_comparison(project, wanted=2)
    assignment = lease(bob)
    labelling.submit(assignment=assignment, said=first_is_better())
    assert "already" in refusal(labelling.submit, assignment=assignment, said=first_is_better())


def test_somebody_elses_uuid_is_refused(project, bob, bea):
    a_comparison(project, wanted=2)
    said = first_is_better(client_uuid=uuid.uuid4())
    submit(bob, said)
    assert "another label" in refusal(labelling.submit, assignment=lease(bea), said=said)


# Too late


def test_a_late_label_is_welcome_while_the_lease_was_not_taken_back(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    let_time_pass([assignment])
    assert labelling.submit(assignment=assignment, said=first_is_better()).pk


def test_a_late_label_is_welcome_if_there_is_room(project, bob):
    item = a_comparison(project)
    assignment = lease(bob)
    let_time_pass([assignment])
    leasing.return_overdue()
    label = labelling.submit(assignment=assignment, said=first_is_better())
    assert list(Label.objects.live()) == [label]
    item.refresh_from_db()
    assert item.taken == 1


@pytest.mark.parametrize("then", ["leased", "submitted"])
def test_a_late_label_is_refused_if_somebody_else_has_the_place(project, bob, bea, then):
    a_comparison(project)
    assignment = lease(bob)
    let_time_pass([assignment])
    theirs = lease(bea)
    if then == "submitted":
        labelling.submit(assignment=theirs, said=first_is_better())
    with pytest.raises(LeaseLost):
        labelling.submit(assignment=assignment, said=first_is_better())
    assert not Label.objects.filter(person=bob.person).exists()
    assignment.refresh_from_db()
    assert assignment.state == "expired"


def test_a_late_label_for_a_dropped_item_is_refused(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    leasing.release(assignment=assignment)
    Item.objects.update(dropped=True)
    with pytest.raises(LeaseLost):
        labelling.submit(assignment=assignment, said=first_is_better())


def test_a_late_label_that_does_not_fit_takes_no_place(project, bob, bea):
    item = a_comparison(project)
    assignment = lease(bob)
    leasing.release(assignment=assignment)
    refusal(labelling.submit, assignment=assignment, said=Said(ranks=(3, 4)))
    assert lease(bea).item == item


def test_the_draft_is_cleared_when_the_label_is_in_and_kept_when_it_is_lost(project, bob, bea):
    a_demonstration(project), a_demonstration(project)
    kept = lease(bob, "demonstration")
    leasing.save_draft(assignment=kept, draft={"text": "typed"})
    labelling.submit(assignment=kept, said=Said(verdict="reject"))
    lost = lease(bob, "demonstration")
    leasing.save_draft(assignment=lost, draft={"text": "typed"})
    let_time_pass([lost])
    lease(bea, "demonstration")
    with pytest.raises(LeaseLost):
        labelling.submit(assignment=lost, said=Said(verdict="reject"))
    kept.refresh_from_db(), lost.refresh_from_db()
    assert (kept.draft, lost.draft) == ({}, {"text": "typed"})
