"""A round asks people by itself whether its new model is better, and the gate is written anew once they said so."""

from typing import Any

import pytest

from annotation.models import Event, Item, Notice
from evaluation import blind, gate, head_to_head, headline, polling, report, rounds, tasks
from evaluation.models import HeadToHead, Round, RoundStep, Score
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, compares, fails, says, succeeds
from training import runs
from training.models import Generation, ModelVersion, Run, Sample

pytestmark = pytest.mark.django_db

PROMPTS = 14


@pytest.fixture
def pair(project) -> tuple[ModelVersion, ModelVersion]:
    old = a_model(project, "old", stage="production")
    for number in range(PROMPTS):
        a_prompt(project, f"Held out {number}?", split="heldout")
    return old, a_model(project, "new", format="adapter", parent=old)


def at_the_gate(
    pair: tuple[ModelVersion, ModelVersion], number: int = 1, **settings: Any
) -> tuple[Round, dict[str, Any]]:
    """A round that has just passed by its gate, and what it wrote down there."""
    old, new = pair
    current = Round.objects.create(
        project=old.project, number=number, champion=old, challenger=new, step="gated", settings=settings
    )
    current = rounds.advance(round_id=current.pk)
    assert current.step == "sampling", current.error
    return current, noted(current)


def noted(current: Round) -> dict[str, Any]:
    return RoundStep.objects.get(round=current, name="gated").detail


def answered(run: Run) -> None:
    lines = [
        {"prompt_id": one["id"], "sample": 0, "text": f"{run.base} says so", "tokens": 3, "finished": True}
        for one in run.inputs["prompts"]
    ]
    tasks.run_finished(succeeds(run, lines).pk)


def met(match: HeadToHead) -> list[Item]:
    answered(match.champion_run)
    answered(match.challenger_run)
    return list(Item.objects.filter(selection__match=match.pk).order_by("id"))


def prefers(member: Any, item: Item, model: str) -> None:
    texts = list(item.answers.order_by("order").values_list("response__text", flat=True))
    says(member, item, ranks=(1, 2) if texts[0].startswith(model) else (2, 1))


def test_a_round_asks_people_goes_on_and_its_gate_is_written_anew(pair, bob, alice):
    a_preference(bob)
    current, before = at_the_gate(pair, generate={"samples_per_prompt": 2, "max_new_tokens": 16})
    match = HeadToHead.objects.get()
    assert (before["match"], match.champion, match.challenger) == (match.pk, *pair)
    assert match.challenger_run.settings["max_new_tokens"] == 16
    assert "has not been compared" in headline.of(current)
    items = met(match)
    assert len(items) == PROMPTS
    for item in items[:3]:
        prefers(bob, item, "new")
    row = {row.name: row for row in gate.verdict(pair[1], champion=pair[0]).rows}["Blind comparisons won"]
    assert (row.outcome, row.why) == ("undecided", f"people are being asked, 3 of {PROMPTS} prompts so far")
    assert polling.settle() == 0
    for item in items[3:-1]:
        prefers(bob, item, "new")
    assert polling.settle() == 0  # it wins; at equal length that is told once, of all, and not as soon as it looks so
    row = {row.name: row for row in gate.verdict(pair[1], champion=pair[0]).rows}
    assert row["Blind comparisons won"].passed
    assert row["Blind comparisons won at equal length"].outcome == "undecided"
    prefers(bob, items[-1], "new")
    assert tasks.settle_matches() == 1
    after = {row["name"]: row["outcome"] for row in noted(current)["verdict"]}
    assert after["Blind comparisons won"] == after["Blind comparisons won at equal length"] == "passed"
    assert Notice.objects.get().person == alice.person
    assert Event.objects.get(verb="round judged").data["outcome"] == "undecided"  # nothing else is measured
    match.refresh_from_db()
    assert match.ended_at is not None
    won = blind.of(pair[1], pair[0], simulated=False)
    assert headline.of(current).startswith(f"The new model wins {won.interval.words()} of blind comparisons")
    assert polling.settle() == 0


def test_one_that_loses_is_asked_about_no_longer_than_needed(pair, bob, alice):
    a_preference(bob)
    current, _ = at_the_gate(pair)
    items = met(HeadToHead.objects.get())
    asked = 0
    while not polling.settle():
        prefers(bob, items[asked], "old")
        asked += 1
    assert asked < PROMPTS
    assert Item.objects.filter(selection__selector="head to head", dropped=True).count() == PROMPTS - asked
    assert noted(current)["outcome"] == "failed"
    assert polling.settle() == 0


