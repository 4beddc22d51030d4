"""Disagreement and flags become cases; a reviewer decides them blind, and the decision stands."""

from functools import partial

import pytest
from django.core.exceptions import ValidationError

from annotation import agreement, exporting, labelling, leasing, progress, reviewing, talk
from annotation.labelling import LeaseLost, Said
from annotation.models import Assignment, Event, Label, Membership, Review
from annotation.reviewing import next_case
from tests.annotation.cases import LONG, case_for, cleaned, decide
from tests.annotation.making import (
    a_comparison,
    a_disagreement,
    all_at_once,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
    overlabelled,
    prefers,
)

REVIEWERS = 16


# When there is a case


def test_two_people_who_prefer_different_answers_open_a_case(project, bob, bea):
    item = a_comparison(project, wanted=2)
    one, other = item.answers.values_list("response_id", flat=True)
    prefers(bob, item, one)
    assert not Review.objects.exists(), "the second label is still to come"
    prefers(bea, item, other)
    case = Review.objects.open().get()
    assert (case.item, case.reason, case.assignment, case.decision) == (item, "disagreement", None, None)
    assert Event.objects.get(verb="case opened").target == f"item:{item.pk}"


def test_people_who_agree_open_none_whatever_their_strength(project, bob, bea):
    item = a_comparison(project, wanted=2)
    best = item.answers.values_list("response_id", flat=True)[0]
    prefers(bob, item, best, strength=1)
    prefers(bea, item, best, strength=4)
    assert not Review.objects.exists()


@pytest.mark.parametrize("other", [{"ranks": (1, 1)}, {"ranks": (1, 1), "unacceptable": (True, True)}])
def test_a_tie_and_an_unacceptable_pair_are_something_else_than_a_preference(project, bob, bea, other):
    item = a_comparison(project, wanted=2)
    prefers(bob, item, item.answers.values_list("response_id", flat=True)[0])
    labelling.submit(assignment=lease(bea), said=Said(**other))
    assert Review.objects.open().get().item == item


def test_a_tie_of_good_answers_is_something_else_than_one_of_unacceptable_ones(project, bob, bea):
    a_comparison(project, wanted=2)
    labelling.submit(assignment=lease(bob), said=Said(ranks=(1, 1)))
    labelling.submit(assignment=lease(bea), said=Said(ranks=(1, 1), unacceptable=(True, True)))
    assert Review.objects.open().exists()


@pytest.mark.parametrize(
    ("one", "other", "opened"),
    [
        ({"verdict": "accept"}, {"verdict": "accept"}, False),
        ({"verdict": "reject"}, {"verdict": "reject"}, False),
        ({"verdict": "accept"}, {"verdict": "reject"}, True),
        ({"verdict": "accept"}, {"verdict": "edit", "text": LONG}, True),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": LONG}, False),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": LONG.replace("Friday", "Monday")}, False),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": "We cannot say where your parcel is."}, True),
    ],
)
def test_demonstrations_disagree_in_their_verdict_or_in_edits_that_share_too_little(
    project, bob, bea, one, other, opened
):
    cleaned(project, one, other, people=(bob, bea))
    assert Review.objects.open().exists() is opened


def test_a_project_may_leave_disagreement_alone(project, bob, bea):
    project.review_disagreement = False
    project.save()
    a_disagreement(project, bob, bea)
    assert not Review.objects.exists()


def test_one_wanted_label_and_gold_open_no_case(project, bob, bea):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    item = a_disagreement(project, bob, bea)
    Review.objects.all().delete()
    item.purpose = "gold"
    item.save()
    reviewing.reconsider(item)
    assert not Review.objects.exists()
    with pytest.raises(ValidationError, match="gold"):
        reviewing.open_case(item=item, reason="asked")


def test_a_change_of_mind_ends_the_case_unless_a_reviewer_is_at_it(project, bob, bea, rita):
    item = a_disagreement(project, bob, bea)
    label = Label.objects.get(person=bea.person)
    ranks = [judged.rank for judged in label.judgements.all()]
    agreed = labelling.revise(label=label, said=Said(ranks=ranks[::-1]))
    assert not Review.objects.open().exists()
    again = labelling.revise(label=agreed, said=Said(ranks=ranks))
    case = case_for(rita)
    assert case.item == item
    labelling.revise(label=again, said=Said(ranks=ranks[::-1]))
    assert Review.objects.open().get() == case


def test_a_withdrawn_label_ends_the_case_until_another_comes(project, bob, bea, alice, member):
    item = a_disagreement(project, bob, bea)
    labelling.retract(label=Label.objects.get(person=bea.person), actor=bea)
    assert not Review.objects.open().exists()
    prefers(member("ben"), item, item.answers.values_list("response_id", flat=True)[1])
    assert Review.objects.open().get().item == item


