"""Champion against challenger on held-out prompts: blind, mixed into the queue, counted once, stopped early."""

from collections.abc import Container
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from annotation import labelling
from annotation.models import Event, Item
from evaluation import gate, head_to_head, tasks
from evaluation.models import HeadToHead
from evaluation.sequential import win_rate
from tests.annotation.making import a_prompt
from tests.training.making import a_model, compares, fails, says, succeeds
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(project) -> tuple[ModelVersion, ModelVersion]:
    old = a_model(project, "old", stage="production")
    return old, a_model(project, "new", format="adapter", parent=old)


@pytest.fixture
def heldout(project) -> list:
    return [a_prompt(project, f"Held out {n}?", split="heldout") for n in range(12)]


def answered(run: Run, text: str = "", silent: Container[int] = ()) -> None:
    lines = [
        {
            "prompt_id": one["id"],
            "sample": 0,
            "text": " " if number in silent else text or f"{run.base} says so",
            "tokens": 3,
            "finished": True,
        }
        for number, one in enumerate(run.inputs["prompts"])
    ]
    tasks.run_finished(succeeds(run, lines).pk)


def begun(challenger: ModelVersion, **more: Any) -> HeadToHead:
    match = head_to_head.start(challenger=challenger, wake=False, **more)
    answered(match.champion_run)
    assert not Item.objects.filter(selection__match=match.pk).exists()
    answered(match.challenger_run)
    match.refresh_from_db()
    return match


def items_of(match: HeadToHead) -> list[Item]:
    return list(Item.objects.filter(selection__match=match.pk).order_by("id"))


def prefers(member: Any, item: Item, model: str) -> None:
    texts = list(item.answers.order_by("order").values_list("response__text", flat=True))
    says(member, item, ranks=(1, 2) if texts[0].startswith(model) else (2, 1))


def test_a_pair_of_each_heldout_prompt_is_mixed_into_the_queue(project, pair, heldout, bob):
    others = [compares(a_prompt(project, f"Train {n}?"), "A", "B", priority=n) for n in range(5)]
    match = begun(pair[1], prompts=10)
    items = items_of(match)
    assert len(items) == 10
    assert {item.purpose for item in items} == {"head_to_head"}
    assert {item.prompt for item in items} < set(heldout)
    assert all(others[0].priority <= item.priority <= others[-1].priority for item in items)
    assert len({item.priority for item in items}) == 10
    for item in items:
        assert {answer.text for answer in item.responses.all()} == {"old says so", "new says so"}
    for run in (match.champion_run, match.challenger_run):
        tasks.run_finished(run.pk)
    assert items_of(match) == items


def test_a_better_model_is_found_and_one_is_told_to_stop(pair, heldout, bob, alice):
    match = begun(pair[1])
    assert "Too early to tell" in head_to_head.standing(match).words
    for item in items_of(match)[:9]:
        prefers(bob, item, "new")
    found = head_to_head.standing(match)
    assert (found.decided, found.wins, found.losses, found.ties, found.asked, found.people) == (1, 9, 0, 0, 12, 1)
    assert found.interval.lower > 0.5
    assert found.words.startswith("The new model is better: it wins 100 %")
    assert "Go on asking" in found.words

    won = {row.name: row for row in gate.verdict(pair[1]).rows}["Blind comparisons won"]
    assert won.passed
    assert (
        won.value == f"100 % ({100 * found.interval.lower:.0f} to 100 %, n 9)"
    )  # and not Wilson's, as one may stop now

    assert head_to_head.stop(match=match, actor=alice.person)
    assert Item.objects.filter(selection__match=match.pk, dropped=True).count() == 3
    assert Event.objects.get(verb="head to head stopped").data == {"not_asked": 3, "because": "a lead stopped it"}
    assert not head_to_head.stop(match=match)
    match.refresh_from_db()
    stopped = head_to_head.standing(match)
    assert (stopped.wins, stopped.cut_short, stopped.left) == (9, True, 0)
    assert "Go on" not in stopped.words


def test_a_model_that_says_nothing_has_lost_without_anybody_being_asked(pair, heldout, bob):
    match = head_to_head.start(challenger=pair[1], wake=False)
    answered(match.champion_run, silent=range(3, 5))
    answered(match.challenger_run, silent=range(4))
    match.refresh_from_db()
    assert len(items_of(match)) == 12 - 5
    before = head_to_head.standing(match)
    assert (before.silence, before.asked, before.judged, before.prompts) == ((3, 1, 1), 7, 0, 12)
    for item in items_of(match):
        prefers(bob, item, "new")
    found = head_to_head.standing(match)
    assert (found.wins, found.losses, found.ties) == (8, 3, 1)
    assert found.interval.value == pytest.approx(8.5 / 12)
    assert found.silence_words == (
        "Nobody is asked about silence: the new model said nothing to 3 prompts, the one before said nothing to 1 "
        "prompt, neither said anything to 1 prompt. Who alone says nothing has lost."
    )


