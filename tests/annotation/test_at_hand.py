"""What is read in one statement by hand is what the ORM reads row by row."""

import pytest
from django.db import connection

from annotation import at_hand, label_rows, labelling
from annotation.gold import Right, mark
from annotation.labelling import Said
from annotation.labelserializers import (
    AssignmentSerializer,
    JudgementSerializer,
    LabelSerializer,
    assignment_as_told,
    label_as_told,
)
from annotation.models import Assignment, Item, Judgement, Label, Membership
from annotation.prepared import ask
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease

pytestmark = pytest.mark.django_db


def columns(row):
    """Everything a row holds, by name; reading what was left out asks the database for it."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def same(one, other):
    return type(one) is type(other) and columns(one) == columns(other)


def as_read_by_the_orm(pk):
    return Assignment.objects.select_related("item__project", "item__prompt", "person").get(pk=pk)


@pytest.mark.parametrize("make", [a_comparison, a_demonstration, lambda project: a_demonstration(project, None)])
def test_an_assignment_is_read_with_all_that_belongs_to_it(project, bob, make):
    kind = make(project).kind
    leased = lease(bob, kind)
    found, member = at_hand.read(leased.pk)
    expected = as_read_by_the_orm(leased.pk)
    for one in (found, leased):
        assert same(one, expected)
        assert same(one.item, expected.item)
        assert same(one.item.prompt, expected.item.prompt)
        assert [columns(answer) for answer in one.shown()] == [columns(answer) for answer in expected.shown()]
    assert same(found.item.project, expected.item.project)
    assert same(member, Membership.objects.get(pk=bob.pk))
    assert member.newest_guidelines == project.current_guidelines
    assert getattr(found.item, "gold", None) is None


def test_gold_comes_with_its_item(project, bob):
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]), explanation="It is fine.")
    found, _ = at_hand.read(asked(known, bob).pk)
    assert same(found.item.gold, known)


def test_who_left_has_no_membership_and_what_is_not_there_is_none(project, bob):
    a_comparison(project)
    leased = lease(bob)
    bob.delete()
    found, member = at_hand.read(leased.pk)
    assert (found.pk, member) == (leased.pk, None)
    assert at_hand.read(leased.pk + 1) is None
    assert at_hand.read(2**70) is None


def test_a_label_keeps_every_column_it_has(project, bob):
    """A column that the statement forgets would silently stay empty."""
    for model in (Label, Judgement):
        by_itself = {"id", "retracted_at"}
        assert all(
            field.column in label_rows.ROWS for field in model._meta.concrete_fields if field.name not in by_itself
        )
    project.criteria, project.flags = ["honest"], ["tone"]
    project.save()
    a_comparison(project)
    said = Said(ranks=(2, 1), unacceptable=(True, False), strength=2, criteria={"honest": 1}, flags=["tone"],
                comment="So.", seconds=2.5)  # fmt: skip
    label = labelling.submit(assignment=lease(bob), said=said)
    kept = Label.objects.get()
    assert same(label, kept)
    assert [columns(one) for one in label.judgements.all()] == [
        columns(one) for one in Judgement.objects.filter(label=kept)
    ]
    assert kept.criteria == {"honest": kept.assignment.order[1]}


def test_a_label_goes_its_plain_way_only_where_the_lease_runs_and_nothing_was_said(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    label = labelling.submit(assignment=assignment, said=first_is_better())
    again = Label(**{**columns(label), "id": None, "client_uuid": Said().client_uuid})
    assert not label_rows.store_first(again, first_is_better(), assignment.shown())
    Assignment.objects.update(state="leased")
    assert not label_rows.store_first(again, first_is_better(), assignment.shown())
    assert Label.objects.get() == label
    assert Item.objects.get().taken == 1


def test_what_is_told_is_what_the_document_describes(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    assert set(assignment_as_told(assignment)) == set(AssignmentSerializer().fields)
    label = labelling.submit(assignment=assignment, said=first_is_better())
    told = label_as_told(label, lead=True)
    assert set(told) == set(LabelSerializer().fields)
    assert set(told["judgements"][0]) == set(JudgementSerializer().fields)
    assert LabelSerializer(label, context={"lead": True}).data == told


def test_a_statement_that_comes_again_is_planned_once(db):
    for number in range(4):
        assert ask("SELECT %(number)s::bigint AS planned_once", {"number": number}) == [(number,)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%planned_once%'")
        assert cursor.fetchone() == (1,)
