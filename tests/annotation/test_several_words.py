"""Where an item wants several labels: what is read in one statement to tell whether people disagree."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import label_rows, labelling, reviewing
from annotation.labelling import Said
from annotation.models import Label, Review
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_disagreement,
    lease,
    prefers,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(member):
    return [member(name) for name in ("ben", "bill", "bo")]


def by_the_orm(item):
    return list(
        Label.objects.live().filter(item=item).select_related("response").prefetch_related("judgements").order_by("pk")
    )


def facts(label):
    judged = sorted((one.response_id, one.rank, one.unacceptable) for one in label.judgements.all())
    return label.pk, label.decision, label.verdict, label.response and label.response.text, judged


def assert_read_alike(item):
    """Returns whether they disagree, and whether there is a case."""
    said, has_case = label_rows.said_of(item.pk)
    said.sort(key=lambda label: label.pk)
    expected = by_the_orm(item)
    assert [facts(label) for label in said] == [facts(label) for label in expected]
    assert has_case == Review.objects.open().filter(item=item).exists()
    disagree = [reviewing.disagree(item.kind, labels) for labels in (said, expected) if labels]
    assert len(set(disagree)) <= 1
    return disagree[:1] == [True], has_case


def test_comparisons_are_read_as_the_orm_reads_them(project, people, alice):
    ben, bill, bo = people
    item = a_comparison(project, wanted=3)
    first, second = item.answers.values_list("response_id", flat=True)
    assert assert_read_alike(item) == (False, False)
    label = prefers(ben, item, first)
    labelling.submit(assignment=lease(bill), said=Said(ranks=(1, 1), unacceptable=(True, True)))
    assert assert_read_alike(item) == (True, False)  # the third is to come
    prefers(bo, item, second)
    assert assert_read_alike(item) == (True, True)
    labelling.revise(label=label, said=Said(ranks=(1, 1)))
    labelling.retract(label=Label.objects.get(person=bo.person), actor=alice)
    assert assert_read_alike(item) == (True, False)


def test_demonstrations_are_read_as_the_orm_reads_them(project, people):
    item = a_demonstration(project, "We open at nine.", wanted=3)
    texts = ["We open at nine, from Monday to Friday.", "Come whenever you like; somebody is always there."]
    for member, text in zip(people, texts, strict=False):
        labelling.submit(assignment=lease(member, "demonstration"), said=Said(verdict="edit", text=text))
    assert assert_read_alike(item) == (True, False)
    labelling.submit(assignment=lease(people[2], "demonstration"), said=Said(verdict="reject"))
    assert assert_read_alike(item) == (True, True)


def test_a_decision_is_read_with_the_rest(project, member, people):
    item = a_disagreement(project, *people)
    case = reviewing.next_case(membership=member("rita", "reviewer"))
    labelling.submit(assignment=case.assignment, said=Said(ranks=(1, 2)))
    assert assert_read_alike(item) == (True, False)
    assert [label.decision for label in sorted(label_rows.said_of(item.pk)[0], key=lambda one: one.pk)] == [
        *(False, False, False),
        True,
    ]


def statements(member, item, best):
    """Those that store the member's word that this answer is the best, and what follows from it."""
    assignment = lease(member)
    ranks = [1 if pk == best else 2 for pk in assignment.order]
    with CaptureQueriesContext(connection) as asked:
        labelling.submit(assignment=assignment, said=Said(ranks=ranks))
    found = [one["sql"] for one in asked.captured_queries if "SAVEPOINT" not in one["sql"]]
    (stored,) = [number for number, sql in enumerate(found) if "INSERT INTO annotation_label" in sql]
    return len(found) - stored


def test_a_label_takes_two_statements_and_a_case_three_more(project, people):
    for agree in (True, False):
        item = a_comparison(project, wanted=3)
        first, second = item.answers.values_list("response_id", flat=True)
        assert statements(people[0], item, first) == 2
        assert statements(people[1], item, first) == 2
        assert statements(people[2], item, first if agree else second) == (2 if agree else 5)
        assert Review.objects.open().filter(item=item).exists() != agree
