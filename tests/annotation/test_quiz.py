"""The entry quiz, and pausing people: who is stopped, who is told, and how they go on."""

import pytest

from annotation import labelling, leasing
from annotation.gold import Right, mark, retire, set_rules
from annotation.labelling import Said
from annotation.models import Assignment, Event, Item, Membership, Notice, Project
from annotation.pausing import pause, unpause
from annotation.standing import quiz_of, score_of, why_nothing
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease, miscounted
from tests.annotation.test_gold import answer, golden


@pytest.fixture
def rules(project):
    """Set the project's rules: `rules(quiz_length=3)`."""

    def set_them(*members, **wanted):
        for owner in (project, *(member.project for member in members)):
            for name, value in wanted.items():
                setattr(owner, name, value)
        project.save()

    return set_them


def questions(project, count):
    return [golden(project, (f"good {number}", f"bad {number}"), quiz=True) for number in range(count)]


def take(member, *rights):
    """Answer the questions as they come, right or wrong."""
    for right in rights:
        assignment = lease(member)
        best = int(min(assignment.item.gold.ranks, key=assignment.item.gold.ranks.get))
        ranks = [1 if (pk == best) == right else 2 for pk in assignment.order]
        labelling.submit(assignment=assignment, said=Said(ranks=ranks))
        member.refresh_from_db()


def test_a_new_annotator_answers_the_quiz_first_and_then_works(project, bob, rules):
    rules(bob, quiz_length=3, quiz_threshold=0.6)
    ordinary = a_comparison(project, priority=9)
    questions(project, 5)
    for number in (1, 2, 3):
        assert quiz_of(bob).number == number
        assert lease(bob).item.gold.quiz
        take(bob, number != 2)
    assert bob.quiz_passed_at
    assert not bob.paused_at
    assert lease(bob).item == ordinary
    assert Event.objects.get(verb="quiz passed").data == {"right": 2, "length": 3}
    assert not Notice.objects.exists()


def test_quiz_questions_are_asked_in_the_quiz_alone(project, bob, rules):
    rules(bob, gold_share=1.0)
    questions(project, 2)
    ordinary = a_comparison(project)
    assert lease(bob).item == ordinary


@pytest.mark.parametrize("role", ["reviewer", "lead"])
def test_reviewers_and_leads_take_no_quiz(project, member, rules, role):
    rita = member("rita", role)
    rules(rita, quiz_length=3)
    questions(project, 3)
    ordinary = a_comparison(project)
    assert quiz_of(rita) is None
    assert lease(rita).item == ordinary


def test_who_fails_the_quiz_is_paused_and_the_lead_is_told(project, bob, alice, bea, rules):
    rules(bob, quiz_length=3, quiz_threshold=0.8)
    questions(project, 3)
    a_comparison(project)
    take(bob, True, False, True)
    assert bob.quiz_passed_at is None
    assert bob.paused_because == "2 of 3 answers in the quiz were as expected; the project asks for 80 %."
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert "Ask alice" in why_nothing(bob)
    notice = Notice.objects.get()
    assert (notice.person, notice.address) == (alice.person, "/projects/desk/gold/#paused")
    assert notice.text.startswith("bob is paused: 2 of 3")
    assert leasing.next_assignment(membership=bea, kind="comparison") is not None


def test_who_is_let_try_again_gets_questions_they_have_not_met(project, bob, alice, rules):
    rules(bob, quiz_length=2, quiz_threshold=1)
    questions(project, 3)
    ordinary = a_comparison(project)
    take(bob, False, True)
    met = set(Assignment.objects.values_list("item", flat=True))
    assert unpause(membership=bob, actor=alice.person)
    bob.refresh_from_db()
    assert (quiz_of(bob).length, quiz_of(bob).answered) == (1, 0)
    assert lease(bob).item_id not in met
    take(bob, True)
    assert bob.quiz_passed_at
    assert lease(bob).item == ordinary
    assert Notice.objects.filter(person=bob.person).count() == 1


def test_a_lead_can_let_somebody_work_without_the_quiz(project, bob, alice, rules):
    rules(bob, quiz_length=1, quiz_threshold=1)
    questions(project, 2)
    ordinary = a_comparison(project)
    take(bob, False)
    unpause(membership=bob, actor=alice.person, without_quiz=True)
    bob.refresh_from_db()
    assert lease(bob).item == ordinary


def test_a_quiz_without_questions_stops_nobody(project, bob, rules):
    rules(bob, quiz_length=5)
    ordinary = a_comparison(project)
    assert lease(bob).item == ordinary


def test_questions_that_were_skipped_come_back_in_the_end(project, bob, rules):
    rules(bob, quiz_length=2)
    questions(project, 2)
    a_comparison(project)
    skipped = lease(bob)
    leasing.skip(assignment=skipped)
    assert lease(bob).item != skipped.item
    take(bob, True)
    assert lease(bob).item == skipped.item


