"""Who gets what next, for how long, and what happens when they leave."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import labelling, leasing
from annotation.models import Assignment, Event, Item, Membership, Project, User
from annotation.models.events import record
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
)


def next_item(member, kind="comparison"):
    assignment = leasing.next_assignment(membership=member, kind=kind)
    return assignment and assignment.item


@pytest.fixture(autouse=True)
def _taken_is_what_people_hold(project):
    yield
    assert miscounted() == []


# Getting an item


def test_a_lease_lasts_as_long_as_the_project_says(project, bob):
    project.lease_minutes = 7
    project.save()
    item = a_comparison(project)
    before = timezone.now()
    assignment = lease(bob)
    assert (assignment.item, assignment.person, assignment.state) == (item, bob.person, "leased")
    assert timedelta(minutes=7) <= assignment.lease_until - before <= timedelta(minutes=7, seconds=5)
    item.refresh_from_db()
    assert item.taken == 1


def test_an_archived_project_hands_out_nothing(project, bob):
    a_comparison(project)
    project.archived = True
    project.save()
    assert leasing.next_assignment(membership=Membership.objects.get(pk=bob.pk), kind="comparison") is None


def test_nothing_to_do_is_none(project, bob):
    assert next_item(bob) is None
    a_demonstration(project)
    assert next_item(bob) is None
    assert next_item(bob, "demonstration") is not None


def test_an_item_of_another_project_is_not_given(project, bob):
    a_comparison(Project.objects.create(slug="other", name="Other"))
    assert next_item(bob) is None


def test_a_dropped_item_is_not_given(project, bob):
    Item.objects.filter(pk=a_comparison(project).pk).update(dropped=True)
    assert next_item(bob) is None


def test_the_highest_priority_comes_first_and_then_the_oldest(project, bob):
    old, young, urgent, last = (a_comparison(project, priority=priority) for priority in (0, 0, 5.5, -1))
    order = []
    while (assignment := leasing.next_assignment(membership=bob, kind="comparison")) is not None:
        labelling.submit(assignment=assignment, said=first_is_better())
        order.append(assignment.item)
    assert order == [urgent, old, young, last]


def test_people_get_different_items(project, bob, bea):
    a_comparison(project), a_comparison(project)
    assert next_item(bob) != next_item(bea)


def test_as_many_people_get_an_item_as_labels_are_wanted(project, bob, bea, member):
    item = a_comparison(project, wanted=2)
    assert next_item(bob) == next_item(bea) == item
    assert next_item(member("ben")) is None


def test_a_judged_item_does_not_come_back_to_the_same_person(project, bob):
    a_comparison(project, wanted=3)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    assert next_item(bob) is None


def test_a_withdrawn_label_does_not_bring_its_item_back_to_the_same_person(project, bob, bea, alice):
    item = a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())
    labelling.retract(label=label, actor=alice)
    assert next_item(bob) is None
    assert next_item(bea) == item


def test_someone_who_left_the_project_gets_nothing(project, bob):
    a_comparison(project)
    stale = Membership.objects.get(pk=bob.pk)
    bob.delete()
    with pytest.raises(Membership.DoesNotExist):
        leasing.next_assignment(membership=stale, kind="comparison")


# A lease of one's own


def test_ones_own_lease_is_renewed_before_a_new_one_is_given(project, bob):
    a_comparison(project), a_comparison(project, priority=9)
    first = lease(bob)
    Assignment.objects.filter(pk=first.pk).update(lease_until=timezone.now() + timedelta(minutes=1))
    a_comparison(project, priority=99)
    again = lease(bob)
    assert again.pk == first.pk
    assert again.order == first.order
    again.refresh_from_db()
    assert again.lease_until >= first.lease_until
    assert Assignment.objects.count() == 1


def test_ones_own_overdue_lease_is_renewed_too(project, bob, bea):
    a_comparison(project)
    first = lease(bob)
    let_time_pass([first])
    assert lease(bob).pk == first.pk
    assert leasing.return_overdue() == 0
    assert next_item(bea) is None


def test_a_lease_of_the_other_kind_stays_where_it_is(project, bob):
    a_demonstration(project), a_comparison(project)
    demonstration = lease(bob, "demonstration")
    comparison = lease(bob, "comparison")
    assert demonstration.item != comparison.item
    assert lease(bob, "demonstration").pk == demonstration.pk


def test_a_lease_in_another_project_stays_where_it_is(project, bob):
    other = Project.objects.create(slug="other", name="Other")
    there = Membership.objects.create(person=bob.person, project=other)
    a_comparison(project), a_comparison(other)
    assert lease(bob).item.project == project
    assert lease(there).item.project == other


def test_a_lease_on_an_item_that_was_dropped_meanwhile_is_not_renewed(project, bob):
    a_comparison(project, priority=1)
    other = a_comparison(project)
    held = lease(bob)
    Item.objects.filter(pk=held.item_id).update(dropped=True)
    assert next_item(bob) == other


# Skipping


@pytest.mark.parametrize("policy", ["to_me", "to_others", "drop"])
def test_a_skipped_item_follows_the_policy(project, bob, bea, policy):
    project.skip_policy = policy
    project.save()
    skipped, rest = a_comparison(project, priority=1), a_comparison(project)
    assert leasing.skip(assignment=lease(bob), reason="not my language")
    assignment = Assignment.objects.get(item=skipped)
    assert (assignment.state, assignment.skip_reason) == ("skipped", "not my language")
    assert next_item(bob) == rest, "the rest comes first, whatever the policy"
    labelling.submit(assignment=lease(bob), said=first_is_better())
    assert next_item(bob) == (skipped if policy == "to_me" else None)
    if policy == "to_me":
        assert leasing.release(assignment=Assignment.objects.get(item=skipped))
    assert next_item(bea) == (None if policy == "drop" else skipped)


def test_an_item_that_comes_back_after_a_skip_has_no_reason_left(project, bob):
    project.skip_policy = "to_me"
    project.save()
    a_comparison(project)
    leasing.skip(assignment=lease(bob), reason="later")
    again = lease(bob)
    again.refresh_from_db()
    assert (again.state, again.skip_reason, again.ended_at) == ("leased", "", None)


def test_a_skip_is_on_record(project, bob):
    item = a_comparison(project)
    leasing.skip(assignment=lease(bob), reason="unclear")
    event = Event.objects.get(verb="item skipped")
    assert (event.actor, event.target, event.data["reason"]) == (bob.person, f"item:{item.pk}", "unclear")


def test_a_skip_counts_once(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    assert leasing.skip(assignment=assignment)
    assert not leasing.skip(assignment=assignment)
    assert not leasing.release(assignment=assignment)


def test_what_was_judged_cannot_be_skipped(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    labelling.submit(assignment=assignment, said=first_is_better())
    assert not leasing.skip(assignment=assignment)
    assert not leasing.release(assignment=assignment)
    assert Event.objects.filter(verb="item skipped").count() == 0


@pytest.mark.parametrize("reason", ["a\0b", "half \ud800", "long " * 100], ids=["NUL", "surrogate", "long"])
def test_no_reason_is_too_odd_to_be_kept(project, bob, reason):
    a_comparison(project)
    assignment = lease(bob)
    assert leasing.skip(assignment=assignment, reason=reason)
    assignment.refresh_from_db()
    assert assignment.skip_reason[:2] == reason[:2].replace("\0", "�")


# Leases that end


def test_an_overdue_lease_goes_to_the_next_who_asks(project, bob, bea):
    item = a_comparison(project)
    held = lease(bob)
    assert next_item(bea) is None
    let_time_pass([held])
    assert next_item(bea) == item
    held.refresh_from_db()
    assert held.state == "expired"
    assert held.ended_at is not None


def test_return_overdue_brings_an_item_back_even_to_the_same_person(project, bob):
    item = a_comparison(project)
    held = lease(bob)
    assert leasing.return_overdue() == 0
    let_time_pass([held])
    assert leasing.return_overdue() == 1
    assert leasing.return_overdue() == 0
    item.refresh_from_db()
    assert item.taken == 0
    again = lease(bob)
    assert again.pk == held.pk
    assert again.state == "leased"
    assert again.ended_at is None


def test_return_overdue_frees_every_place_of_an_item(project, bob, bea):
    item = a_comparison(project, wanted=3)
    let_time_pass([lease(bob), lease(bea)])
    assert leasing.return_overdue() == 2
    item.refresh_from_db()
    assert item.taken == 0


def test_return_overdue_can_keep_to_one_project(project, bob):
    other = Project.objects.create(slug="other", name="Other")
    there = Membership.objects.create(person=bob.person, project=other)
    a_comparison(project), a_comparison(other)
    let_time_pass([lease(bob), lease(there)])
    assert leasing.return_overdue(project_id=other.pk) == 1
    assert Assignment.objects.get(item__project=project).state == "leased"
    assert leasing.return_overdue() == 1


def test_return_overdue_leaves_judged_and_skipped_items_alone(project, bob, bea):
    a_comparison(project, wanted=2)
    judged, skipped = lease(bob), lease(bea)
    let_time_pass([judged, skipped])
    labelling.submit(assignment=judged, said=first_is_better())
    leasing.skip(assignment=skipped)
    assert leasing.return_overdue() == 0


def test_an_item_that_comes_back_stands_in_the_order_of_the_first_time(project, bob):
    """A page opened under the first lease may still be sent: its left answer must stay the left answer."""
    items = [a_comparison(project, answers=[f"answer {n}" for n in range(8)]) for _ in range(3)]
    first = [lease(bob)]
    for _ in items[1:]:
        leasing.skip(assignment=first[-1])
        first.append(lease(bob))
    Assignment.objects.filter(state="skipped").update(state="expired")
    let_time_pass(first)
    leasing.return_overdue()
    for before in sorted(first, key=lambda assignment: assignment.item_id):
        again = lease(bob)
        assert (again.pk, again.order) == (before.pk, before.order)
        labelling.submit(assignment=again, said=labelling.Said(ranks=range(1, 9)))


def test_release_gives_the_item_back_at_once(project, bob, bea):
    item = a_comparison(project)
    assert leasing.release(assignment=lease(bob))
    assert next_item(bea) == item


def test_a_released_item_may_come_back_to_the_same_person(project, bob):
    item = a_comparison(project)
    assert leasing.release(assignment=lease(bob))
    assert next_item(bob) == item


# Staying


def test_heartbeat_renews_a_lease(project, bob, bea):
    a_comparison(project)
    held = lease(bob)
    let_time_pass([held])
    assert leasing.heartbeat(assignment=held)
    assert leasing.return_overdue() == 0
    assert next_item(bea) is None


@pytest.mark.parametrize("end", [leasing.skip, leasing.release])
def test_heartbeat_and_draft_do_not_bring_a_lease_back(project, bob, end):
    a_comparison(project)
    held = lease(bob)
    end(assignment=held)
    assert not leasing.heartbeat(assignment=held)
    assert not leasing.save_draft(assignment=held, draft={"text": "late"})
    held.refresh_from_db()
    assert held.draft == {}


def test_a_draft_is_kept_with_the_lease_and_comes_back_with_the_item(project, bob):
    a_demonstration(project)
    held = lease(bob, "demonstration")
    let_time_pass([held])
    assert leasing.save_draft(assignment=held, draft={"text": "half a thought"})
    assert leasing.return_overdue() == 0
    let_time_pass([held])
    assert leasing.return_overdue() == 1
    assert lease(bob, "demonstration").draft == {"text": "half a thought"}


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "surrogate"])
def test_a_draft_of_odd_characters_is_kept_without_them(project, bob, text):
    a_demonstration(project)
    held = lease(bob, "demonstration")
    assert leasing.save_draft(assignment=held, draft={"text": text})
    held.refresh_from_db()
    assert held.draft == {"text": "a�b"}


# What the database itself refuses


def test_the_database_refuses_more_takers_than_wanted(project):
    item = a_comparison(project, wanted=1)
    with pytest.raises(IntegrityError, match="item_never_over_wanted"), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(taken=2)


def test_the_database_refuses_to_want_less_than_is_taken(project, bob):
    item = a_comparison(project, wanted=1)
    lease(bob)
    with pytest.raises(IntegrityError, match="item_never_over_wanted"), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(wanted=0)


def test_the_database_refuses_a_second_assignment_of_a_person_to_an_item(project, bob):
    a_comparison(project)
    held = lease(bob)
    held.pk = None
    with pytest.raises(IntegrityError, match="nobody_meets_an_item_twice"), transaction.atomic():
        held.save(force_insert=True)


def test_an_event_names_the_actor_and_the_row(project, alice):
    event = record("looked", alice, project=project, actor=alice.person, how="twice")
    assert (event.target, event.data) == (f"membership:{alice.pk}", {"how": "twice"})
    assert User.objects.filter(events=event).get() == alice.person
