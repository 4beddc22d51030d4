"""Simulated annotators: their manners, their marks, and what can be planned with them."""

import math
from dataclasses import replace
from io import StringIO
from itertools import combinations, permutations

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from annotation.models import Label, Membership, User
from evaluation import simulating
from evaluation.annotators import Manner, Ranking, begins
from evaluation.planning import Labelled, labels_needed, learning_curve, plan
from evaluation.posterior import sigmoid
from evaluation.selectors import DEFAULT
from tests.annotation.making import a_comparison, a_prompt
from tests.training.making import compares
from training import snapshots
from training.models.snapshots import SnapshotKind

SURE = Manner(slips=0, tie_within=0)


def share_left(manner: Manner, values, lengths=(10, 10), *, done: int = 0) -> float:
    random = np.random.default_rng(1)
    said = [manner.ranking(values, lengths, done=done, random=random) for _ in range(4000)]
    return float(np.mean([one.ranks[0] == 1 for one in said]))


def test_two_answers_are_judged_as_bradley_and_terry_say():
    for difference in (0.0, 0.7, -2.0):
        assert share_left(SURE, (difference, 0.0)) == pytest.approx(sigmoid(np.array(difference)), abs=0.025)


def test_manners_are_what_they_say():
    assert share_left(Manner(slips=0, tie_within=0, to_the_left=1.0), (0, 0)) == pytest.approx(0.731, abs=0.025)
    longer = Manner(slips=0, tie_within=0, to_the_longer=1.0)
    assert share_left(longer, (0, 0), (20, 10)) == pytest.approx(0.731, abs=0.025)
    assert share_left(longer, (0, 0), (10, 20)) == pytest.approx(0.269, abs=0.025)
    assert share_left(Manner(slips=1), (50, 0)) == pytest.approx(0.5, abs=0.025)
    tired = Manner(slips=0, tie_within=0, fatigue=0.5)
    assert share_left(tired, (2, 0), done=100) == pytest.approx(sigmoid(np.array(1.0)), abs=0.025)
    random = np.random.default_rng(1)
    assert Manner(slips=0, tie_within=0.5).ranking((0.2, 0), (1, 1), done=0, random=random) == ([1, 1], None)
    assert Manner(slips=0).ranking((9, 99, 50), (1, 1, 1), done=0, random=random, levels=4) == ([3, 1, 2], 4)


LIST = np.array([0.9, 0.0, -1.2, 0.5, 0.05, 2.0])


def rankings(manner: Manner, values=LIST, **more) -> list[Ranking]:
    random = np.random.default_rng(1)
    return [manner.ranking(values, [1] * len(values), done=0, random=random, **more) for _ in range(6000)]


@pytest.mark.parametrize("tie_within", [0.0, 0.45])
def test_any_two_answers_of_a_list_are_ordered_as_if_they_had_been_asked_about_alone(tie_within):
    ranks = np.array([said.ranks for said in rankings(Manner(slips=0, tie_within=tie_within))])
    for first, second in combinations(range(len(LIST)), 2):
        apart = LIST[first] - LIST[second]
        tied = ranks[:, first] == ranks[:, second]
        if abs(apart) < tie_within:
            assert tied.any()
            continue
        assert not tied.any()
        assert np.mean(ranks[:, first] < ranks[:, second]) == pytest.approx(sigmoid(np.array(apart)), abs=0.025)


def test_three_answers_are_ranked_as_plackett_says():
    values = np.array([1.0, 0.3, -0.5])
    worth = np.exp(values)
    said = [tuple(one.ranks) for one in rankings(SURE, values)]
    for order in permutations(range(3)):
        first, second, third = worth[list(order)]
        expected = first / worth.sum() * second / (second + third)
        ranks = tuple(order.index(place) + 1 for place in range(3))
        assert said.count(ranks) / len(said) == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("values", [LIST[:2], LIST])
