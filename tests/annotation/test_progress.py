"""How far the work is, and what waits for whom: the figures agree with what people are really given."""

import pytest

from annotation import labelling, leasing, progress
from annotation.models import Item, Project
from annotation.progress import Progress
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease, let_time_pass


def submit(member):
    return labelling.submit(assignment=lease(member), said=first_is_better())


def done(project):
    return progress.of_project(project)["comparison"].done


def waits(member):
    return progress.waiting_for(member)["comparison"]


def can_be_given(member):
    """How many items a person really gets, one after the other."""
    count = 0
    while leasing.next_assignment(membership=member, kind="comparison") is not None:
        submit(member)
        count += 1
    return count


def test_a_project_without_items_is_neither_done_nor_divided_by_zero(project, bob):
    nothing = Progress(kind="comparison", items=0, done=0, wanted=0)
    assert progress.of_project(project)["comparison"] == nothing
    assert (nothing.left, nothing.percent) == (0, 0)
    assert progress.waiting_for(bob) == {"demonstration": 0, "comparison": 0}


def test_labels_are_counted_against_what_is_wanted_by_kind(project, bob):
    for _ in range(2):
        a_comparison(project, wanted=2)
    a_demonstration(project)
    submit(bob)
    lease(bob)
    assert progress.of_project(project) == {
        "comparison": Progress(kind="comparison", items=2, done=1, wanted=4),
        "demonstration": Progress(kind="demonstration", items=1, done=0, wanted=1),
    }
    assert progress.of_project(project)["comparison"].left == 3
    assert progress.of_project(project)["comparison"].percent == 25


def test_withdrawn_and_replaced_labels_do_not_count(project, bob, alice):
    a_comparison(project)
    label = submit(bob)
    assert done(project) == progress.labels_by(bob.person, project) == 1
    revised = labelling.revise(label=label, said=first_is_better())
    assert done(project) == progress.labels_by(bob.person, project) == 1
    labelling.retract(label=revised, actor=alice)
    assert done(project) == progress.labels_by(bob.person, project) == 0


def test_a_dropped_item_counts_neither_as_wanted_nor_as_done(project, bob):
    a_comparison(project), a_comparison(project)
    label = submit(bob)
    Item.objects.filter(pk=label.item_id).update(dropped=True)
    assert progress.of_project(project)["comparison"] == Progress(kind="comparison", items=1, done=0, wanted=1)


def test_projects_and_people_are_counted_apart(project, bob, bea):
    other = Project.objects.create(slug="other", name="Other")
    a_comparison(project), a_comparison(other)
    submit(bob)
    assert (done(project), done(other)) == (1, 0)
    assert progress.labels_by(bea.person, project) == 0
    assert progress.labels_by(bob.person, other) == 0


def test_what_somebody_else_holds_does_not_wait_for_me_but_for_them(project, bob, bea):
    a_comparison(project)
    assert (waits(bob), waits(bea)) == (1, 1)
    lease(bob)
    assert (waits(bob), waits(bea)) == (1, 0)
    submit(bob)
    assert (waits(bob), waits(bea)) == (0, 0)


def test_what_i_judged_does_not_wait_for_me_whatever_others_do_with_it(project, bob, bea, member):
    """Another person's lease on the item says nothing about mine."""
    a_comparison(project, wanted=4)
    submit(bob)
    held = lease(bea)
    assert (waits(bob), waits(bea), waits(member("ben"))) == (0, 1, 1)
    leasing.release(assignment=held)
    assert (waits(bob), waits(bea)) == (0, 1)


@pytest.mark.parametrize("policy", ["to_me", "to_others", "drop"])
def test_what_i_skipped_waits_for_whom_the_policy_says(project, bob, bea, policy):
    project.skip_policy = policy
    project.save()
    for member in (bob, bea):
        member.project.skip_policy = policy
    a_comparison(project)
    leasing.skip(assignment=lease(bob))
    assert waits(bob) == (policy == "to_me")
    assert waits(bea) == (policy != "drop")
    assert [can_be_given(member) for member in (bob, bea)] == [policy == "to_me", policy == "to_others"]


def test_what_waits_is_what_is_given(project, bob, bea, alice):
    for number in range(12):
        a_comparison(project, wanted=1 + number % 3)
    for member in (bob, bea):
        for end in (leasing.skip, leasing.release):
            end(assignment=lease(member))
        for _ in range(3):
            submit(member)
    let_time_pass([lease(bea)])
    leasing.return_overdue()
    labelling.retract(label=submit(bob), actor=alice)
    lease(alice)
    Item.objects.filter(pk=Item.objects.filter(taken=0).first().pk).update(dropped=True)
    waiting = waits(bob)
    assert 0 < waiting < 11
    assert can_be_given(bob) == waiting
    waiting = waits(bea)
    assert 0 < waiting < 11
    assert can_be_given(bea) == waiting
