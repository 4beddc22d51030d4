"""How votes become rows, worked by hand; that exports and snapshots agree, tests/annotation/test_exporting.py shows."""

import pytest

from annotation import aggregating
from annotation.aggregating import About, Judged, Terms, Verdicts, Vote, Votes


def a_label(kind="comparison", verdict="", response=None, answered=7, prompt=7) -> About:
    return About(1, 5, 3, kind, prompt, response, answered, verdict, None, False, False)


def ranking(*ranks: int, bad=()) -> list[Judged]:
    return [Judged(place, rank, place in bad) for place, rank in enumerate(ranks, start=1)]


def test_a_ranking_is_a_vote_on_each_pair_unless_both_are_unacceptable():
    pairs: aggregating.Pairs = {}
    aggregating.count(pairs, 7, 1, ranking(2, 1, 2, 2, bad=(3, 4)), 0.5)
    assert {key: votes.said[0][1:] for key, votes in pairs.items()} == {
        (1, 2): (2, 0.5),
        (1, 3): (0, 0.0),
        (1, 4): (0, 0.0),
        (2, 3): (2, 0.5),
        (2, 4): (2, 0.5),
    }


@pytest.mark.parametrize(
    ("label", "preferred_over"),
    [
        (a_label(response=9), [2]),  # the best answer, edited
        (a_label("demonstration", "edit", response=9), [1]),
        (a_label("demonstration", "edit", response=1), []),  # as it was
        (a_label("demonstration", "accept", response=9), []),
        (a_label("demonstration", "edit", response=9, answered=8), []),  # in a mended conversation
        (a_label(), []),
    ],
)
def test_an_edit_is_preferred_over_what_was_edited(label, preferred_over):
    pairs: aggregating.Pairs = {}
    aggregating.count_edit(pairs, label, shown=[1], judged=ranking(2, 1))
    assert list(pairs) == [(one, 9) for one in preferred_over]


@pytest.mark.parametrize(
    ("label", "judged", "said"),
    [
        (a_label(), ranking(1, 2, 3, bad=(3,)), [(7, 1, True), (7, 3, False)]),
        (a_label(), ranking(1, 1), []),
        (a_label(response=9), ranking(1, 2), [(7, 9, True)]),
        (a_label("demonstration", "reject", answered=None), [], [(7, 1, False)]),
        (a_label("demonstration", "edit", response=9, answered=8), [], [(8, 9, True)]),
    ],
)
def test_answers_good_or_bad_by_themselves(label, judged, said):
    assert list(aggregating.good_or_bad(label, [1], judged)) == said


def test_the_majority_makes_a_row_and_a_tie_none():
    votes = Votes(7, 1, 2, [Vote(1, 1, 1.0), Vote(2, 1, 0.5), Vote(3, 2, 0.25), Vote(4, 0, 0.0)])
    assert aggregating.of_pair(votes, Terms()) == [(1, 0.3125, 0.5, [1, 2, 3, 4])]
    assert aggregating.of_pair(votes, Terms(minimum_agreement=0.6)) == aggregating.DIVIDED
    assert aggregating.of_pair(votes, Terms(minimum_votes=5)) == aggregating.FEW
    assert aggregating.of_pair(votes, Terms(minimum_votes=5), is_decision=lambda label: label == 3) != aggregating.FEW
    assert aggregating.of_pair(Votes(7, 1, 2, votes.said[1:3]), Terms()) == aggregating.TIED
    heavy = aggregating.of_pair(votes, Terms(), worth=lambda label: 4 if label == 3 else 1)
    assert [one.winner for one in heavy] == [2]


def test_so_does_the_majority_on_one_answer():
    found = Verdicts(7, 1, [Vote(1, 1, 0.0), Vote(2, 0, 0.0), Vote(3, 0, 0.0)])
    assert aggregating.of_answer(found, Terms()) == [(0, 0.0, 0.666667, [1, 2, 3])]
    assert aggregating.of_answer(Verdicts(7, 1, found.said[:2]), Terms()) == aggregating.TIED
    every = aggregating.of_answer(found, Terms(aggregation="all_votes"))
    assert [(one.winner, one.agreement) for one in every] == [(1, 0.333333), (0, 0.666667), (0, 0.666667)]
