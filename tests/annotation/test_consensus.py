"""What people say together: the published example, whose word weighs how much, decisions, and when it is made anew."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from django_q.models import OrmQ

from annotation import consensus, excluding, labelling, tasks
from annotation.models import Consensus, Event, Membership
from tests.annotation.making import a_prompt
from tests.training.making import compares, demonstrates, says

FIRST, SECOND, TIE = (1, 2), (2, 1), (1, 1)

# Dawid and Skene 1979, table 1: what five anaesthetists said of 45 patients (1 to 4), the first of them three times.
ANAESTHETISTS = """
111:1111 333:4334 112:2122 222:3121 222:3222 222:3322 122:2111 333:3433 222:2223 232:2223 444:4444 222:3343 111:1111
222:3212 121:1111 111:2111 111:1111 111:1111 222:2221 222:1322 222:2222 222:2221 222:3222 221:2222 111:1111 111:1111
232:2222 111:1111 111:1111 112:1121 111:1111 333:3233 111:1111 222:2222 222:3232 433:4343 221:2232 232:3233 333:3432
111:1111 111:1111 121:2111 232:2222 121:1111 222:2222
"""


@pytest.fixture
def people(member):
    return [member(name) for name in ("ann", "ben", "cat", "dan")]


def rows(project):
    return {row.item_id: row for row in Consensus.objects.filter(item__project=project)}


def ranks(row):
    """By the order in which the answers came into the project."""
    return [row.outcome[key] for key in sorted(row.outcome, key=int)]


# Dawid and Skene


def anaesthetists():
    said = [
        (patient, observer, int(grade) - 1)
        for patient, line in enumerate(ANAESTHETISTS.split())
        for observer, grades in enumerate([line[:3], *line[4:]])
        for grade in grades
    ]
    return (np.array(column) for column in zip(*said, strict=True))


def test_dawid_and_skene_s_anaesthetists():
    """From table 1: 40 % of the patients are of class 1, and 42, 11 and 7 % of the others; few are in doubt at all."""
    chances = consensus.dawid_skene(*anaesthetists(), 4)
    assert chances.mean(axis=0) == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    assert (chances.argmax(axis=1)[:15] + 1).tolist() == [1, 4, 2, 2, 2, 2, 1, 3, 2, 2, 4, 3, 1, 2, 1]
    assert (chances.max(axis=1) > 0.95).all()


def test_the_error_rates_of_the_first_anaesthetist_are_the_published_ones():
    """Their table 2, observer 1: what is said (columns) of a patient who is of class 1 to 4 (rows)."""
    patient, observer, grade = anaesthetists()
    truth = consensus.dawid_skene(patient, observer, grade, 4)
    first = observer == 0
    table = np.zeros((4, 4))
    np.add.at(table.T, grade[first], truth[patient[first]])
    found = table / table.sum(axis=1, keepdims=True)
    published = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    assert found == pytest.approx(np.array(published), abs=0.01)


def test_mace_and_the_majority_know_most_anaesthetists_patients_too():
    answers = consensus.dawid_skene(*anaesthetists(), 4).argmax(axis=1)
    for method in (consensus.mace, consensus.majority):
        assert (method(*anaesthetists(), 4).argmax(axis=1) == answers).mean() > 0.85


def test_a_majority_counts_votes():
    unit, value = np.array([0, 0, 0, 1]), np.array([2, 2, 0, 1])
    assert consensus.majority(unit, unit, value, 3) == pytest.approx(np.array([[1 / 3, 0, 2 / 3], [0, 1, 0]]))


# Stored


def test_few_labels_are_counted_as_votes(project, people):
    item = compares(a_prompt(project), "one", "two")
    said = [says(who, item, ranks=one) for who, one in zip(people, (FIRST, FIRST, SECOND), strict=False)]
    summary = consensus.recompute(project=project)
    row = rows(project)[item.pk]
    assert (row.method, ranks(row), row.confidence) == ("majority", [1, 2], 0.667)
    assert row.labels == [label.pk for label in said]
    assert (summary.items, summary.changed) == (1, 1)


def test_a_tie_that_most_see_is_a_tie(project, people):
    item = compares(a_prompt(project), "one", "two")
    for who, one in zip(people, (TIE, TIE, SECOND), strict=False):
        says(who, item, ranks=one)
    consensus.recompute(project=project)
    assert ranks(rows(project)[item.pk]) == [1, 1]


def test_rankings_are_put_together_from_their_pairs(project, people):
    item = compares(a_prompt(project), "one", "two", "three")
    for who, one in zip(people, ((2, 1, 3), (3, 1, 2), (1, 2, 3)), strict=False):
        says(who, item, ranks=one)
    consensus.recompute(project=project)
    assert ranks(rows(project)[item.pk]) == [2, 1, 3]


def test_demonstrations_have_the_verdict_of_most(project, people):
    item = demonstrates(a_prompt(project))
    for who, verdict in zip(people, ("accept", "reject", "reject"), strict=False):
        says(who, item, verdict=verdict)
    consensus.recompute(project=project)
    assert rows(project)[item.pk].outcome == "reject"


def test_where_there_is_enough_a_good_person_outweighs_two_who_guess(project, people, monkeypatch):
    """ann and ben are always right; cat and dan answer at random, and hold a majority with one of them at times."""
    monkeypatch.setattr(consensus, "ENOUGH", 20)
    random = np.random.default_rng(2)
    better = {}
    for _ in range(24):
        item = compares(a_prompt(project), "one", "two")
        better[item.pk] = FIRST if random.random() < 0.5 else SECOND
        for who in people[:2]:
            says(who, item, ranks=better[item.pk])
        for who in people[2:]:
            says(who, item, ranks=FIRST if random.random() < 0.5 else SECOND)
    doubtful = compares(a_prompt(project), "one", "two")
    for who, said in ((people[0], FIRST), (people[2], SECOND), (people[3], SECOND)):
        says(who, doubtful, ranks=said)
    consensus.recompute(project=project)
    found = rows(project)
    assert {row.method for row in found.values()} == {"dawid-skene"}
    assert all(ranks(found[item]) == list(order) for item, order in better.items())
    assert ranks(found[doubtful.pk]) == [1, 2]
    ann, ben, cat, dan = (Membership.objects.get(pk=who.pk).reliability for who in people)
    assert min(ann, ben) > 0.95
    assert max(cat, dan) < 0.7


def test_a_reviewer_s_decision_stands_above_the_votes(project, people, member):
    item = compares(a_prompt(project), "one", "two")
    voted = [says(who, item, ranks=FIRST).pk for who in people]
    decided = _decides(member("rita", "reviewer"), item, SECOND)
    consensus.recompute(project=project)
    row = rows(project)[item.pk]
    assert (row.method, ranks(row), row.confidence, row.labels) == ("decision", [2, 1], 1.0, [*voted, decided.pk])


def _decides(reviewer, item, said):
    from annotation.models import Judgement, Label

    now = timezone.now()
    order = list(item.answers.order_by("order").values_list("response_id", flat=True))
    assignment = item.assignments.create(
        person=reviewer.person, review=True, state="submitted", leased_at=now, lease_until=now, order=order
    )
    label = Label.objects.create(
        project=item.project, item=item, assignment=assignment, person=reviewer.person, decision=True
    )
    Judgement.objects.bulk_create(
        Judgement(label=label, response_id=pk, position=place, rank=said[place]) for place, pk in enumerate(order)
    )
    return label


def test_gold_and_simulated_people_are_no_part_of_it(project, bob, member):
    says(bob, compares(a_prompt(project), "one", "two", purpose="gold"), ranks=FIRST)
    says(member("robot", simulated=True), compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert consensus.recompute(project=project).items == 0


# Made anew


def test_nothing_is_written_where_nothing_has_changed(project, people):
    for who in people:
        says(who, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert consensus.recompute(project=project).changed == 4
    before = {row.computed_at for row in rows(project).values()}
    assert consensus.recompute(project=project).changed == 0
    assert {row.computed_at for row in rows(project).values()} == before


def test_the_method_of_the_last_time_is_kept(project, people, alice):
    says(people[0], compares(a_prompt(project), "one", "two"), ranks=FIRST)
    consensus.recompute(project=project, method="mace", actor=alice.person)
    tasks.consensus(project.pk)
    assert [event.data["method"] for event in Event.objects.filter(verb="consensus computed")] == ["mace", "mace"]
    with pytest.raises(ValidationError, match="no method"):
        consensus.recompute(project=project, method="dice")


def test_excluding_somebody_makes_it_anew_without_them(project, people, alice):
    item = compares(a_prompt(project), "one", "two")
    for who, one in zip(people, (FIRST, FIRST, SECOND), strict=False):
        says(who, item, ranks=one)
    alone = compares(a_prompt(project), "one", "two")
    says(people[0], alone, ranks=FIRST)
    consensus.recompute(project=project)
    for who in people[:2]:
        assert excluding.exclude(membership=who, because="guesses", actor=alice.person)
    _work_off()
    assert ranks(rows(project)[item.pk]) == [2, 1]
    assert alone.pk not in rows(project)
    assert Membership.objects.get(pk=people[0].pk).reliability is None
    assert excluding.include(membership=people[0], actor=alice.person)
    tasks.consensus(project.pk)
    assert alone.pk in rows(project)


def _work_off():
    """Do what was queued, as a worker would; in a test the transaction that queues it never ends."""
    from annotation.models import Project

    for project in Project.objects.all():
        tasks.consensus(project.pk)


def test_excluding_queues_the_work_and_is_on_record(project, bob, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert excluding.exclude(membership=bob, because="left-clicker", actor=alice.person)
    assert OrmQ.objects.count() == 1
    event = Event.objects.get(verb="person excluded")
    assert (event.actor, event.data) == (alice.person, {"person": bob.person_id, "because": "left-clicker"})
    assert bob.excluded_at is not None
    assert not excluding.exclude(membership=bob, because="again", actor=alice.person)
    assert excluding.include(membership=bob, because="a mistake", actor=alice.person)
    assert not excluding.include(membership=bob, actor=alice.person)
    assert bob.excluded_at is None
    told = Event.objects.filter(target__startswith="membership").order_by("id")
    assert [event.verb for event in told] == ["person excluded", "person included again"]


def test_it_is_due_when_enough_is_new_or_something_is_old(project, bob):
    assert not consensus.is_due(project)
    label = says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert consensus.is_due(project)
    assert tasks.refresh_consensus() == 1
    assert not consensus.is_due(project)
    assert tasks.refresh_consensus() == 0
    labelling.retract(label=label, actor=bob)
    assert consensus.is_due(project)
    consensus.recompute(project=project)
    assert rows(project) == {}
    assert not consensus.is_due(project)


def test_a_big_project_waits_for_one_percent_or_ten_minutes(project, bob, monkeypatch):
    says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    consensus.recompute(project=project)
    monkeypatch.setattr(consensus, "AT_ONCE_SHARE", 2)
    says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert not consensus.is_due(project)
    assert consensus.is_due(project, now=timezone.now() + timedelta(minutes=11))
    says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    assert consensus.is_due(project)