@pytest.mark.django_db(transaction=True)
def test_of_two_last_labels_at_once_the_second_opens_the_case(project, member):
    for number in range(6):
        item = a_comparison(project, wanted=2)
        one, other = item.answers.values_list("response_id", flat=True)
        people = [member(f"{name}{number}") for name in ("ann", "ben")]
        held = [lease(person) for person in people]
        jobs = []
        for assignment, best in zip(held, (one, other), strict=True):
            said = Said(ranks=[1 if response == best else 2 for response in assignment.order])
            jobs.append(partial(labelling.submit, assignment=assignment, said=said))
        all_at_once(*jobs)
        assert Review.objects.open().filter(item=item).count() == 1


# Who is given it


def test_nobody_is_given_a_case_on_an_item_they_were_given_to_label(project, bob, member):
    rita = member("rita", "reviewer")
    a_disagreement(project, bob, rita)
    assert next_case(membership=rita) is None
    assert reviewing.cases_for(rita).count() == 0
    ruth = member("ruth", "reviewer")
    assert reviewing.cases_for(ruth).count() == 1
    assert case_for(ruth).assignment.person == ruth.person


def test_whoever_skipped_an_item_does_not_review_it(project, bob, bea, rita):
    a_comparison(project, wanted=2)
    leasing.skip(assignment=lease(rita))
    for member, ranks in ((bob, (1, 1)), (bea, (1, 2))):
        labelling.submit(assignment=lease(member), said=Said(ranks=ranks))
    assert Review.objects.open().exists()
    assert next_case(membership=rita) is None


def test_annotators_are_given_no_case(project, bob, bea, member):
    a_disagreement(project, bob, bea)
    assert next_case(membership=member("ben")) is None


