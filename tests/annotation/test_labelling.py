"""Saying something about an item: what is stored, what is refused, and what can never be undone."""

import uuid
from collections import Counter

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from annotation import labelling, leasing
from annotation.asking import ask
from annotation.gold import Right, mark
from annotation.labelling import LeaseLost, Said
from annotation.models import Event, Item, Judgement, Label, Response
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_prompt,
    an_answer,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
    overlabelled,
)


@pytest.fixture(autouse=True)
def _nothing_is_overfull(project):
    yield
    assert miscounted() == []
    assert overlabelled() == []


def submit(member, said, kind="comparison"):
    return labelling.submit(assignment=lease(member, kind), said=said)


def refusal(verb, **arguments):
    """What a verb says when it refuses; nothing was stored."""
    before = (Label.objects.count(), Judgement.objects.count(), Response.objects.count())
    with pytest.raises(ValidationError) as refused:
        verb(**arguments)
    assert (Label.objects.count(), Judgement.objects.count(), Response.objects.count()) == before
    return " ".join(refused.value.messages)


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


# Revising and withdrawing


def test_a_revision_replaces_a_label_and_leaves_it_on_record(project, bob):
    a_comparison(project)
    first = submit(bob, first_is_better())
    second = labelling.revise(label=first, said=Said(ranks=(2, 1)))
    assert second.supersedes == first
    assert list(Label.objects.live()) == [second]
    assert list(first.judgements.values_list("rank", flat=True)) == [1, 2]
    assert list(second.judgements.values_list("rank", flat=True)) == [2, 1]


def test_a_revision_sent_again_is_the_same(project, bob):
    a_comparison(project)
    first = submit(bob, first_is_better())
    said = Said(ranks=(2, 1))
    second = labelling.revise(label=first, said=said)
    assert labelling.revise(label=first, said=said) == second
    assert Label.objects.count() == 2


def test_only_the_live_label_can_be_revised(project, bob):
    a_comparison(project)
    first = submit(bob, first_is_better())
    second = labelling.revise(label=first, said=first_is_better())
    assert "already" in refusal(labelling.revise, label=first, said=first_is_better())
    labelling.retract(label=second, actor=bob)
    assert "already" in refusal(labelling.revise, label=second, said=first_is_better())


def test_a_revision_must_fit_and_bring_a_uuid_of_its_own(project, bob):
    a_comparison(project)
    said = first_is_better()
    first = submit(bob, said)
    assert "rank" in refusal(labelling.revise, label=first, said=Said(ranks=(1,)))
    refusal(labelling.revise, label=first, said=said)
    assert list(Label.objects.live()) == [first]


def test_a_withdrawn_label_counts_for_nothing_and_its_item_asks_for_another(project, bob, bea, alice):
    item = a_comparison(project)
    label = submit(bob, first_is_better())
    labelling.retract(label=label, actor=alice)
    label.refresh_from_db()
    assert label.retracted_at is not None
    assert not Label.objects.live().exists()
    assert lease(bea).item == item
    event = Event.objects.get(verb="label retracted")
    assert (event.actor, event.target) == (alice.person, f"label:{label.pk}")


def test_a_label_can_be_withdrawn_once(project, bob, alice):
    a_comparison(project)
    label = submit(bob, first_is_better())
    labelling.retract(label=label, actor=alice)
    assert "already" in refusal(labelling.retract, label=label, actor=alice)


def test_a_revised_label_cannot_be_withdrawn_but_its_revision_can(project, bob, alice):
    a_comparison(project)
    first = submit(bob, first_is_better())
    second = labelling.revise(label=first, said=first_is_better())
    assert "already" in refusal(labelling.retract, label=first, actor=alice)
    labelling.retract(label=second, actor=alice)
    assert not Label.objects.live().exists(), "the first one does not come back"