def test_where_the_gate_asks_for_no_wins_the_match_itself_says_when_it_is_enough(pair, bob, alice):
    gate.set_policy(project=bob.project, min_win_rate=None)
    a_preference(bob)
    at_the_gate(pair)
    items = met(HeadToHead.objects.get())
    assert polling.settle() == 0
    for item in items[:9]:
        prefers(bob, item, "new")
    assert polling.settle() == 1


def test_a_lead_who_stops_leaves_the_rate_at_equal_length_open(pair, bob, alice):
    a_preference(bob)
    current, _ = at_the_gate(pair)
    match = HeadToHead.objects.get()
    for item in met(match)[:-1]:
        prefers(bob, item, "new")
    assert head_to_head.stop(match=match)
    assert polling.settle() == 1
    rows = {row["name"]: row for row in noted(current)["verdict"]}
    assert rows["Blind comparisons won"]["passed"]
    assert rows["Blind comparisons won at equal length"]["outcome"] == "undecided"
    assert "that was stopped" in rows["Blind comparisons won at equal length"]["why"]


def test_items_that_nobody_will_answer_keep_no_match_open(pair, bob, alice, member):
    """Dropped, or judged by simulated annotators alone: the rest is all that people can say."""
    a_preference(bob)
    at_the_gate(pair)
    match = HeadToHead.objects.get()
    dropped, simulated, *items = met(match)
    Item.objects.filter(pk=dropped.pk).update(dropped=True, set_aside=True)
    prefers(member("robot", simulated=True), simulated, "new")
    for number, item in enumerate(items):
        assert polling.settle() == 0
        prefers(bob, item, "new" if number % 2 else "old")
    match.refresh_from_db()
    found = head_to_head.standing(match)
    assert (found.left, found.is_answered, found.interval.n) == (0, True, PROMPTS - 2)
    assert "All is answered" in found.words
    assert polling.settle() == 1


def test_what_else_was_compared_does_not_end_a_match(pair, bob, alice):
    """Pairs that a round chose are no head to head, in which nobody has said anything yet."""
    a_preference(bob)
    at_the_gate(pair)
    match = HeadToHead.objects.get()
    sampled = []
    for model in pair:
        run = Run.objects.create(project=bob.project, method="generate", base=model)
        sampled.append(Generation.objects.create(project=bob.project, run=run, model_version=model, seed=1))
    for number in range(12):
        prompt = a_prompt(bob.project, f"Chosen {number}?", split="heldout")
        item = compares(prompt, f"old {number}", f"new {number}", purpose="head_to_head")
        for generation, answer in zip(sampled, item.answers.order_by("order"), strict=True):
            Sample.objects.create(generation=generation, response=answer.response, index=0)
        says(bob, item, ranks=(1, 2))
    met(match)
    assert polling.settle() == 0


def test_a_run_that_fails_is_told_and_may_be_tried_again(pair, bob, alice):
    a_preference(bob)
    current, _ = at_the_gate(pair)
    match = HeadToHead.objects.get()
    answered(match.champion_run)
    fails(match.challenger_run)
    assert polling.settle() == 0
    assert ("People", f"Run {match.challenger_run_id} failed: No row was left.") in report.words(
        "gated", noted(current), []
    )
    runs.retry(run=match.challenger_run)
    assert polling.settle() == 0
    assert ("People", "compare it blind in the queue") in report.words("gated", noted(current), [])
    head_to_head.stop(match=match)
    assert polling.settle() == 1
    assert "nobody has compared" in Notice.objects.get().text
    assert "nobody has compared" in dict(report.words("gated", noted(current), []))["People"]


def test_nobody_is_asked_where_only_simulated_annotators_compare(pair, member):
    a_preference(member("robot", simulated=True))
    _, found = at_the_gate(pair, simulated=True)
    assert "match" not in found
    assert not HeadToHead.objects.exists()


def test_nobody_is_asked_where_the_project_does_not_want_it(pair, bob):
    a_preference(bob)
    gate.set_policy(project=bob.project, blind_prompts=None)
    assert "match" not in at_the_gate(pair)[1]


def test_nobody_is_asked_about_a_model_that_has_failed(pair, bob):
    a_preference(bob)
    evaluation = pair[1].evaluations.create(project=bob.project, kind="held-out measures")
    Score.objects.create(evaluation=evaluation, name="forgetting", value=0.5, lower=0.4, upper=0.6, n=40)
    _, found = at_the_gate(pair)
    assert (found["outcome"], "match" in found) == ("failed", False)
    assert "failed already" in found["not_asked"]