def test_silence_counts_by_and_by_and_decides_nothing_before_people_do(pair):
    """Ten answers of fifty are missing, and people like all the others: at no moment is the new model worse."""
    project = pair[1].project
    for number in range(50):
        a_prompt(project, f"Held out {number}?", split="heldout")
    match = head_to_head.start(challenger=pair[1], prompts=50, wake=False)
    answered(match.champion_run)
    answered(match.challenger_run, silent=range(10))
    match.refresh_from_db()
    for lot in range(30):  # however the prompts are drawn
        for judged in (0, 1, 20, 40):
            silence = head_to_head._silence(match)
            drawn = HeadToHead(pk=1000 + lot, identical=0)
            scores = head_to_head._so_far(drawn, silence, asked=40, judged=[1.0] * judged)
            assert sum(scores) == judged
            assert len(scores) <= 50 if judged < 40 else len(scores) == 50
            assert win_rate(scores).decided >= 0


def test_a_prompt_that_one_of_them_was_never_shown_is_lost_by_nobody(pair, heldout):
    match = head_to_head.start(challenger=pair[1], wake=False)
    answered(match.champion_run, silent=range(2))
    asked = match.challenger_run.inputs["prompts"]
    match.challenger_run.inputs["prompts"] = asked[1:]  # the first did not fit
    answered(match.challenger_run)
    match.refresh_from_db()
    assert head_to_head.standing(match).silence == (0, 1, 0)


def test_a_model_without_a_word_fails_the_gate_though_nobody_was_asked(pair, heldout):
    match = head_to_head.start(challenger=pair[1], wake=False)
    answered(match.champion_run)
    answered(match.challenger_run, silent=range(12))
    match.refresh_from_db()
    found = head_to_head.standing(match)
    assert (found.is_over, found.losses, found.decided, found.people) == (True, 12, -1, 0)
    won = {row.name: row for row in gate.verdict(pair[1]).rows}["Blind comparisons won"]
    assert (won.outcome, won.value[:3]) == ("failed", "0 %")


def test_what_both_answer_alike_is_a_tie_that_nobody_is_asked(pair, heldout, bob):
    match = head_to_head.start(challenger=pair[1], wake=False)
    answered(match.champion_run, "The same.")
    answered(match.challenger_run, "The  same.")
    match.refresh_from_db()
    assert (match.identical, items_of(match)) == (12, [])
    found = head_to_head.standing(match)
    assert (found.ties, found.decided, found.interval.value, found.interval.n) == (12, 0, 0.5, 12)
    assert found.words == "Nobody had to be asked: both gave the same answer to 12 prompts."


def test_an_item_counts_once_it_has_all_its_labels(project, pair, heldout, bob, bea, member):
    project.labels_per_item = 2
    project.save()
    match = begun(pair[1])
    one = items_of(match)[0]
    prefers(bob, one, "new")
    assert head_to_head.standing(match).interval.n == 0
    prefers(bea, one, "old")
    found = head_to_head.standing(match)
    assert (found.interval.n, found.interval.value, found.ties, found.people) == (1, 0.5, 1, 2)


def test_simulated_and_withdrawn_labels_do_not_count(pair, heldout, bob, alice, member):
    match = begun(pair[1])
    first, second = items_of(match)[:2]
    prefers(member("robot", simulated=True), first, "new")
    prefers(bob, second, "new")
    assert head_to_head.standing(match).wins == 1
    assert head_to_head.standing(match, simulated=True).wins == 2
    labelling.retract(label=second.labels.get(), actor=alice)
    assert head_to_head.standing(match).wins == 0


def test_what_cannot_be_compared_is_refused(project, pair, heldout):
    old, new = pair
    for more, words in (
        ({"challenger": old}, "cannot be compared with itself"),
        ({"challenger": a_model(project, "judge", kind="reward")}, "Two models of this project that answer"),
    ):
        with pytest.raises(ValidationError, match=words):
            head_to_head.start(**more)
    head_to_head.start(challenger=new, wake=False)
    with pytest.raises(ValidationError, match="being compared already"):
        head_to_head.start(challenger=new)
    assert Run.objects.count() == 2


