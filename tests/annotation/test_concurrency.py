"""Many hands in the same queue, each thread with a database connection of its own.

The database's own word is what counts: a monitor looks at it in single statements while the others work, and each
statement sees one moment.
"""

import random
import threading
import uuid
from collections import Counter
from functools import partial
from itertools import repeat

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation import labelling, leasing
from annotation.gold import Right, mark
from annotation.models import Assignment, Item, Label, Membership
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    all_at_once,
    asked,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
    overlabelled,
    until_somebody_waits,
)

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = 20
THREADS = 16
PATIENCE = 60  # seconds until a test that should end by itself is called stuck


class Hammer:
    """People who ask, submit, skip, walk away and come back too late, in many threads, until every label is in."""

    def __init__(self, wanted: int) -> None:
        self.left = ITEMS * wanted
        self.counting = threading.Lock()
        self.over = threading.Event()
        self.happened: Counter[str] = Counter()

    def work(self, member, seed: int) -> None:
        draw = random.Random(seed)
        while not self.over.is_set():
            assignment = leasing.next_assignment(membership=member, kind="comparison")
            if assignment is None:  # others hold what is left: it may come back
                self.over.wait(0.01)
                continue
            what = draw.choices(("submit", "late", "skip", "release", "leave"), (10, 4, 2, 1, 2))[0]
            match what:
                case "submit":
                    self.submit(assignment)
                case "late":
                    let_time_pass([assignment])
                    self.submit(assignment)
                case "skip":
                    leasing.skip(assignment=assignment)
                case "release":
                    leasing.release(assignment=assignment)
                case "leave":
                    let_time_pass([assignment])
            self.note(what)

    def submit(self, assignment: Assignment) -> None:
        try:
            labelling.submit(assignment=assignment, said=first_is_better())
        except labelling.LeaseLost:
            self.note("lost")
        except ValidationError as error:  # another thread of the same person was faster
            self.note(str(error.messages))
        else:
            with self.counting:
                self.left -= 1
                if not self.left:
                    self.over.set()

    def note(self, what: str) -> None:
        with self.counting:
            self.happened[what] += 1

    def take_back(self) -> None:
        while not self.over.is_set():
            if leasing.return_overdue():
                self.note("returned")
            self.over.wait(0.002)

    def monitor(self) -> None:
        while not self.over.wait(0.02):
            self.check()
            self.note("looked")

    def check(self) -> None:
        assert overlabelled() == []
        assert miscounted() == []


@pytest.mark.parametrize("wanted", [1, 2])
def test_two_annotators_hammering_the_queue_never_overfill_an_item_nor_meet_one_twice(project, bob, bea, wanted):
    project.skip_policy = "to_me"  # so that the queue can be emptied
    project.labels_per_item = wanted
    project.save()
    for number in range(ITEMS):
        a_comparison(project, priority=number % 3)
    hammer = Hammer(wanted)
    people = [partial(hammer.work, (bob, bea)[number % 2], number) for number in range(THREADS)]
    try:
        all_at_once(*people, hammer.take_back, hammer.monitor, patience=PATIENCE)
    finally:
        hammer.over.set()

    hammer.check()
    assert Item.objects.filter(taken=wanted).count() == ITEMS
    labels = Label.objects.values_list("item", "person")
    assert len(labels) == len(set(labels)) == ITEMS * wanted
    assert Assignment.objects.filter(state="submitted").count() == ITEMS * wanted
    assert {"late", "skip", "leave", "looked"} <= set(hammer.happened), "the hammering was too mild to show anything"
    refused = set(hammer.happened) - {"submit", "late", "skip", "release", "leave", "looked", "lost", "returned"}
    assert refused <= {"['You have judged this item already.']"}