def test_without_heldout_prompts_the_round_goes_on_and_says_why(project, bob):
    a_preference(bob)
    old = a_model(project, "old", stage="production")
    _, found = at_the_gate((old, a_model(project, "new", format="adapter", parent=old)))
    assert "no held-out prompt" in found["not_asked"]


def test_the_next_round_ends_the_match_of_the_last_once_it_has_a_model_of_its_own(pair, bob, alice):
    a_preference(bob)
    current, _ = at_the_gate(pair)
    match = HeadToHead.objects.get()
    prefers(bob, met(match)[0], "new")
    Round.objects.filter(pk=current.pk).update(status="done")
    following = Round.objects.create(project=bob.project, number=2, champion=pair[0], step="collecting")
    assert polling.settle() == 0  # until then the model of the last round is the best candidate
    newer = a_model(bob.project, "newer", format="adapter", parent=pair[0])
    Round.objects.filter(pk=following.pk).update(challenger=newer, step="gated")
    rounds.advance(round_id=following.pk)
    match.refresh_from_db()
    assert match.ended_because == "Round 2 asks about its own model, newer"
    assert HeadToHead.objects.get(ended_at=None).challenger == newer
    assert not Item.objects.open().filter(purpose="head_to_head").exists()
    assert polling.settle() == 1
    shown = dict(report.words("gated", noted(current), []))["Their comparison"]
    assert f"{PROMPTS - 1} pairs were taken out of the queue" in shown
    assert f"The blind comparison {shown[:1].lower()}{shown[1:]}" in report.sentences(current)


def test_one_that_a_lead_has_started_before_the_round_does_ends_the_last_one_too(pair, bob, alice):
    a_preference(bob)
    at_the_gate(pair)
    last = HeadToHead.objects.get()
    newer = a_model(bob.project, "newer", format="adapter", parent=pair[0])
    by_hand = head_to_head.start(challenger=newer, champion=pair[0], wake=False)
    Round.objects.update(status="done")
    _, told = at_the_gate((pair[0], newer), number=2)
    assert told["match"] == by_hand.pk
    assert HeadToHead.objects.get(ended_at=None) == by_hand
    last.refresh_from_db()
    assert last.ended_because == "Round 2 asks about its own model, newer"


def test_a_model_that_fails_the_gate_meanwhile_is_asked_about_no_more(pair, bob, alice):
    a_preference(bob)
    at_the_gate(pair)
    match = HeadToHead.objects.get()
    prefers(bob, met(match)[0], "new")
    evaluation = pair[1].evaluations.create(project=bob.project, kind="held-out measures")
    Score.objects.create(evaluation=evaluation, name="forgetting", value=0.5, lower=0.4, upper=0.6, n=40)
    assert polling.settle() == 1
    match.refresh_from_db()
    assert "fails the gate whatever people say (Forgetting" in match.ended_because
    assert not Item.objects.open().filter(purpose="head_to_head").exists()


def test_a_match_that_breaks_holds_up_no_other_and_is_told(pair, bob, alice, monkeypatch, caplog):
    a_preference(bob)
    broken, _ = at_the_gate(pair)
    match = HeadToHead.objects.get()
    Round.objects.filter(pk=broken.pk).update(status="done")
    newer = a_model(bob.project, "newer", format="adapter", parent=pair[0])
    well, _ = at_the_gate((pair[0], newer), number=2)
    head_to_head.stop(match=HeadToHead.objects.exclude(pk=match.pk).get())
    looked_at = head_to_head.standing

    def standing(found: HeadToHead, **more: Any) -> head_to_head.Standing:
        if found == match:
            raise ValueError("no such answer")
        return looked_at(found, **more)

    monkeypatch.setattr(head_to_head, "standing", standing)
    with pytest.raises(ExceptionGroup) as raised:
        tasks.settle_matches()
    assert [str(one) for one in raised.value.exceptions] == ["no such answer"]
    assert noted(well)["settled"]
    assert ("People", "what they said could not be looked at (ValueError: no such answer)") in report.words(
        "gated", noted(broken), []
    )
    assert "could not be looked at" in caplog.text
    monkeypatch.setattr(head_to_head, "standing", looked_at)
    assert polling.settle() == 1