def test_without_heldout_prompts_there_is_nothing_to_ask(pair):
    with pytest.raises(ValidationError, match="no held-out prompt"):
        head_to_head.start(challenger=pair[1])


def test_a_run_that_fails_is_told(pair, heldout):
    match = head_to_head.start(challenger=pair[1], wake=False)
    tasks.run_finished(fails(match.champion_run, error="Memory ran out.").pk)
    match.champion_run.refresh_from_db()
    found = head_to_head.standing(HeadToHead.objects.get(pk=match.pk))
    assert found.words == f"Run {match.champion_run_id} failed: Memory ran out."
    assert head_to_head.stop(match=match)
    head_to_head.start(challenger=pair[1], wake=False)


def test_two_that_meet_again_ask_what_was_left_unasked(pair, heldout, bob):
    match = begun(pair[1])
    first, aside, *_ = items_of(match)
    prefers(bob, first, "new")
    Item.objects.filter(pk=aside.pk).update(dropped=True, set_aside=True)
    assert head_to_head.stop(match=match)
    again = head_to_head.standing(begun(pair[1]))
    assert (again.asked, again.left, again.wins) == (12, 10, 1)
    assert Item.objects.open().count() == 10


def test_a_match_ends_when_its_model_is_promoted_and_can_come_back(pair, heldout, bob, alice):
    match = begun(pair[1])
    first, held, *_ = items_of(match)
    prefers(bob, first, "new")
    Item.objects.filter(pk=held.pk).update(taken=1)  # in somebody's hands
    gate.promote(version=pair[1], actor=alice.person, reason="It is liked.")
    match.refresh_from_db()
    found = head_to_head.standing(match)
    assert (match.ended_because, found.wins, found.withdrawn, found.cut_short) == ("new was promoted", 1, 10, True)
    assert found.end.endswith(
        ": new was promoted. 10 pairs were taken out of the queue, to be asked again if the two are compared again."
    )
    assert Event.objects.get(verb="head to head stopped").data == {"not_asked": 10, "because": "new was promoted"}
    assert [item.selection.get("withdrawn") for item in items_of(match)[1:3]] == [None, "new was promoted"]
    assert not Item.objects.open().exists()

    Item.objects.filter(pk=held.pk).update(taken=0)  # given back unanswered
    assert head_to_head.withdraw_returned() == 1
    assert head_to_head.withdraw_returned() == 0
    assert not Item.objects.open().exists()
    labelling.retract(label=first.labels.get(), actor=bob)  # days later
    HeadToHead.objects.update(ended_at=timezone.now() - timedelta(days=9))
    assert (head_to_head.withdraw_returned(), Item.objects.open().exists()) == (1, False)
    gate.roll_back(project=match.project)
    again = head_to_head.standing(begun(pair[1]))
    assert (again.asked, again.left, again.wins, again.withdrawn) == (12, 12, 0, 0)


def test_a_promotion_ends_what_it_makes_idle_alone(project, pair, heldout):
    old, new = pair
    third, fourth = (a_model(project, name, format="adapter", parent=old) for name in ("third", "fourth"))
    against_old, with_new, others = (
        head_to_head.start(challenger=challenger, champion=champion, wake=False)
        for challenger, champion in ((third, old), (new, third), (third, fourth))
    )
    still = head_to_head.start(challenger=fourth, champion=new, wake=False)
    gate.promote(version=new, reason="Because.")
    assert set(HeadToHead.objects.filter(ended_at=None)) == {others, still}
    assert set(HeadToHead.objects.exclude(ended_at=None)) == {against_old, with_new}
    against_old.champion_run.refresh_from_db()
    assert against_old.champion_run.status == "cancelled"


def test_what_has_some_of_its_labels_keeps_them_and_is_asked_no_more(project, pair, heldout, bob, bea):
    project.labels_per_item = 2
    project.save()
    match = begun(pair[1])
    half, whole, *_ = items_of(match)
    for member, item in ((bob, half), (bob, whole), (bea, whole)):
        prefers(member, item, "new")
    head_to_head.stop(match=match)
    half.refresh_from_db()
    assert (half.dropped, half.wanted, half.labels.count()) == (False, 1, 1)
    assert not Item.objects.open().exists()
    found = head_to_head.standing(match)
    assert (found.wins, found.withdrawn, found.cut_short) == (2, 11, True)
    begun(pair[1])
    assert Item.objects.open().count() == 11
