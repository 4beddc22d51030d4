"""How a round measures its reward model, has both models answer, and chooses what is asked next."""

from collections import Counter
from collections.abc import Callable

import pytest

from annotation import leasing
from annotation.models import Item
from annotation.models.items import Kind, Purpose
from annotation.statistics import wilson
from evaluation import report, rounds, steering, steps, tasks
from evaluation.models import Evaluation, Reward, Round, RoundStep, Score
from tests.annotation.making import a_prompt
from tests.evaluation.turning import advanced, answers_of, begin, detail, fresh, outcomes, run_of, scores_of, work
from tests.training.making import a_preference, compares, fails, says, succeeds
from training import registry, snapshots
from training.models import Sample

pytestmark = pytest.mark.django_db


# Evaluating


def test_reward_accuracy_is_exact_over_the_pairs(ready, heldout, bob, bea):
    pairs = snapshots.heldout_pairs(project=ready)
    assert len(pairs) == 3
    new = work(begin(ready), until="score heldout")
    run = run_of(new, "score heldout")
    assert sorted(answer["text"] for answer in run.inputs["answers"]) == sorted(
        pair[side][0]["content"] for pair in pairs for side in ("chosen", "rejected")
    )
    assert {answer["messages"][0]["content"] for answer in run.inputs["answers"]} == {p.last_turn for p in heldout}
    a_preference(bea, prompt=heldout[0])  # what is said later is for the next round
    given = dict(zip("210", [(2.0, 1.0), (-3.0, -1.0), (0.5, 0.5)], strict=True))  # right, wrong, and no difference
    lines = scores_of(run, lambda name: given[name[0]][name.endswith("rejected")])
    tasks.run_finished(succeeds(run, lines[::-1]).pk)
    score = Score.objects.get(name="reward accuracy", group="")
    expected = wilson(1.5, 3)
    assert (score.name, score.value, score.n) == ("reward accuracy", 0.5, 3)
    assert (score.lower, score.upper) == (expected.lower, expected.upper)
    assert (score.evaluation.model_version, score.evaluation.run) == (fresh(new).reward_model, run)
    assert detail(new, "evaluating")["reward_accuracy"] == [0.5, expected.lower, expected.upper, 3]
    verdict = detail(new, "gated")["verdict"][0]
    assert verdict["value"] == f"50 % ({100 * expected.lower:.0f} to {100 * expected.upper:.0f} %, n 3)"
    assert verdict["passed"] is False
    assert (verdict["outcome"], detail(new, "gated")["outcome"]) == ("undecided", "undecided")
    longer = Score.objects.get(name="longer answer wins")
    assert (longer.value, longer.n) == (1.0, 3)  # "good 1" is longer than "bad 1"
    assert Score.objects.get(name="brier score").n == 3


def test_the_gate_opens_when_the_interval_is_above_one_half(ready, bob):
    for number in range(5):
        a_preference(bob, prompt=a_prompt(ready, f"More {number}?", split="heldout"))
    new = work(begin(ready), until="score heldout")
    run = run_of(new, "score heldout")
    tasks.run_finished(succeeds(run, scores_of(run, lambda name: float(name.endswith("chosen")))).pk)
    verdict = detail(new, "gated")["verdict"][0]
    assert wilson(8, 8).lower > 0.5
    assert verdict["passed"] is True


def test_without_a_judged_heldout_pair_there_is_nothing_to_measure(project, base, bob):
    for _ in range(2):
        a_preference(bob)
    new = work(begin(project))
    assert outcomes(new)["evaluating"] == "done"
    assert detail(new, "evaluating") == {"why": "no judged pair on a held-out prompt yet"}
    assert detail(new, "gated")["verdict"][0]["value"] == "not measured"
    assert Evaluation.objects.get().model_version == fresh(new).challenger  # which is measured by the probe


# Sampling and selecting