def test_whoever_withdrew_a_label_may_judge_again_while_there_is_room(project, bob, bea):
    a_comparison(project)
    assignment = lease(bob)
    first = labelling.submit(assignment=assignment, said=first_is_better())
    labelling.retract(label=first, actor=bob)
    second = labelling.submit(assignment=assignment, said=Said(ranks=(2, 1)))
    assert second.supersedes == first
    assert list(Label.objects.live()) == [second]

    labelling.retract(label=second, actor=bob)
    submit(bea, first_is_better())
    with pytest.raises(LeaseLost):
        labelling.submit(assignment=assignment, said=first_is_better())


# What may be trained on


def test_labels_on_gold_items_held_out_prompts_or_withdrawn_ones_are_not_trained_on(project, bob, alice):
    gold = a_comparison(project)
    held_out = a_prompt(project, split="heldout")
    answers = [an_answer(held_out, text) for text in ("a", "b")]
    ask(project=project, prompt=held_out, kind="comparison", responses=answers)
    withdrawn, kept = a_comparison(project), a_comparison(project)
    labels = {label.item: label for label in (submit(bob, first_is_better()) for _ in range(4))}
    labelling.retract(label=labels[withdrawn], actor=alice)
    first, second = gold.responses.all()
    mark(item=gold, right=Right(ranks={first.pk: 1, second.pk: 2}))
    assert gold in labels
    assert list(Label.objects.trainable()) == [labels[kept]]


# The database holds everybody to it


def run(sql, *arguments):
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)


@pytest.fixture
def label(project, bob):
    a_comparison(project)
    return submit(bob, first_is_better())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE annotation_label SET comment = 'never said'",
        "UPDATE annotation_label SET person_id = person_id + 1",
        "UPDATE annotation_label SET retracted_at = now(), comment = 'never said'",
        "DELETE FROM annotation_label",
        "UPDATE annotation_judgement SET rank = 3 - rank",
        "UPDATE annotation_judgement SET unacceptable = true",
        "DELETE FROM annotation_judgement",
        "UPDATE annotation_event SET verb = 'never done'",
        "DELETE FROM annotation_event",
    ],
)
def test_nothing_that_was_said_can_be_changed_or_deleted(project, label, alice, sql):
    labelling.retract(label=submit_another(project, alice), actor=alice)  # so that there is an event
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(sql)


def submit_another(project, member):
    a_comparison(project)
    return submit(member, first_is_better())


def test_a_label_is_marked_as_withdrawn_once_and_for_ever(label):
    with transaction.atomic():
        run("UPDATE annotation_label SET retracted_at = now()")
        for sql in ("retracted_at = NULL", "retracted_at = '2001-01-01'"):
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                run(f"UPDATE annotation_label SET {sql}")
        transaction.set_rollback(True)


def test_the_orm_cannot_change_or_delete_a_label_either(label):
    label.comment = "never said"
    with pytest.raises(IntegrityError), transaction.atomic():
        label.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.update(retracted_at=timezone.now(), seconds=1)
    with pytest.raises((IntegrityError, ProtectedError)), transaction.atomic():
        label.delete()


@pytest.mark.parametrize("owner", ["project", "item", "assignment", "person"])
def test_nothing_a_label_stands_on_can_be_deleted(label, owner):
    with pytest.raises(ProtectedError), transaction.atomic():
        getattr(label, owner).delete()


def test_the_database_refuses_a_second_first_label_for_an_assignment(label):
    other = Label(project=label.project, item=label.item, assignment=label.assignment, person=label.person)
    with pytest.raises(IntegrityError, match="one_first_label_per_assignment"), transaction.atomic():
        other.save()


def test_the_database_refuses_a_kept_text_that_is_not_there(label):
    other = Label(
        project=label.project,
        item=label.item,
        assignment=label.assignment,
        person=label.person,
        supersedes=label,
        verdict="accept",
    )
    with pytest.raises(IntegrityError, match="kept_text_is_there"), transaction.atomic():
        other.save()


def test_that_nothing_came_after_a_label_is_an_anti_join(db):
    """An outer join with `IS NULL` is estimated as one row, and whatever comes after it as loops."""
    assert "Anti Join" in Label.objects.live().explain()
