"""Gold: what is right, who is asked, and that it never counts as data."""

import pytest
from django.core.exceptions import ValidationError

from annotation import agreement, exporting, labelling, leasing, progress
from annotation.gold import EVERYBODY, Right, change, feedback, is_right, mark, retire, take_back, times_answered
from annotation.gold import with_scores as scores
from annotation.labelling import Said
from annotation.models import Event, Gold, Item, Label
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease


def golden(project, answers=("good", "bad"), **more):
    """A comparison on which the first answer is better."""
    item = a_comparison(project, answers)
    ranks = {response.pk: place for place, response in enumerate(item.responses.order_by("pk"), start=1)}
    return mark(item=item, right=Right(ranks=ranks), **more)


def answer(gold, member, ranks=(1, 2)):
    """The member says this of the answers in their own order."""
    return labelling.submit(assignment=asked(gold, member), said=Said(ranks=ranks))


# What is right


@pytest.mark.parametrize(
    ("ranks", "right"),
    [
        ((1, 2, 3), True),
        ((1, 3, 2), True),
        ((1, 2, 2), True),
        ((1, 1, 2), False),
        ((2, 1, 3), False),
        ((1, 1, 1), False),
    ],
)
def test_answers_that_differ_must_stand_in_order_and_equal_ones_may_go_either_way(ranks, right):
    gold = Gold(ranks={"7": 1, "8": 2, "9": 2})
    assert is_right(gold, verdict="", ranks=dict(zip((7, 8, 9), ranks, strict=True)), unacceptable=[]) is right


def test_what_is_unacceptable_must_be_called_so():
    gold = Gold(ranks={"7": 1, "8": 1}, unacceptable=[7, 8])
    said = {"verdict": "", "ranks": {7: 1, 8: 1}}
    assert is_right(gold, **said, unacceptable=[7, 8])
    assert not is_right(gold, **said, unacceptable=[7])
    assert not is_right(gold, **said, unacceptable=[])


def test_any_of_the_right_verdicts_is_right():
    gold = Gold(verdicts=["edit", "reject"])
    for verdict, right in (("edit", True), ("reject", True), ("accept", False)):
        assert is_right(gold, verdict=verdict, ranks={}, unacceptable=[]) is right


@pytest.mark.parametrize(
    ("right", "problem"),
    [
        (Right(), "Give each answer a rank"),
        (Right(ranks={1: 1}), "Give each answer a rank"),
        (Right(verdicts=["accept"]), "has ranks, not verdicts"),
    ],
)
def test_what_does_not_fit_a_comparison_is_refused(project, right, problem):
    with pytest.raises(ValidationError, match=problem):
        mark(item=a_comparison(project), right=right)
    assert not Gold.objects.exists()


def test_a_comparison_on_which_everything_would_be_right_is_refused(project):
    item = a_comparison(project)
    both = [response.pk for response in item.responses.all()]
    with pytest.raises(ValidationError, match="every judgement would be right"):
        mark(item=item, right=Right(ranks=dict.fromkeys(both, 1)))
    assert mark(item=item, right=Right(ranks=dict.fromkeys(both, 1), unacceptable=both)).pk


@pytest.mark.parametrize("right", [Right(), Right(verdicts=["maybe"]), Right(ranks={1: 1})])
def test_what_does_not_fit_a_demonstration_is_refused(project, right):
    with pytest.raises(ValidationError):
        mark(item=a_demonstration(project), right=right)
    with pytest.raises(ValidationError, match="no answer to accept"):
        mark(item=a_demonstration(project, None), right=Right(verdicts=["accept"]))


def test_a_head_to_head_measures_models_and_cannot_be_gold(project):
    item = a_comparison(project, purpose="head_to_head")
    first, second = item.responses.all()
    with pytest.raises(ValidationError, match="head to head"):
        mark(item=item, right=Right(ranks={first.pk: 1, second.pk: 2}))


# Made and taken back


def test_a_labelled_item_becomes_gold_and_its_labels_are_no_data_any_more(project, bob, alice):
    item = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    first, second = item.responses.all()
    assert Label.objects.trainable().count() == 1
    made = mark(item=item, right=Right(ranks={first.pk: 1, second.pk: 2}), explanation="Kind.", actor=alice.person)
    item.refresh_from_db()
    assert (item.purpose, item.wanted, item.taken) == ("gold", EVERYBODY, 1)
    assert (made.explanation, made.author) == ("Kind.", alice.person)
    assert not Label.objects.trainable().exists()
    assert Event.objects.get(verb="gold made").actor == alice.person
    with pytest.raises(ValidationError, match="gold already"):
        mark(item=item, right=Right(ranks={first.pk: 1, second.pk: 2}))


def test_gold_nobody_has_answered_can_be_taken_back_and_is_as_it_was(project, bob):
    item = a_comparison(project, wanted=3)
    before = (item.purpose, item.wanted, item.selection)
    first, second = item.responses.all()
    made = mark(item=item, right=Right(ranks={first.pk: 1, second.pk: 2}))
    take_back(gold=made)
    item.refresh_from_db()
    assert (item.purpose, item.wanted, item.selection) == before
    assert lease(bob).item == item
    assert not Gold.objects.exists()


def test_gold_that_was_answered_stays_out_of_the_data_and_can_only_be_retired(project, bob, bea):
    made = golden(project)
    answer(made, bob)
    with pytest.raises(ValidationError, match="retire it"):
        take_back(gold=made)
    a_comparison(project)
    project.gold_share = 1.0
    project.save()
    retire(gold=made)
    bea.refresh_from_db()
    assert lease(bea).item != made.item
    assert Event.objects.filter(verb="gold retired").count() == 1