def test_the_quiz_goes_on_with_the_other_kind_where_its_questions_are(project, bob, rules):
    rules(bob, quiz_length=2)
    questions(project, 1)

    draft = mark(item=a_demonstration(project), right=Right(verdicts=["reject"]), quiz=True)
    a_comparison(project)
    take(bob, True)
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert "goes on with the other kind: 1 of 2" in why_nothing(bob)
    assert lease(bob, "demonstration").item == draft.item


def test_who_has_labelled_before_the_quiz_was_asked_for_is_not_new(project, bob, bea):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    set_rules(project=project, quiz_length=2)
    assert Membership.objects.get(pk=bob.pk).quiz_passed_at
    assert not Membership.objects.get(pk=bea.pk).quiz_passed_at


# The threshold


def test_who_is_wrong_too_often_is_paused_once_enough_is_known(project, bob, rules):
    rules(bob, gold_threshold=0.7, gold_minimum=3)
    for right in (False, False):
        answer(golden(project), bob, (1, 2) if right else (2, 1))
        assert not Membership.objects.get(pk=bob.pk).paused_at
    answer(golden(project), bob, (1, 2))
    bob.refresh_from_db()
    assert bob.paused_at
    assert bob.paused_because.startswith("1 of 3 answers to items whose right answer is known were as expected")


def test_who_is_right_often_enough_works_on(project, bob, rules):
    rules(bob, gold_threshold=0.66, gold_minimum=3)
    for ranks in ((1, 2), (2, 1), (1, 2), (1, 2)):
        answer(golden(project), bob, ranks)
    assert not Membership.objects.get(pk=bob.pk).paused_at


def test_no_threshold_pauses_nobody_and_leads_are_never_paused_by_it(project, bob, alice, rules):
    rules(gold_threshold=0, gold_minimum=1)
    answer(golden(project), bob, (2, 1))
    rules(gold_threshold=1, gold_minimum=1)
    answer(golden(project), alice, (2, 1))
    assert not Membership.objects.filter(paused_at__isnull=False).exists()


def test_answers_to_retired_gold_are_held_against_nobody(project, bob, rules):
    rules(gold_threshold=0.9, gold_minimum=2)
    bad = golden(project)
    answer(bad, bob, (2, 1))
    retire(gold=bad)
    answer(golden(project), bob, (1, 2))
    assert (score_of(bob).answered, score_of(bob).right) == (1, 1)
    assert not Membership.objects.get(pk=bob.pk).paused_at


def test_who_was_let_go_on_starts_anew(project, bob, alice, rules):
    rules(bob, gold_threshold=0.9, gold_minimum=2)
    for _ in range(2):
        answer(golden(project), bob, (2, 1))
    unpause(membership=bob, actor=alice.person)
    answer(golden(project), bob, (2, 1))
    bob.refresh_from_db()
    assert not bob.paused_at
    assert score_of(bob).answered == 1


# Pausing by hand


@pytest.mark.django_db(transaction=True)
def test_a_paused_person_is_given_nothing_and_what_they_held_goes_to_others(project, bob, bea, alice):
    item = a_comparison(project)
    held = lease(bob)
    assert pause(membership=bob, because="Let us talk.", actor=alice.person)
    assert not pause(membership=bob, because="Again.", actor=alice.person)
    held.refresh_from_db()
    assert held.state == "expired"
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert lease(bea).item == item
    assert not Notice.objects.filter(person=alice.person).exists()  # she did it herself
    assert unpause(membership=bob, actor=alice.person)
    assert not unpause(membership=bob, actor=alice.person)
    assert miscounted() == []


@pytest.mark.django_db(transaction=True)
def test_the_label_that_pauses_is_stored_and_its_item_is_done(project, bob, rules):
    rules(gold_threshold=1, gold_minimum=1)
    waiting = a_demonstration(project)
    lease(bob, "demonstration")
    label = answer(golden(project), bob, (2, 1))
    assert label.gold_correct is False
    assert Membership.objects.get(pk=bob.pk).paused_at
    assert Item.objects.get(pk=waiting.pk).taken == 0
    assert miscounted() == []


def test_a_label_that_was_on_its_way_when_somebody_was_paused_is_still_welcome(project, bob, alice):
    a_comparison(project)
    held = lease(bob)
    pause(membership=bob, because="", actor=alice.person)
    assert labelling.submit(assignment=held, said=first_is_better()).pk


def test_other_people_of_other_projects_are_not_touched(project, bob, alice):
    other = Membership.objects.create(person=bob.person, project=Project.objects.create(slug="o", name="Other"))
    pause(membership=bob, because="", actor=alice.person)
    other.refresh_from_db()
    assert not other.paused_at
    assert asked(golden(other.project), other).pk