def test_a_case_has_one_reviewer_at_a_time_and_keeps_its_order(project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    first = case_for(rita)
    assert next_case(membership=ruth) is None
    again = case_for(rita)
    assert (again, again.assignment) == (first, first.assignment)
    assert sorted(first.assignment.order) == sorted(first.item.answers.values_list("response_id", flat=True))


def test_whoever_saw_a_case_is_not_given_its_item_to_label(project, bob, rita):
    item = a_comparison(project, wanted=2)
    talk.comment(item=item, author=bob, text="Both are about tea.", flag=True)
    assert case_for(rita).item == item
    assert leasing.next_assignment(membership=rita, kind="comparison") is None
    assert progress.waiting_for(rita)["comparison"] == 0
    Assignment.objects.get().refresh_from_db()
    leasing.release(assignment=Assignment.objects.get())
    assert leasing.next_assignment(membership=rita, kind="comparison") is None
    assert progress.waiting_for(rita)["comparison"] == 0


def test_a_review_takes_no_place_of_the_item(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    for leave in (leasing.release, leasing.skip):
        leave(assignment=case_for(rita).assignment)
        item.refresh_from_db()
        assert item.taken == 2
        rita = ruth
    assert miscounted() == []


def test_a_case_whose_reviewer_went_away_comes_back(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    left = case_for(rita).assignment
    let_time_pass([left])
    assert case_for(ruth).item == item
    left.refresh_from_db()
    assert left.state == "expired"
    item.refresh_from_db()
    assert item.taken == 2
    with pytest.raises(LeaseLost, match="another reviewer"):
        labelling.submit(assignment=left, said=first_is_better())
    assert not Label.objects.filter(decision=True).exists()


def test_a_late_decision_is_welcome_if_nobody_has_the_case(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    left = case_for(rita).assignment
    let_time_pass([left])
    assert leasing.return_overdue() == 1
    assert Review.objects.get().assignment is None
    label = labelling.submit(assignment=left, said=first_is_better())
    assert Review.objects.get().decision == label


def test_a_case_that_was_passed_on_goes_to_somebody_else(project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    assert leasing.skip(assignment=case_for(rita).assignment, reason="I know the customer")
    assert next_case(membership=rita) is None
    assert case_for(ruth).assignment.person == ruth.person
    assert not Event.objects.filter(verb="item skipped").exists()
    assert Event.objects.get(verb="case passed on").data["reason"] == "I know the customer"


@pytest.mark.parametrize("policy", ["drop", "to_me"])
def test_passing_a_case_on_is_no_skip_of_its_item(project, bob, bea, rita, policy):
    project.skip_policy = policy
    project.save()
    item = a_disagreement(project, bob, bea)
    leasing.skip(assignment=case_for(rita).assignment)
    item.refresh_from_db()
    assert not item.dropped


@pytest.mark.django_db(transaction=True)
def test_many_reviewers_at_once_get_a_case_each_and_never_their_own(project, member):
    people = [member(f"person{number}", "reviewer") for number in range(REVIEWERS)]
    items = [a_disagreement(project, people[number], people[number + 1]) for number in range(0, REVIEWERS, 2)]
    labelled = {(item.pk, person.person_id) for item in items for person in people if _labelled(item, person)}
    got = all_at_once(*(partial(next_case, membership=one) for one in people))
    found = [case for case in got if case is not None]
    assert len(found) == len({case.pk for case in found}) == len(items)
    assert not labelled & {(case.item_id, case.assignment.person_id) for case in found}
    assert miscounted() == []


@pytest.mark.django_db(transaction=True)
def test_reviewers_and_annotators_at_once_neither_lose_a_case_nor_overfill_an_item(project, member):
    """Everybody decides until no case is left, while abandoned leases are taken back all the time."""
    annotators = [member(f"annotator{number}") for number in range(2)]
    people = [member(f"reviewer{number}", "reviewer") for number in range(8)]
    for _ in range(12):
        a_disagreement(project, *annotators)

    def work(number, reviewer):
        for turn in range(60):
            case = next_case(membership=reviewer)
            if case is None:
                return
            if (number + turn) % 3 == 0:
                let_time_pass([case.assignment])
                leasing.return_overdue()
            try:
                labelling.submit(assignment=case.assignment, said=first_is_better())
            except LeaseLost:
                continue

    all_at_once(*(partial(work, number, one) for number, one in enumerate(people)), patience=90)
    for case in Review.objects.open():  # those whose reviewer met nothing else
        assert case.assignment is None
    for reviewer in people:
        work(1, reviewer)
    assert not Review.objects.open().exists()
    assert Label.objects.filter(decision=True).count() == 12
    assert miscounted() == []
    assert overlabelled() == []


def _labelled(item, member):
    return Label.objects.filter(item=item, person=member.person).exists()


# What a decision does


def test_a_decision_is_a_label_that_closes_the_case(project, bob, bea, rita):
    item = a_disagreement(project, bob, bea)
    case = case_for(rita)
    label = decide(rita)
    case.refresh_from_db()
    assert (label.decision, label.item, label.person) == (True, item, rita.person)
    assert case.closed_at is not None
    assert (case.decision, case.assignment) == (label, None)
    assert not Label.objects.filter(decision=True).exclude(pk=label.pk).exists()
    assert next_case(membership=rita) is None


def test_a_decision_sent_again_is_the_same_label(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    said = first_is_better()
    assignment = case_for(rita).assignment
    first = labelling.submit(assignment=assignment, said=said)
    assert labelling.submit(assignment=assignment, said=said) == first


def test_the_decision_counts_alone_for_its_item(project, bob, bea, member, rita):
    item = a_disagreement(project, bob, bea, member("ben"))
    other = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    decision = decide(rita)
    counting = set(Label.objects.trainable())
    assert counting == {decision, Label.objects.get(item=other)}
    assert Label.objects.live().filter(item=item).count() == 4, "nothing of what people said is lost"


def test_the_decision_of_an_excluded_reviewer_settles_nothing(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    decision = decide(rita)
    Membership.objects.filter(pk=rita.pk).update(excluded_at=decision.created_at)
    assert {label.person for label in Label.objects.trainable()} == {bob.person, bea.person}


def test_the_decision_of_a_program_does_not_overrule_people(project, bob, bea, member):
    a_disagreement(project, bob, bea)
    decision = decide(member("robot", "reviewer", simulated=True))
    assert {label.person for label in Label.objects.trainable()} == {bob.person, bea.person}
    assert set(Label.objects.trainable(simulated=True)) == {decision, *Label.objects.filter(decision=False)}


def test_a_second_decision_replaces_the_first(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    decide(rita)
    reviewing.open_case(item=item, reason="asked")
    assert next_case(membership=rita) is None, "nobody reviews their own decision"
    second = decide(ruth, ranks=(1, 1))
    assert list(Label.objects.trainable()) == [second]


def test_agreement_and_progress_are_about_what_was_asked(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    before = agreement.of_project(project)["comparison"], progress.of_project(project)["comparison"]
    decide(rita)
    assert (agreement.of_project(project)["comparison"], progress.of_project(project)["comparison"]) == before
    assert overlabelled() == []


def test_the_export_has_the_decision_beside_the_labels(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    decision = decide(rita)
    (row,) = exporting.labelled_rows(project=project)
    assert {label["id"]: label["decision"] for label in row["labels"]} == {
        **dict.fromkeys(Label.objects.filter(decision=False).values_list("pk", flat=True), False),
        decision.pk: True,
    }


def test_a_revised_decision_still_decides(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    first = decide(rita)
    second = labelling.revise(label=first, said=Said(ranks=(1, 1)))
    assert second.decision
    assert list(Label.objects.trainable()) == [second]
    assert Review.objects.get().decision == second


def test_a_withdrawn_decision_opens_the_case_again(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    labelling.retract(label=decide(rita), actor=rita)
    item.refresh_from_db()
    assert item.taken == 2
    assert miscounted() == []
    assert set(Label.objects.trainable()) == set(Label.objects.filter(decision=False))
    case = case_for(ruth)
    assert (case.item, case.reason) == (item, "disagreement")


def test_a_decision_on_a_closed_case_is_refused(project, bob, bea, alice, rita):
    item = a_disagreement(project, bob, bea)
    assignment = case_for(rita).assignment
    Review.objects.update(closed_at=assignment.leased_at)
    with pytest.raises(LeaseLost, match="closed"):
        labelling.submit(assignment=assignment, said=first_is_better())
    assert not Label.objects.filter(item=item, decision=True).exists()
