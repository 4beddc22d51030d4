"""How much people agree: by kind, pair of people, week, tag and criterion; and what counts for it."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
from django.urls import reverse

from annotation import agreement, labelling, votes
from annotation.labelling import Said
from annotation.models import Label, Membership, Prompt
from annotation.statistics import alpha, fleiss
from tests.annotation.making import a_comparison, a_prompt, an_answer
from tests.training.making import compares, demonstrates, says

FIRST, SECOND, TIE = (1, 2), (2, 1), (1, 1)


@pytest.fixture
def both(project, bob, bea):
    """Have bob and bea judge a new pair: `both(FIRST, SECOND)`."""

    def judge(bobs, beas, **more):
        item = compares(a_prompt(project, tags=more.pop("tags", [])), "one", "two")
        return [says(who, item, ranks=ranks, **more) for who, ranks in ((bob, bobs), (bea, beas))]

    return judge


def comparison(project, **more):
    return agreement.reports(project, **more)["comparison"]


def test_nothing_shared_is_no_agreement(project, bob):
    says(bob, compares(a_prompt(project), "one", "two"), ranks=FIRST)
    found = comparison(project)
    assert (found.overall.items, found.overall.agreement, found.overall.alpha) == (0, None, None)
    assert (found.pairs, found.weeks, found.tags, found.criteria) == ([], [], [], [])


def test_the_figures_are_those_of_the_published_formulas(project, both):
    """Eight pairs: six agreements, among them a tie. Each pair counts both ways round, since which answer is called
    the first is arbitrary; so the table is the one below and its mirror image, at half weight."""
    said = [(FIRST, FIRST)] * 4 + [(SECOND, SECOND), (TIE, TIE), (FIRST, SECOND), (FIRST, TIE)]
    for pair in said:
        both(*pair)
    table = np.array(
        [[[SECOND, TIE, FIRST].index(one) == value for value in range(3)] for pair in said for one in pair]
    )
    table = table.reshape(-1, 2, 3).sum(axis=1)
    found = comparison(project).overall
    assert (found.items, found.comparisons, found.agreed, found.agreement) == (8, 8, 6, 0.75)
    assert found.fleiss == pytest.approx(fleiss(np.concatenate([table, table[:, ::-1]])))
    # Disagreement: two of eight pairs. By chance: 12 of 16 values are no tie, 6.5 to either side; 3 are ties.
    by_chance = 1 - (6.5 * 6.5 * 2 + 3 * 3) / 16**2
    assert found.alpha.value == pytest.approx(1 - (15 / 16) * (2 / 8) / by_chance)
    assert found.interval.lower < 0.75 < found.interval.upper
    assert found.alpha.lower < found.alpha.value < found.alpha.upper


def test_agreement_does_not_depend_on_which_answer_came_first_into_the_project(project, bob, bea):
    """The better answer is always the older row: to a formula that took the two for different things, everybody would
    seem to say one and the same."""
    for number in range(10):
        item = compares(a_prompt(project), "good", "bad")
        says(bob, item, ranks=FIRST)
        says(bea, item, ranks=FIRST if number else SECOND)
    assert alpha([[2, 0]] * 9 + [[1, 1]]) == pytest.approx(0)
    assert comparison(project).overall.alpha.value == pytest.approx(1 - 19 / 20 * 0.1 / 0.5)


def test_full_agreement_is_one(project, both):
    for pair in [(FIRST, FIRST), (SECOND, SECOND)]:
        both(*pair)
    found = comparison(project).overall
    assert (found.alpha.value, found.agreement, found.interval.upper) == (1.0, 1.0, 1.0)
    assert found.interval.lower < 0.5  # two are not many


def test_everybody_always_calling_a_tie_is_no_evidence(project, both):
    both(TIE, TIE), both(TIE, TIE)
    found = comparison(project).overall
    assert (found.agreement, found.alpha, found.fleiss) == (1.0, None, None)
    assert "not to be told" in agreement.words(None)


def test_degrees_count_in_the_graded_alpha(project, both):
    for close in (2, 3):
        both(FIRST, FIRST, strength=close)
    near = comparison(project).overall.graded_alpha.value
    assert near == 1.0
    item = compares(a_prompt(project), "one", "two")
    for name, strength in (("bob", 1), ("bea", 4)):
        says(Membership.objects.get(person__username=name), item, ranks=FIRST, strength=strength)
    found = comparison(project).overall
    assert found.graded_alpha.value < 1.0
    assert found.alpha.value == 1.0


def test_rankings_agree_pair_by_pair_and_count_as_one_item(project, bob, bea):
    item = compares(a_prompt(project), "one", "two", "three")
    says(bob, item, ranks=(1, 2, 3))
    says(bea, item, ranks=(1, 3, 2))
    found = comparison(project).overall
    assert (found.items, found.comparisons, found.agreed) == (1, 3, 2)


def test_demonstrations_agree_in_their_verdict(project, bob, bea):
    for verdict in ("accept", "reject"):
        item = demonstrates(a_prompt(project))
        says(bob, item, verdict=verdict)
        says(bea, item, verdict="accept")
    found = agreement.reports(project)["demonstration"].overall
    assert (found.items, found.comparisons, found.agreed) == (2, 2, 1)
    assert found.alpha.value == pytest.approx(alpha([[2, 0], [1, 1]]))


def test_what_does_not_count_is_left_out(project, bob, bea, member):
    """Gold, withdrawn and replaced labels, decisions, excluded and simulated people."""
    item = compares(a_prompt(project), "one", "two")
    says(bob, item, ranks=FIRST)
    gold = compares(a_prompt(project), "one", "two", purpose="gold")
    for who in (bob, bea):
        says(who, gold, ranks=FIRST)
    withdrawn = says(bea, item, ranks=FIRST)
    labelling.retract(label=withdrawn, actor=bea)
    gone = member("gone", excluded_at=datetime(2026, 1, 1, tzinfo=UTC))
    says(gone, item, ranks=FIRST)
    says(member("robot", simulated=True), item, ranks=FIRST)
    decided = says(member("rita", "reviewer"), item, ranks=FIRST)
    assert comparison(project).overall.comparisons == 1  # of bob's with rita's
    Label.objects.bulk_create([_as_decision(decided, member("dora", "reviewer"))])
    assert comparison(project).overall.comparisons == 1
    assert comparison(project, simulated=True).overall.comparisons == 3


def _as_decision(label, member):
    assignment = label.assignment
    assignment.pk, assignment.person = None, member.person
    assignment.save()
    return Label(
        project=label.project, item=label.item, assignment=assignment, person=member.person, decision=True, verdict=""
    )


def test_a_corrected_label_counts_once_as_corrected(project, both):
    _, beas = both(FIRST, SECOND)
    shown = beas.assignment.order
    ranks = [1 if pk == min(shown) else 2 for pk in shown]
    labelling.revise(label=beas, said=Said(ranks=ranks))
    assert (comparison(project).overall.comparisons, comparison(project).overall.agreed) == (1, 1)


def test_every_two_people_have_their_kappa(project, bob, bea, alice):
    for number in range(6):
        item = compares(a_prompt(project), "one", "two")
        says(bob, item, ranks=FIRST)
        says(bea, item, ranks=FIRST)
        if number < 4:
            says(alice, item, ranks=SECOND)
    found = {(pair.one, pair.other): pair for pair in comparison(project).pairs}
    assert found.keys() == {("bea", "bob"), ("alice", "bob"), ("alice", "bea")}
    assert comparison(project).pairs[0].comparisons == 6
    assert (found["bea", "bob"].agreement, found["bea", "bob"].kappa.value) == (1.0, 1.0)
    assert (found["alice", "bob"].comparisons, found["alice", "bob"].kappa.value) == (4, -1.0)


def test_weeks_tags_and_criteria_are_told_apart(project, both, monkeypatch):
    both(FIRST, FIRST, tags=["refund"], criteria={})
    both(FIRST, SECOND, tags=["refund", "delivery"])
    found = comparison(project)
    assert [(one.name, one.items, one.agreed) for one in found.tags] == [("refund", 2, 1), ("delivery", 1, 0)]
    (week,) = found.weeks
    assert datetime.fromisoformat(week.name).weekday() == 0
    assert 0 <= (datetime.now() - datetime.fromisoformat(week.name)).days < 7
    assert (week.comparisons, week.agreed) == (2, 1)


def test_criteria_agree_on_the_answer_that_is_better_in_them(project, bob, bea):
    prompt = a_prompt(project)
    one, two = an_answer(prompt, "one"), an_answer(prompt, "two")
    item = compares(prompt, "one", "two")
    for who, helpful, honest in ((bob, one.pk, 0), (bea, one.pk, two.pk)):
        label = says(who, compares(prompt, "one", "two"), ranks=FIRST)
        assert label.item == item
        _with_criteria(label, {"helpful": helpful, "honest": honest})
    found = {measured.name: measured for measured in comparison(project).criteria}
    assert found.keys() == {"helpful", "honest"}
    assert (found["helpful"].comparisons, found["helpful"].agreed) == (1, 1)
    assert (found["honest"].comparisons, found["honest"].agreed) == (1, 0)


def _with_criteria(label, criteria):
    """As if these had been said with it: a new word in the place of the old one."""
    judged = list(label.judgements.all())
    new = Label.objects.create(
        project=label.project,
        item=label.item,
        assignment=label.assignment,
        person=label.person,
        criteria=criteria,
        supersedes=label,
    )
    for one in judged:
        one.pk, one.label = None, new
        one.save(force_insert=True)


def test_only_the_newest_labels_are_looked_at(project, both, monkeypatch):
    both(FIRST, SECOND), both(FIRST, FIRST)
    monkeypatch.setattr(votes, "WINDOW", 2)
    assert (comparison(project).overall.comparisons, comparison(project).overall.agreed) == (1, 1)


def test_it_takes_a_handful_of_statements_however_many_labels(project, both, django_assert_max_num_queries):
    for _ in range(5):
        both(FIRST, FIRST, tags=["refund"])
    with django_assert_max_num_queries(6):
        agreement.reports(project)


# The page


def test_the_page_says_it_in_a_sentence(client, project, both, alice):
    client.force_login(alice.person)
    shown = []
    for _ in range(2):
        for pair in [(FIRST, FIRST)] * 9 + [(FIRST, SECOND)]:
            both(*pair, tags=["refund"])
        shown.append(" ".join(client.get(reverse("quality", args=["desk"])).content.decode().split()))
    ten, twenty = shown
    assert "too few to tell" in ten
    assert "People agree on <strong>90 %</strong>" in twenty
    assert "of 20 comparisons" in twenty
    assert re.search(r"alpha <strong>0.8\d</strong>: (reliable|good)", twenty)
    assert "refund" in twenty


def test_without_overlap_the_page_says_what_to_do(client, project, alice, bob):
    a_comparison(project)
    client.force_login(alice.person)
    page = client.get(reverse("quality", args=["desk"])).content.decode()
    assert "Nothing was judged by two people yet" in page
    assert Prompt.objects.exists()


def test_simulated_people_are_shown_when_asked_for(client, project, alice, member):
    item = compares(a_prompt(project), "one", "two")
    for name in ("robot", "android"):
        says(member(name, simulated=True), item, ranks=FIRST)
    client.force_login(alice.person)
    assert "robot" not in client.get(reverse("quality", args=["desk"])).content.decode()
    assert "robot" in client.get(reverse("quality", args=["desk"]), {"simulated": ""}).content.decode()