def test_the_right_answer_stays_once_it_was_used_and_the_explanation_can_change(project, bob):
    made = golden(project)
    ranks = {int(pk): 3 - rank for pk, rank in made.ranks.items()}
    change(gold=made, right=Right(ranks=ranks))
    answer(made, bob)
    with pytest.raises(ValidationError, match="times: 1"):
        change(gold=made, right=Right(ranks={pk: 3 - rank for pk, rank in ranks.items()}))
    assert change(gold=made, right=Right(ranks=ranks), explanation="Shorter.").explanation == "Shorter."


# Asked of everybody, and never data


def test_a_label_says_at_once_whether_it_was_right(project, bob, bea):
    made = golden(project)
    assert answer(made, bob, (1, 2)).gold_correct is True
    assert answer(made, bea, (2, 1)).gold_correct is False
    a_comparison(project)
    assert labelling.submit(assignment=lease(bob), said=first_is_better()).gold_correct is None


def test_everybody_may_judge_it_and_nobody_twice(project, member):
    made = golden(project)
    for number in range(12):
        person = member(f"person{number}")
        person.project.gold_share = 1.0
        a_comparison(project)
        assert lease(person).item == made.item
        labelling.submit(assignment=lease(person), said=first_is_better())
        assert lease(person).item != made.item
    assert times_answered(made) == 12


def test_gold_is_left_out_of_everything_that_is_counted_or_taken_out(project, bob, bea):
    made = golden(project)
    for person in (bob, bea):
        answer(made, person)
    assert progress.of_project(project)["comparison"].wanted == 0
    assert progress.of_project(project)["comparison"].done == 0
    assert progress.waiting_for(bob)["comparison"] == 0
    assert list(exporting.labelled_rows(project=project)) == []
    assert agreement.of_project(project)["comparison"].comparisons == 0
    assert not Label.objects.counted().exists()
    assert Label.objects.live().count() == 2


def test_gold_comes_only_with_other_work(project, bob):
    bob.project.gold_share = 1.0
    golden(project)
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    a_comparison(project)
    assert lease(bob).item.purpose == "gold"


def test_no_gold_is_given_where_the_share_is_none_nor_of_the_other_kind(project, bob):
    golden(project)
    ordinary, other = a_comparison(project), a_demonstration(project)
    assert lease(bob).item == ordinary
    bob.project.gold_share = 1.0
    assert lease(bob, "demonstration").item == other


def test_a_skipped_gold_item_is_dropped_for_nobody_else(project, bob, bea):
    made = golden(project)
    project.skip_policy = "drop"
    project.save()
    leasing.skip(assignment=asked(made, bob))
    assert not Item.objects.get(pk=made.item_id).dropped


def test_annotators_see_counts_in_tens_so_that_none_stands_still_after_gold(project, bob, alice):
    for _ in range(25):
        a_comparison(project)
    for _ in range(13):
        labelling.submit(assignment=lease(bob), said=first_is_better())
    assert progress.as_seen_by(bob)["comparison"].done == 13
    for person in (bob, alice):
        person.project.gold_share = 0.1
    assert (progress.as_seen_by(bob)["comparison"].done, progress.waiting_for(bob)["comparison"]) == (10, 10)
    assert (progress.as_seen_by(alice)["comparison"].done, progress.waiting_for(alice)["comparison"]) == (13, 12)
    before = progress.labels_by(bob.person, project)
    answer(golden(project), bob)
    assert progress.labels_by(bob.person, project) == before + 1


# Feedback and scores


def test_feedback_is_given_where_the_project_says_so_and_only_on_gold(project, bob, bea):
    made = golden(project, explanation="The other is rude.")
    assert feedback(answer(made, bob)) is None
    project.gold_feedback = True
    project.save()
    told = feedback(answer(made, bea, (2, 1)))
    assert (told.correct, told.explanation) == (False, "The other is rude.")
    a_comparison(project)
    assert feedback(labelling.submit(assignment=lease(bob), said=first_is_better())) is None


@pytest.mark.parametrize(("told", "right"), [(False, 1), (True, 0)])
def test_a_slip_can_be_mended_unless_one_was_told_what_is_right(project, bob, told, right):
    project.gold_feedback = told
    project.save()
    made = golden(project)
    first = answer(made, bob, (2, 1))
    labelling.revise(label=first, said=Said(ranks=(1, 2)))
    (found,) = scores(project)
    assert (found.answered, found.right) == (1, right)


def test_withdrawing_a_wrong_answer_does_not_unsay_it(project, bob):
    made = golden(project)
    labelling.retract(label=answer(made, bob, (2, 1)), actor=bob)
    (found,) = scores(project)
    assert (found.answered, found.right) == (1, 0)


def test_a_bad_gold_item_shows_by_the_good_people_who_fail_it(project, member):
    good = [golden(project) for _ in range(4)]
    bad = golden(project)
    for number in range(3):
        person = member(f"careful{number}")
        for one in good:
            answer(one, person, (1, 2))
        answer(bad, person, (2, 1))
    careless = member("careless")
    for one in good:
        answer(one, careless, (2, 1))
    found = {one.pk: one for one in scores(project)}
    assert [found[one.pk].doubtful for one in (*good, bad)] == [False] * 4 + [True]
    assert (found[bad.pk].good, found[bad.pk].good_failed) == (3, 3)
    assert (found[good[0].pk].answered, found[good[0].pk].right) == (4, 3)