def test_the_prompts_asked_about_least_are_answered_anew(project, base, bob):
    for _ in range(3):
        a_preference(bob)
    unasked = [a_prompt(project, f"Never asked {n}?") for n in range(3)]
    held = [a_prompt(project, f"Held {n}?", split="heldout") for n in range(3)]
    compares(held[0], "A", "B")
    new = work(begin(project, fresh_prompts=4, heldout_prompts=2), until="generate")
    chosen = detail(new, "sampling")["prompts"]
    assert set(chosen[:3]) == {prompt.pk for prompt in unasked}
    assert set(chosen[4:]) == {held[1].pk, held[2].pk}
    champion, challenger = run_of(new, "generate champion"), run_of(new, "generate challenger")
    assert [prompt["id"] for prompt in champion.inputs["prompts"]] == sorted(chosen)
    assert champion.inputs == challenger.inputs
    assert champion.settings == challenger.settings
    a_prompt(project, "Comes too late?")
    work(new)
    assert detail(new, "sampling")["prompts"] == chosen


def test_a_project_without_a_prompt_to_answer_fails_the_round_in_words(ready):
    new = work(begin(ready, heldout_prompts=0), until="generate")
    rounds.cancel(round=new)
    Round.objects.filter(pk=new.pk).update(status="active")
    step = RoundStep.objects.get(round=new, name="sampling")
    step.step_runs.all().delete()
    step.detail = {"prompts": []}
    step.save()
    advanced(new)
    assert fresh(new).error == "There is no prompt to answer: import prompts, then retry the round."


def selected(new: Round, score: Callable[[int], float]) -> list[Item]:
    """The items a round adds when its new answers get these scores, as people would meet them."""
    before = set(Item.objects.values_list("pk", flat=True))
    work(new, until="score answers")
    run = run_of(new, "score answers")
    tasks.run_finished(succeeds(run, scores_of(run, score)).pk)
    assert fresh(new).status == "done", fresh(new).error
    return list(Item.objects.exclude(pk__in=before).order_by("-priority", "id"))


def test_uncertain_pairs_are_queued_first(ready, bob):
    new = begin(ready, new_items=100)
    items = selected(new, lambda answer: (answer % 7) * 0.5)
    rewards = dict(Reward.objects.values_list("response_id", "value"))
    gaps = [abs(rewards[a] - rewards[b]) for a, b in (item.responses.values_list("pk", flat=True) for item in items)]
    assert len(gaps) > 4
    assert gaps == sorted(gaps)
    assert {item.selection["selector"] for item in items} == {"uncertainty"}
    assert {item.selection["round"] for item in items} == {1}
    assert detail(new, "selecting")["queued"] == len(items)
    open_before = Item.objects.open().of_kind(Kind.COMPARISON).exclude(pk__in=[item.pk for item in items])
    assert max(open_before.values_list("priority", flat=True), default=0) < min(item.priority for item in items)
    met = leasing.next_assignment(membership=bob, kind="comparison")
    assert met.item == items[0]


def test_each_pair_is_of_one_prompt_and_of_both_models(ready):
    new = begin(ready, new_items=100)
    items = selected(new, lambda answer: answer * 0.1)
    assert Counter(item.prompt_id for item in items) == dict.fromkeys(detail(new, "sampling")["prompts"], 2)
    for item in items:
        responses = list(item.responses.all())
        assert {response.prompt_id for response in responses} == {item.prompt_id}
        authors = {registry.authors_of(response)[0] for response in responses}
        assert authors == {fresh(new).champion, fresh(new).challenger}


def test_pairs_on_heldout_prompts_are_never_for_training(ready, bob):
    items = selected(begin(ready, new_items=100), lambda answer: answer * 0.1)
    purposes = {(item.prompt.split, item.purpose) for item in items}
    assert purposes == {("train", Purpose.TRAIN), ("heldout", Purpose.HEAD_TO_HEAD)}
    for item in items:
        says(bob, Item.objects.get(pk=item.pk), ranks=(1, 2))
    rows = snapshots.collect(project=ready, kind="preferences", rule=snapshots.Rule())
    heldout = set(ready.prompts.heldout().values_list("sha256", flat=True))
    assert not {row["prompt_sha256"] for row in rows} & heldout


