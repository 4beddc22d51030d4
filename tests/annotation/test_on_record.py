"""What was said stays on record: revised, withdrawn, never changed, and the database holds everybody to it."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from annotation import labelling
from annotation.asking import ask
from annotation.gold import Right, mark
from annotation.labelling import LeaseLost, Said
from annotation.models import Event, Label
from tests.annotation.making import a_comparison, a_prompt, an_answer, first_is_better, lease, miscounted, overlabelled
from tests.annotation.saying import refusal, submit


@pytest.fixture(autouse=True)
def _nothing_is_overfull(project):
    yield
    assert miscounted() == []
    assert overlabelled() == []


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