def test_degrees_of_strength_follow_a_cumulative_logit_model(values):
    said = rankings(SURE, values, levels=4)
    for strength in (1, 2, 3, 4):
        for place in range(len(values)):
            ahead = np.exp(values[place] - begins(strength, 4))
            expected = ahead / (ahead + np.exp(values).sum() - np.exp(values[place]))
            found = np.mean([one.ranks[place] == 1 and one.strength >= strength for one in said])
            assert found == pytest.approx(expected, abs=0.025)


def test_what_a_project_does_not_ask_for_is_not_said():
    said = rankings(Manner(tie_within=9.0), ties=False, levels=0)
    assert all(sorted(one.ranks) == [1, 2, 3, 4, 5, 6] for one in said)
    assert {one.strength for one in said} == {None}
    slips = rankings(Manner(slips=1.0), levels=3)
    assert {one.strength for one in slips} == {1, 2, 3}


def a_pool(seed: int = 1) -> Labelled:
    random = np.random.default_rng(seed)
    z = random.normal(size=(900, 5))
    value = z @ np.array([3.0, -2, 1, 0, 0])
    said = (random.random(900) < sigmoid(value)).astype(float)
    return Labelled(z, said, (value > 0).astype(float), np.arange(900) // 6, np.ones(900), np.zeros(5, int))


@pytest.mark.parametrize("selector", ["random", DEFAULT])
def test_a_learning_curve_rises_and_is_the_same_for_the_same_seed(selector):
    curve = learning_curve(a_pool(), selector=selector, total=200, seed=3)
    assert len(curve) == 10
    assert curve[-1] > 0.9 > curve[0]
    assert curve == learning_curve(a_pool(), selector=selector, total=200, seed=3)


def test_labels_on_prompts_and_answers_are_counted_by_item():
    """An item of three answers and one of two were asked, all of the first prompt; the last pair is of another."""
    pool = Labelled(
        *(np.zeros((6, 1)), np.ones(6), np.ones(6), np.array([0, 0, 0, 0, 0, 1]), np.ones(6), np.zeros(1, int)),
        items=np.array([0, 0, 0, 1, 2, 3]),
        answers=np.array([(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (5, 6)]),
    )
    said = np.array([True, True, True, True, False, False])
    assert pool.labels_on(np.array([0, 3, 4, 5]), said).tolist() == [[2, 2], [2, 3], [2, 1], [0, 0]]


def test_an_item_of_several_answers_is_one_label_that_says_all_its_pairs():
    pairs = a_pool()
    lists = replace(pairs, items=np.arange(900) // 6)  # of four answers each
    rows = [
        [learning_curve(pool, selector="random", total=20, seed=seed, batch=5) for seed in (3, 4, 5)]
        for pool in (lists, pairs)
    ]
    assert {len(curve) for curve in rows[0]} == {4}
    assert np.mean(rows[0]) > np.mean(rows[1]) + 0.05
    alone = replace(pairs, items=np.arange(900))
    assert learning_curve(alone, selector=DEFAULT, total=60, seed=3) == learning_curve(
        pairs, selector=DEFAULT, total=60, seed=3
    )


def test_a_pool_that_ends_ends_the_curve_and_one_of_a_few_prompts_is_refused():
    assert len(learning_curve(a_pool(), selector="random", total=5000, seed=3)) == math.ceil(900 * 0.75 / 20)
    whole = a_pool()
    columns = ("differences", "outcomes", "truth", "prompts", "costs")
    few = replace(whole, **{name: getattr(whole, name)[:6] for name in columns})
    with pytest.raises(ValueError, match="too few prompts"):
        learning_curve(few, selector="random", total=100, seed=3)


def test_a_plan_is_where_simulations_reach_the_level():
    curves = [[0.5, 0.6, 0.7, 0.8], [0.5, 0.7, 0.6, 0.9], [0.5, 0.5, 0.5, 0.5]]
    found = plan(curves, 0.64)
    assert (found.median, found.lower) == (pytest.approx(48), pytest.approx(20 * (1 + 0.14 / 0.15)))
    assert math.isinf(found.upper)
    assert found.best == pytest.approx((0.8 + 0.9 + 0.5) / 3)
    assert labels_needed(np.array([0.9]), 0.5) == 20
    with pytest.raises(ValueError, match="nothing was simulated"):
        plan([], 0.5)


@pytest.fixture
def pool(project):
    for n in range(24):
        prompt = a_prompt(project)
        for m in range(2):
            compares(prompt, f"{'word ' * (n + m + 1)}end", f"- {n}\n- {m}!", wanted=1)
    return project


def simulate(*arguments: str) -> tuple[str, str]:
    out, told = StringIO(), StringIO()
    call_command("simulate", "desk", *arguments, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


@pytest.mark.django_db
def test_how_many_labels_until(pool):
    said, told = simulate("--until", "0.6", "--budget", "60", "--simulations", "3")
    ordered, at_random, number = said.splitlines()
    assert ordered.startswith("As the queue is ordered: ")
    assert "for 60 % of unseen pairs" in ordered
    assert at_random.startswith("At random: ")
    assert number == "more than 60" or 20 <= int(number) <= 60
    assert "Simulation 3 of 3." in told
    assert not Label.objects.exists()
    assert simulate("--until", "0.6", "--budget", "60", "--simulations", "3")[0] == said


@pytest.mark.django_db
def test_a_plan_needs_something_to_plan_with(project):
    compares(a_prompt(project), "a", "b")
    with pytest.raises(CommandError, match="A plan needs comparisons of 20 prompts or more: import some, or sample"):
        simulate()
    for wrong in (["--until", "2"], ["--slips", "-1"], ["--budget", "0"]):
        with pytest.raises(CommandError, match=r"is a share|is 1 or more"):
            simulate(*wrong)


@pytest.mark.django_db
def test_its_labels_carry_the_mark_for_ever_and_train_nothing_unasked(pool):
    said, told = simulate("--labels", "10", "--slips", "0")
    assert (said.strip(), told) == ("10", "")
    labels = Label.objects.all()
    assert {label.simulated for label in labels} == {True}
    assert {label.person.username for label in labels} == {"simulated-annotator"}
    assert not User.objects.get(username="simulated-annotator").has_usable_password()
    for simulated, expected in ((False, 0), (True, len([one for one in labels if one.strength]))):
        rule = snapshots.Rule(simulated=simulated)
        assert len(snapshots.collect(project=pool, kind=SnapshotKind.PREFERENCES, rule=rule)) == expected
    assert simulate("--labels", "100")[0].strip() == "38"
    assert "There is nothing more for it to label." in simulate("--labels", "1")[1]


@pytest.mark.django_db
@pytest.mark.parametrize(("ties", "levels"), [(True, ["a little", "much"]), (False, [])])
def test_lists_of_three_to_eight_answers_are_ranked_on_the_projects_scale(project, ties, levels):
    project.ties_allowed, project.strength_levels = ties, levels
    project.save()
    for count in range(3, 9):
        a_comparison(project, ["word " * n + "end" for n in range(count)])
    given = simulating.label(project=project, labels=10, manner=Manner(tie_within=0.3))
    assert sorted(label.judgements.count() for label in given) == [3, 4, 5, 6, 7, 8]
    ranks = [list(label.judgements.values_list("rank", flat=True)) for label in given]
    assert any(len(set(one)) < len(one) for one in ranks) == ties
    assert all(label.simulated for label in given)
    assert {label.strength for label in given} <= ({None, 1, 2} if levels else {None})


@pytest.mark.django_db
def test_lists_are_planned_with(project):
    for n in range(21):
        a_comparison(project, ["word " * m + f"{n}" for m in range(1, 4)])
    said, _ = simulate("--until", "0.55", "--budget", "15", "--simulations", "2")
    assert "with 15." in said


@pytest.mark.django_db
def test_a_persons_name_is_not_taken(pool, bob):
    with pytest.raises(ValidationError, match="bob is a person: choose another name"):
        simulating.label(project=pool, labels=1, name="bob")
    assert not Label.objects.exists()
    assert not Membership.objects.get(person__username="bob").simulated
