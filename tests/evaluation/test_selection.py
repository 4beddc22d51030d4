"""Which pairs are asked about: uncertain ones first, a random slice as a control, nothing twice."""

from collections import Counter

import pytest

from evaluation.selection import Pair, select


def pairs(prompts: int = 40, each: int = 3) -> list[Pair]:
    """`each` pairs of answers of their own for every prompt; the higher its number, the more certain a pair is."""
    return [
        Pair(prompt, first := 1000 * prompt + 2 * n, first + 1, (0.0, 0.05 * (prompt * each + n)))
        for prompt in range(prompts)
        for n in range(each)
    ]


def names(chosen) -> list[tuple[int, int]]:
    return [(one.pair.first, one.pair.second) for one in chosen]


def test_the_least_certain_come_first():
    pool = pairs(each=1)
    chosen = select(pool[::-1], wanted=10, random_share=0, seed=1)
    assert names(chosen) == [(pair.first, pair.second) for pair in pool[:10]]
    assert {one.selector for one in chosen} == {"uncertainty"}
    assert [one.priority for one in chosen] == sorted((one.priority for one in chosen), reverse=True)


def test_a_given_order_is_kept_and_the_control_is_drawn_as_ever():
    pool = pairs(each=1)
    ranked = pool[::-1]
    chosen = select(pool, wanted=10, random_share=0, seed=1, ranked=ranked)
    assert names(chosen) == [(pair.first, pair.second) for pair in ranked[:10]]
    assert {one.selector for one in chosen} == {"posterior"}
    mixed = select(pool, wanted=20, random_share=0.1, seed=1, ranked=ranked)
    drawn = {name for name, one in zip(names(mixed), mixed, strict=True) if one.selector == "random"}
    by_reward = select(pool, wanted=20, random_share=0.1, seed=1)
    assert drawn == {(one.pair.first, one.pair.second) for one in by_reward if one.selector == "random"}
    assert len(drawn) == 2
    assert all(1 < one.priority <= 2 for one in mixed)


@pytest.mark.parametrize(("wanted", "share", "control"), [(20, 0.1, 2), (20, 0.5, 10), (10, 1.0, 10), (10, 0.0, 0)])
def test_a_share_is_drawn_at_random(wanted, share, control):
    chosen = select(pairs(), wanted=wanted, random_share=share, seed=3)
    assert len(chosen) == wanted
    assert Counter(one.selector for one in chosen)["random"] == control


def test_the_control_is_drawn_from_everything():
    """Over many seeds every pair has its chance, certain ones as much as others."""
    pool = pairs(prompts=10, each=1)
    drawn: Counter = Counter()
    for seed in range(400):
        drawn.update(names(select(pool, wanted=2, random_share=1.0, seed=seed)))
    assert len(drawn) == 10
    assert min(drawn.values()) > 40  # 80 is the mean; three standard deviations are 24
    assert max(drawn.values()) < 120


def test_the_control_has_no_place_of_its_own_in_the_queue():
    """Neither first nor last: over seeds it stands early as often as late."""
    places = []
    for seed in range(200):
        chosen = select(pairs(each=1), wanted=11, random_share=0.1, seed=seed)
        places += [place for place, one in enumerate(chosen) if one.selector == "random"]
    assert min(places) < 2
    assert max(places) == 10
    assert all(1 <= one.priority <= 2 for one in select(pairs(), wanted=40, random_share=0.3, seed=1))


def test_a_prompt_is_asked_about_twice_at_most():
    chosen = select(pairs(prompts=6, each=5), wanted=100, random_share=0.3, seed=2)
    assert Counter(one.pair.prompt for one in chosen) == dict.fromkeys(range(6), 2)
    assert len(select(pairs(prompts=6, each=5), wanted=100, random_share=0, seed=2, per_prompt=4)) == 24


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_an_answer_is_asked_about_once(share):
    answers = range(8)
    pool = [Pair(1, a, b, (a / 10, b / 10)) for a in answers for b in answers if a < b]
    chosen = select(pool, wanted=20, random_share=share, seed=4, per_prompt=20)
    shown = Counter(answer for one in chosen for answer in (one.pair.first, one.pair.second))
    assert set(shown.values()) == {1}
    assert len(chosen) >= 3


def test_the_same_seed_chooses_the_same_whatever_the_order():
    pool = pairs()
    chosen = select(pool, wanted=30, random_share=0.3, seed=7)
    assert select(pool[::-1], wanted=30, random_share=0.3, seed=7) == chosen
    assert select(pool, wanted=30, random_share=0.3, seed=8) != chosen


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_few_pairs_are_all_asked_and_none_are_none(share):
    assert select([], wanted=10, random_share=share, seed=1) == []
    assert len(select(pairs(prompts=3, each=1), wanted=10, random_share=share, seed=1)) == 3
    assert select(pairs(), wanted=0, random_share=share, seed=1) == []