def test_different_people_asking_at_once_get_different_items(project, member):
    people = [member(f"person{number}") for number in range(THREADS)]
    ask = [partial(leasing.next_assignment, membership=one, kind="comparison") for one in people]
    for _ in range(10):
        items = {a_comparison(project) for _ in range(THREADS // 2)}
        got = [assignment for assignment in all_at_once(*ask) if assignment is not None]
        assert len(got) == len(items)
        assert {assignment.item for assignment in got} == items
        for assignment in got:
            labelling.submit(assignment=assignment, said=first_is_better())


def test_different_people_asking_at_once_all_find_room_where_there_is_room(project, member):
    """Nobody is told that nothing is left because somebody else is being served at that moment."""
    people = [member(f"person{number}") for number in range(THREADS)]
    item = a_comparison(project, wanted=THREADS - 1)
    got = all_at_once(*(partial(leasing.next_assignment, membership=one, kind="comparison") for one in people))
    assert [assignment.item for assignment in got if assignment is not None] == [item] * (THREADS - 1)
    assert miscounted() == []


def test_two_pages_of_one_person_asking_at_once_share_one_lease(project, bob):
    for _ in range(4):
        a_comparison(project)
    ask = partial(leasing.next_assignment, membership=bob, kind="comparison")
    got = all_at_once(*repeat(ask, THREADS))
    assert len({assignment.pk for assignment in got}) == 1
    assert Assignment.objects.count() == 1
    assert miscounted() == []


def test_the_same_label_sent_many_times_at_once_is_stored_once(project, bob):
    a_demonstration(project)
    said = labelling.Said(client_uuid=uuid.uuid4(), verdict="edit", text="Better.")
    send = partial(labelling.submit, assignment=lease(bob, "demonstration"), said=said)
    got = all_at_once(*repeat(send, THREADS))
    assert {label.pk for label in got} == {Label.objects.get().pk}
    assert miscounted() == []


def test_one_uuid_sent_for_two_items_at_once_is_one_label(project, bob, bea):
    a_comparison(project, wanted=2)
    shared = uuid.uuid4()

    def send(member):
        try:
            return labelling.submit(assignment=assignments[member], said=first_is_better(client_uuid=shared))
        except ValidationError:
            return None

    assignments = {member: lease(member) for member in (bob, bea)}
    got = all_at_once(partial(send, bob), partial(send, bea))
    assert [label is None for label in got].count(True) == 1
    assert Label.objects.get().client_uuid == shared
    assert Assignment.objects.filter(state="submitted").count() == 1


def test_different_words_of_one_person_at_once_leave_one_label(project, bob):
    a_comparison(project)
    assignment = lease(bob)

    def send():
        try:
            return labelling.submit(assignment=assignment, said=first_is_better())
        except ValidationError:
            return None

    got = all_at_once(*repeat(send, THREADS))
    assert [label for label in got if label is not None] == [Label.objects.get()]


def test_a_late_label_and_the_same_item_asked_for_again_do_not_wait_for_each_other(project, bob):
    """Two pages of one person: one sends a label whose lease has ended, the other asks for the next item."""
    for _ in range(15):
        a_comparison(project)
        assignment = lease(bob)
        leasing.release(assignment=assignment)
        label, _ = all_at_once(
            partial(labelling.submit, assignment=assignment, said=first_is_better()),
            partial(leasing.next_assignment, membership=bob, kind="comparison"),
        )
        assert Label.objects.live().get(item=assignment.item) == label
    assert miscounted() == []


def test_a_label_withdrawn_many_times_at_once_gives_one_place_back(project, bob, alice):
    item = a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())

    def retract():
        try:
            labelling.retract(label=label, actor=alice)
        except ValidationError:
            return False
        return True

    assert all_at_once(*repeat(retract, THREADS)).count(True) == 1
    item.refresh_from_db()
    assert item.taken == 0


def test_a_label_revised_many_times_at_once_has_one_successor(project, bob):
    a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())

    def revise():
        try:
            return labelling.revise(label=label, said=labelling.Said(ranks=(2, 1)))
        except ValidationError:
            return None

    got = [revision for revision in all_at_once(*repeat(revise, THREADS)) if revision is not None]
    assert got == [Label.objects.live().get()]
    assert got[0].supersedes == label


def test_gold_is_mixed_in_at_its_share_by_many_hands_and_nothing_is_collected_twice(project, member):
    """Of n draws at share p, the number of gold items lies within 4 standard deviations of n p, but for one test run
    in 15,000."""
    share, people, draws = 0.25, [member(f"person{number}") for number in range(8)], 15
    project.gold_share = share
    project.save()
    for _ in range(draws * len(people) + len(people)):
        a_comparison(project)
    for _ in range(draws):
        known = a_comparison(project)
        first, second = known.responses.all()
        mark(item=known, right=Right(ranks={first.pk: 1, second.pk: 2}))

    def work(person):
        person = Membership.objects.select_related("project", "person").get(pk=person.pk)
        for _ in range(draws):
            labelling.submit(assignment=lease(person), said=first_is_better())

    all_at_once(*(partial(work, person) for person in people), patience=PATIENCE)
    total = draws * len(people)
    found = Label.objects.filter(item__purpose="gold").count()
    spread = (total * share * (1 - share)) ** 0.5
    assert abs(found - total * share) < 4 * spread
    assert Label.objects.filter(gold_correct__isnull=False).count() == found
    assert Label.objects.count() == total
    assert overlabelled() == []
    assert miscounted() == []
    ordinary = Label.objects.filter(item__purpose="train").values_list("item", flat=True)
    assert len(ordinary) == len(set(ordinary))


def test_gold_answered_and_somebody_paused_while_leases_are_taken_back_do_not_wait_for_each_other(project, bob):
    project.gold_threshold, project.gold_minimum = 1, 1
    project.save()
    for _ in range(10):
        Membership.objects.filter(pk=bob.pk).update(paused_at=None)
        known, other = a_comparison(project), a_demonstration(project)
        first, second = known.responses.all()
        made = mark(item=known, right=Right(ranks={first.pk: 1, second.pk: 2}))
        assignment = asked(made, bob)
        ranks = [2 if pk == first.pk else 1 for pk in assignment.order]
        drafts = lease(Membership.objects.get(pk=bob.pk), "demonstration")
        let_time_pass([assignment, drafts])
        all_at_once(
            partial(labelling.submit, assignment=assignment, said=labelling.Said(ranks=ranks)),
            leasing.return_overdue,
            leasing.return_overdue,
        )
        assert Membership.objects.get(pk=bob.pk).paused_at
        assert Item.objects.get(pk=other.pk).taken == 0
        Assignment.objects.filter(item=other).delete()
        other.delete()
    assert miscounted() == []


@pytest.mark.parametrize("again", [True, False], ids=["the same label", "another"])
def test_a_label_that_waits_while_one_is_stored_and_taken_back_is_looked_at_again(project, bob, again):
    a_comparison(project)
    assignment = lease(bob)
    first = first_is_better()
    second = first if again else first_is_better()
    stored = threading.Event()

    def say_and_take_back() -> Label:
        with transaction.atomic():
            label = labelling.submit(assignment=assignment, said=first)
            labelling.undo(assignment=assignment)
            stored.set()
            until_somebody_waits()
            return label

    def say() -> Label:
        stored.wait(PATIENCE)
        return labelling.submit(assignment=Assignment.objects.get(pk=assignment.pk), said=second)

    withdrawn, label = all_at_once(say_and_take_back, say)

    assert label.resent == again
    assert (label if again else label.supersedes) == withdrawn
    assert Assignment.objects.get().state == ("leased" if again else "submitted")
    assert miscounted() == overlabelled() == []