def test_at_most_so_many_are_queued_and_a_share_at_random(ready):
    items = selected(begin(ready, new_items=5, random_share=0.4), lambda answer: answer * 0.1)
    assert Counter(item.selection["selector"] for item in items) == {"uncertainty": 3, "random": 2}


def test_models_that_answer_alike_leave_nothing_to_ask(ready, base):
    new = work(begin(ready), until="generate")
    for name in ("generate champion", "generate challenger"):
        run = run_of(new, name)
        lines = [{**line, "text": "The same."} for line in answers_of(run)]
        tasks.run_finished(succeeds(run, lines).pk)
    done = work(new)
    assert done.status == "done"
    assert detail(new, "selecting") == {
        "candidates": 0,
        "queued": 0,
        "why": "champion and challenger gave the same answers, or all pairs were asked before",
    }
    sample = Sample.objects.filter(generation__run__in=[run_of(new, "generate champion").pk]).first()
    assert set(registry.authors_of(sample.response)) == {done.champion, done.challenger}


def test_what_people_said_chooses_once_enough_is_said(ready, bob, monkeypatch):
    """People liked answers with more "good" in them, and the model that reads answers can tell."""
    monkeypatch.setattr(steering, "FEWEST_PAIRS", 4)
    new = work(begin(ready), until="read answers")
    run = run_of(new, "read answers")
    judged = {pk for one in steering.judged_pairs(ready, simulated=False) for pk in (one.first, one.second)}
    sampled = set(Sample.objects.values_list("response_id", flat=True))
    assert {answer["id"] for answer in run.inputs["answers"]} == judged | sampled | set(steering.waiting_answers(ready))
    assert run.base == new.champion
    assert work(new).status == "done"
    items = report.new_items(fresh(new))
    assert {item.selection["selector"] for item in items} == {"posterior"}
    assert detail(new, "selecting")["chosen_by"] == "posterior"
    assert "those that tell most first." in report.sentences(fresh(new))[-1]


def test_answers_that_cannot_be_read_are_chosen_by_the_reward_model(ready, monkeypatch):
    monkeypatch.setattr(steering, "FEWEST_PAIRS", 4)
    new = work(begin(ready), until="read answers")
    run = fails(run_of(new, "read answers"))
    tasks.run_finished(run.pk)
    assert fresh(new).status == "done"
    assert detail(new, "selecting")["chosen_by"] == "uncertainty"


def test_answers_that_look_the_same_are_never_a_pair(ready):
    new = work(begin(ready), until="generate")
    for name, text in (("generate champion", "The same."), ("generate challenger", "The\u200b  same.")):
        run = run_of(new, name)
        tasks.run_finished(succeeds(run, [{**line, "text": text} for line in answers_of(run)]).pk)
    assert work(new).status == "done"
    assert detail(new, "selecting")["candidates"] == 0


def test_models_that_say_nothing_fail_the_round_in_words(ready):
    new = work(begin(ready), until="generate")
    for name in ("generate champion", "generate challenger"):
        run = run_of(new, name)
        tasks.run_finished(succeeds(run, [{**line, "text": " "} for line in answers_of(run)]).pk)
    assert fresh(new).error == "Neither model gave an answer with any text: look at the sampling runs."


def test_new_answers_are_told_apart_by_side(ready):
    new = work(begin(ready), until="score answers")
    champion, challenger = fresh(new).champion, fresh(new).challenger
    found = steps.new_answers(fresh(new))
    assert set(found) == set(detail(new, "sampling")["prompts"])
    for old, tuned in found.values():
        assert [response.text for response in old] == [f"{champion.name} 0", f"{champion.name} 1"]
        assert [response.text for response in tuned] == [f"{challenger.name} 0", f"{challenger.name} 1"]
