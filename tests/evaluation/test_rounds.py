"""The loop's state machine. Runs are ended by hand, with folders as recipes leave them; all else is the product's."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage

from annotation import labelling, leasing
from annotation.models import Event, Item, Project, Prompt
from annotation.models.items import Kind, Purpose
from annotation.statistics import wilson
from evaluation import comparing, gate, report, rounds, steering, steps, tasks
from evaluation.models import Evaluation, Reward, Round, RoundStep, Score, StepRun
from tests.annotation.making import a_prompt, all_at_once
from tests.training.making import a_model, a_preference, an_edit, claimed, compares, fails, says, succeeds
from training import registry, runs, sampling, snapshots
from training.methods.answers import FEATURES_WIDTH
from training.models import ModelVersion, Run, Sample

pytestmark = pytest.mark.django_db

SETTINGS: dict[str, Any] = {
    "minimum_comparisons": 2,
    "fresh_prompts": 4,
    "heldout_prompts": 2,
    "new_items": 6,
    "random_share": 0,
    "generate": {"samples_per_prompt": 2},
}
PURPOSES = [
    *("sft", "reward", "dpo", "measure challenger", "score heldout"),
    *("generate champion", "generate challenger", "score answers", "read answers"),
]
MATCH = ("champion", "challenger")  # answer held-out prompts once more, for people to compare


@pytest.fixture
def base(project):
    return a_model(project, stage="production")


@pytest.fixture
def heldout(project) -> list[Prompt]:
    return [a_prompt(project, f"Held out {n}?", split="heldout") for n in range(3)]


@pytest.fixture
def ready(project, bob, base, heldout) -> Project:
    """Enough was said for a round: four pairs, two edits, and three pairs on held-out prompts."""
    for _ in range(4):
        a_preference(bob)
    for _ in range(2):
        an_edit(bob)
    for prompt in heldout:
        a_preference(bob, prompt=prompt, purpose="head_to_head")
    return project


def begin(project: Project, **more: Any) -> Round:
    return rounds.start(project=project, settings={**SETTINGS, **more})


def advanced(round: Round) -> Round:
    return rounds.advance(round_id=round.pk)


def fresh(round: Round) -> Round:
    return Round.objects.get(pk=round.pk)


def detail(round: Round, name: str) -> dict[str, Any]:
    return RoundStep.objects.get(round=round, name=name).detail


def outcomes(round: Round) -> dict[str, str]:
    return dict(RoundStep.objects.filter(round=round).order_by("id").values_list("name", "status"))


def run_of(round: Round, purpose: str) -> Run:
    return StepRun.objects.get(step__round=round, purpose=purpose).run


def messages() -> list[tuple]:
    packed = [SignedPackage.loads(one.payload) for one in OrmQ.objects.filter(key="default")]
    return [(task["func"], *task["args"]) for task in packed]


def answers_of(run: Run) -> list[dict[str, Any]]:
    """What a model writes: two answers to each prompt, in its own words."""
    return [
        {"prompt_id": prompt["id"], "sample": n, "text": f"{run.base.name} {n}", "tokens": 2, "finished": True}
        for prompt in run.inputs["prompts"]
        for n in range(2)
    ]


def scores_of(run: Run, score: Callable[[Any], float] = lambda name: 0.0) -> list[dict[str, Any]]:
    return [{"id": answer["id"], "score": score(answer["id"])} for answer in run.inputs["answers"]]


def vectors_of(run: Run) -> list[dict[str, Any]]:
    """What a model makes of answers: the first number is how often "good" stands there."""
    return [
        {"id": answer["id"], "vector": [float(answer["text"].count("good"))] + [0.0] * (FEATURES_WIDTH - 1)}
        for answer in run.inputs["answers"]
    ]


def lines_of(run: Run) -> list[dict[str, Any]]:
    return {"generate": answers_of, "score": scores_of, "features": vectors_of}.get(run.method, lambda run: [])(run)


def work(round: Round, until: str = "") -> Round:
    """Do all queued runs of a round, as a worker and the queue would, up to those of a purpose."""
    advanced(round)
    while True:
        waiting = StepRun.objects.filter(step__round=round, run__status="queued").order_by("run_id")
        waiting = waiting.exclude(purpose__startswith=until) if until else waiting
        following = waiting.select_related("run__base").first()
        if following is None:
            return fresh(round)
        run = succeeds(following.run, lines_of(following.run))
        tasks.run_finished(run.pk)


# Starting


def test_a_round_starts_with_the_production_model(project, base, alice, django_capture_on_commit_callbacks):
    a_model(project, "other")
    with django_capture_on_commit_callbacks(execute=True):
        new = rounds.start(project=project, settings={"seed": 3}, actor=alice.person)
    assert (new.number, new.step, new.status, new.champion) == (1, "collecting", "active", base)
    assert new.settings["seed"] == 3
    assert new.settings["minimum_comparisons"] == 20
    assert messages() == [("evaluation.tasks.advance_round", new.pk)]
    assert Event.objects.get(verb="round started").actor == alice.person


def test_without_a_production_model_there_is_no_round(project):
    a_model(project)
    with pytest.raises(ValidationError, match="There is no production model yet: import a base model first"):
        begin(project)


def test_there_is_one_active_round(project, base):
    first = begin(project)
    with pytest.raises(ValidationError, match="A round is under way: wait for it, or cancel it"):
        begin(project)
    with pytest.raises(IntegrityError, match="one_active_round_per_project"), transaction.atomic():
        Round.objects.create(project=project, number=2, champion=base)
    rounds.cancel(round=first)
    assert begin(project).number == 2


def test_each_project_has_rounds_of_its_own(project, base):
    other = Project.objects.create(slug="other", name="Other")
    a_model(other, stage="production")
    assert (begin(project).number, begin(other).number) == (1, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rounds": 3}, "rounds: Extra inputs are not permitted"),
        ({"new_items": 0}, "new_items: Input should be greater than or equal to 1"),
        ({"random_share": 2}, "random_share: Input should be less than or equal to 1"),
        ({"sft": {"epoch": 1}}, "epoch: Extra inputs are not permitted"),
        ({"dpo": {"beta": -1}}, "beta: Input should be greater than 0"),
        ({"generate": {"temperature": 9}}, "temperature: Input should be less than or equal to 2"),
        ({"skip": ["dpo", "sft", "lunch"]}, "These steps cannot be left out: dpo, lunch."),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(project, base, given, words):
    with pytest.raises(ValidationError) as refused:
        rounds.start(project=project, settings=given)
    assert refused.value.messages == [words]
    assert not Round.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_who_start_at_once_start_one(project, base):
    def start() -> Round | None:
        try:
            return begin(project)
        except ValidationError:
            return None

    found = all_at_once(*[start] * 6)
    assert len([one for one in found if one is not None]) == 1
    assert Round.objects.get().number == 1


# Collecting and freezing


def test_a_round_waits_for_labels(project, base, bob, member):
    new = begin(project, minimum_comparisons=2)
    assert advanced(new).step == "collecting"
    assert detail(new, "collecting") == {"preferences": 0, "wanted": 2}
    a_preference(bob)
    a_preference(bob, prompt=a_prompt(project, split="heldout"))
    a_preference(bob, purpose="gold")
    a_preference(member("robot", simulated=True))
    assert advanced(new).step == "collecting"
    assert detail(new, "collecting") == {"preferences": 1, "wanted": 2}
    assert outcomes(new) == {"collecting": "running"}
    a_preference(bob)
    assert advanced(new).step == "reward"  # there are no demonstrations: sft is left out
    assert (outcomes(new)["collecting"], outcomes(new)["freezing"]) == ("done", "done")


def test_simulated_labels_count_if_that_was_chosen(project, base, member):
    robot = member("robot", simulated=True)
    for _ in range(2):
        a_preference(robot)
    new = begin(project, simulated=True)
    assert advanced(new).step == "reward"
    assert run_of(new, "reward").snapshot.rule["simulated"] is True


def test_a_lead_may_go_on_with_what_is_there_but_not_with_nothing(project, base, bob):
    new = begin(project, minimum_comparisons=50)
    assert rounds.advance(round_id=new.pk, force=True).step == "collecting"
    a_preference(bob)
    assert advanced(new).step == "collecting"
    assert rounds.advance(round_id=new.pk, force=True).step == "reward"


def test_what_was_said_is_frozen_once(ready, bob, alice):
    new = work(begin(ready), until="sft")
    kinds = {snapshot.kind: snapshot for snapshot in new.snapshots.all()}
    assert detail(new, "freezing") == {"demonstrations": 2, "preferences": 6}
    a_preference(bob)
    an_edit(bob)
    work(new)
    assert {snapshot.kind: snapshot for snapshot in fresh(new).snapshots.all()} == kinds
    assert run_of(new, "sft").snapshot == kinds["demonstrations"]
    assert run_of(new, "reward").snapshot == run_of(new, "dpo").snapshot == kinds["preferences"]


def test_labels_that_were_withdrawn_meanwhile_fail_the_round_in_words(project, base, bob, alice):
    new = begin(project)
    label = a_preference(bob)
    Round.objects.filter(pk=new.pk).update(step="freezing")
    labelling.retract(label=label, actor=alice)
    failed = advanced(new)
    failed.refresh_from_db()
    assert (failed.status, failed.step) == ("failed", "freezing")
    assert failed.error == (
        "No comparison on a training prompt has a preferred answer yet. Rank some answers, then retry the round."
    )
    a_preference(bob)
    assert rounds.retry(round=failed)
    assert advanced(new).step == "reward"


# The whole way


def test_a_round_goes_all_the_way(ready, base, alice):
    new = rounds.start(
        project=ready,
        settings={**SETTINGS, "seed": 5, "sft": {"epochs": 1}, "dpo": {"beta": 0.2}},
        actor=alice.person,
    )
    done = work(new)
    assert (done.status, done.step, done.error) == ("done", "done", "")
    assert done.finished_at is not None
    assert outcomes(done) == dict.fromkeys(rounds.ORDER, "done")
    started = list(StepRun.objects.filter(step__round=new).order_by("id"))
    assert [one.purpose for one in started] == PURPOSES
    assert {one.run.seed for one in started} == {5}
    assert {one.run.created_by for one in started} == {alice.person}

    sft, reward, dpo = (run_of(new, name) for name in ("sft", "reward", "dpo"))
    assert (sft.base, sft.settings["epochs"]) == (base, 1.0)
    assert reward.base == base
    assert (dpo.base, dpo.settings["beta"]) == (sft.model_version, 0.2)
    assert (done.champion, done.challenger) == (base, dpo.model_version)
    assert done.reward_model == reward.model_version
    assert run_of(new, "score heldout").base == run_of(new, "score answers").base == reward.model_version
    assert run_of(new, "generate champion").base == base
    assert run_of(new, "generate challenger").base == dpo.model_version
    base.refresh_from_db()
    assert base.stage == "production"  # promotion is a lead's decision
    assert Event.objects.filter(verb="round advanced").count() == 9


def test_the_next_round_starts_from_the_full_weights_under_the_champion(ready, base):
    first = work(begin(ready))
    registry.promote(version=first.challenger)
    second = work(begin(ready))
    assert (second.number, second.champion) == (2, first.challenger)
    assert run_of(second, "sft").base == run_of(second, "reward").base == base
    assert run_of(second, "generate champion").base == first.challenger
    assert second.status == "done"


def test_sft_is_left_out_if_that_was_chosen(ready, base):
    done = work(begin(ready, skip=["sft"]))
    assert outcomes(done)["sft"] == "skipped"
    assert run_of(done, "dpo").base == base
    assert not StepRun.objects.filter(step__round=done, purpose="sft").exists()


def test_sft_is_left_out_without_demonstrations(project, base, bob):
    for _ in range(2):
        a_preference(bob)
    done = work(begin(project))
    assert detail(done, "sft") == {"why": "no demonstrations yet"}
    assert detail(done, "freezing") == {"demonstrations": 0, "preferences": 2}
    assert (outcomes(done)["sft"], run_of(done, "dpo").base) == ("skipped", base)


@pytest.mark.parametrize(
    "skip", [["evaluating"], ["gated"], ["sampling"], ["selecting"], ["sampling", "selecting"], ["evaluating", "gated"]]
)
def test_what_may_be_left_out_can_be(ready, skip):
    done = work(begin(ready, skip=skip))
    assert (done.status, done.error) == ("done", "")
    assert {outcomes(done)[name] for name in skip} == {"skipped"}
    if "sampling" in skip:
        assert outcomes(done)["selecting"] == "skipped"


# Once


@pytest.mark.django_db(transaction=True)
def test_however_often_and_by_how_many_it_is_advanced_each_run_is_started_once(ready):
    gate.set_policy(project=ready, blind_prompts=None)  # its runs are no step of the round
    new = begin(ready)
    for _ in range(20):
        all_at_once(*[lambda: rounds.advance(round_id=new.pk)] * 6)
        waiting = list(Run.objects.filter(status="queued").select_related("base").order_by("id"))
        if not waiting:
            break
        ended = [succeeds(run, lines_of(run)) for run in waiting]
        all_at_once(*[lambda run=run: tasks.run_finished(run.pk) for run in ended * 3])
    done = advanced(new)
    assert (done.status, done.step) == ("done", "done")
    assert Counter(StepRun.objects.values_list("purpose", flat=True)) == dict.fromkeys(PURPOSES, 1)
    assert Run.objects.count() == len(PURPOSES)
    assert Evaluation.objects.count() == 2
    assert Item.objects.filter(selection__round=1).count() == detail(new, "selecting")["queued"] == 6
    assert Event.objects.filter(verb="round advanced").count() == 9


@pytest.mark.django_db(transaction=True)
def test_a_round_that_is_advanced_while_it_is_cancelled_leaves_no_run_behind(ready):
    for _ in range(6):
        new = begin(ready)
        all_at_once(partial(rounds.advance, round_id=new.pk), partial(rounds.cancel, round=new))
        assert fresh(new).status == "cancelled"
        assert not Run.objects.open().exists()


def test_a_round_waits_for_its_run(ready):
    new = work(begin(ready), until="sft")
    for status in ("queued", "running"):
        Run.objects.filter(step_run__purpose="sft").update(status=status)
        for _ in range(3):
            assert advanced(new).step == "sft"
    assert Run.objects.count() == 1
    assert outcomes(new)["sft"] == "running"


def test_both_samplings_must_end(ready):
    new = work(begin(ready), until="generate challenger")
    assert (new.step, run_of(new, "generate champion").status) == ("sampling", "succeeded")
    assert run_of(new, "generate challenger").status == "queued"
    assert work(new).status == "done"


@pytest.mark.parametrize("status", ["failed", "cancelled", "done"])
def test_a_round_that_is_over_is_not_advanced(ready, status):
    new = begin(ready)
    Round.objects.filter(pk=new.pk).update(status=status)
    assert advanced(new).step == "collecting"
    assert rounds.advance(round_id=new.pk, force=True).step == "collecting"
    assert not Run.objects.exists()


def test_a_round_whose_message_was_lost_goes_on_by_the_schedule(ready):
    new = work(begin(ready), until="sft")
    succeeds(run_of(new, "sft"))
    assert fresh(new).step == "sft"
    tasks.recover()
    assert fresh(new).step == "reward"


def test_a_run_of_no_round_moves_none(ready, base):
    new = begin(ready)
    run = runs.start(project=ready, method="generate", base=base, wake=False)
    tasks.run_finished(succeeds(run).pk)
    assert fresh(new).step == "collecting"


# Failing, cancelling, retrying


def test_a_run_that_fails_fails_the_round_in_words_and_retry_goes_on(ready):
    new = work(begin(ready), until="dpo")
    run = fails(run_of(new, "dpo"), error="All pairs are too long: raise the longest example.")
    tasks.run_finished(run.pk)
    failed = fresh(new)
    assert (failed.status, failed.step, outcomes(new)["dpo"]) == ("failed", "dpo", "failed")
    assert failed.error == f"Its run {run.pk} (dpo) failed: All pairs are too long: raise the longest example."
    tasks.run_finished(run.pk)
    tasks.recover()
    assert fresh(new).status == "failed"

    assert rounds.retry(round=failed)
    run.refresh_from_db()
    assert (run.status, fresh(new).error, outcomes(new)["dpo"]) == ("queued", "", "running")
    assert work(new).status == "done"
    assert Counter(StepRun.objects.values_list("purpose", flat=True)) == dict.fromkeys(PURPOSES, 1)
    assert run_of(new, "dpo") == run
    assert not rounds.retry(round=fresh(new))


def test_a_run_that_somebody_cancels_fails_the_round_in_words(ready):
    new = work(begin(ready), until="reward")
    run = run_of(new, "reward")
    runs.cancel(run=run)
    tasks.run_finished(run.pk)
    assert fresh(new).error == f"Its run {run.pk} (reward) was cancelled. Retry the round to go on from there."


def test_cancelling_a_round_cancels_its_runs_and_no_others(ready, base, alice):
    new = work(begin(ready), until="generate")
    champion, challenger = run_of(new, "generate champion"), run_of(new, "generate challenger")
    other = runs.start(project=ready, method="generate", base=base, wake=False)
    claimed(champion)
    assert rounds.cancel(round=new, actor=alice.person)
    for run in (champion, challenger, other):
        run.refresh_from_db()
    assert (champion.status, champion.cancel_requested) == ("running", True)  # its worker will stop it
    assert (challenger.status, other.status, other.cancel_requested) == ("cancelled", "queued", False)
    assert fresh(new).status == "cancelled"
    tasks.run_finished(challenger.pk)
    assert (fresh(new).step, fresh(new).error) == ("sampling", "")
    assert not rounds.cancel(round=new)
    assert {run_of(new, name).status for name in ("sft", "reward", "dpo")} == {"succeeded"}


def test_a_cancelled_round_goes_on_where_it_stopped(ready):
    new = work(begin(ready), until="dpo")
    run = run_of(new, "dpo")
    rounds.cancel(round=new)
    assert rounds.retry(round=new)
    run.refresh_from_db()
    assert (run.status, run.cancel_requested) == ("queued", False)
    assert work(new).status == "done"
    assert Run.objects.count() == len(PURPOSES) + len(MATCH)


def test_only_one_round_is_retried_while_another_is_active(ready):
    first = begin(ready)
    rounds.cancel(round=first)
    begin(ready)
    with pytest.raises(ValidationError, match="Another round is under way"):
        rounds.retry(round=first)
    assert fresh(first).status == "cancelled"


def test_a_step_that_breaks_fails_its_round_in_words_and_no_other(ready):
    other = Project.objects.create(slug="aaa", name="Other")
    a_model(other, stage="production")
    theirs = begin(other)
    new = work(begin(ready), until="score heldout")
    run = succeeds(run_of(new, "score heldout"), [])
    (run.folder / "scores.jsonl").unlink()
    tasks.recover()
    failed = fresh(new)
    assert (failed.status, failed.step) == ("failed", "evaluating")
    assert failed.error.startswith("The step broke (FileNotFoundError: ")
    assert failed.error.endswith("Retry the round once that is mended.")
    assert detail(theirs, "collecting") == {"preferences": 0, "wanted": 2}
    lines = scores_of(run, lambda name: float(name.endswith("chosen")))
    (run.folder / "scores.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert rounds.retry(round=failed)
    assert work(new).status == "done"


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


# The first comparisons


def sampled(project: Project, model: ModelVersion, **more: Any) -> Run:
    return sampling.sample(project=project, model=model, prompts=project.prompts.all(), wake=False, **more)


def test_pairs_that_were_promised_are_queued_once(project, base):
    prompts = [a_prompt(project), a_prompt(project, split="heldout")]
    run = sampled(project, base, pairs_per_prompt=2)
    lines = [{**line, "sample": n, "text": f"answer {n}"} for n in range(4) for line in answers_of(run)[::2]]
    tasks.run_finished(succeeds(run, lines).pk)
    items = Item.objects.order_by("id")
    assert Counter(item.prompt for item in items) == dict.fromkeys(prompts, 2)
    assert {(item.prompt.split, item.purpose) for item in items} == {("train", "train"), ("heldout", "head_to_head")}
    assert {item.selection["selector"] for item in items} == {"random"}
    tasks.run_finished(run.pk)
    assert comparing.compare_samples(run) == 0
    assert items.count() == 4


def test_of_samples_that_look_the_same_one_is_asked_about(project, base):
    a_prompt(project)
    run = sampled(project, base, pairs_per_prompt=3)
    texts = ["answer", "answer\u200b", "an  answer", "an answer"]
    lines = [{**line, "sample": n, "text": text} for n, text in enumerate(texts) for line in answers_of(run)[:1]]
    tasks.run_finished(succeeds(run, lines).pk)
    (item,) = Item.objects.all()
    assert set(item.responses.values_list("text", flat=True)) == {"answer", "an  answer"}


def test_nothing_is_queued_that_was_not_promised_or_not_written(project, base):
    a_prompt(project)
    for promised, end in ((0, succeeds), (2, fails)):
        run = sampled(project, base, pairs_per_prompt=promised)
        tasks.run_finished(end(run, *([answers_of(run)] if end is succeeds else [])).pk)
    assert not Item.objects.exists()


def test_everything_is_looked_after_by_the_clock(ready, bob):
    """One `recover`: an overdue lease, a lost run and a round whose run has ended."""
    open_item = compares(a_prompt(ready), "A", "B")
    leased = leasing.next_assignment(membership=bob, kind="comparison")
    assert leased.item == open_item
    type(leased).objects.filter(pk=leased.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    new = work(begin(ready), until="sft")
    succeeds(run_of(new, "sft"))
    lost = claimed(runs.start(project=ready, method="generate", base=new.champion, wake=False))
    Run.objects.filter(pk=lost.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    counts = tasks.recover()
    assert (counts["requeued"], fresh(new).step) == (1, "reward")
    leased.refresh_from_db()
    assert leased.state == "expired"
    assert tasks.recover()["requeued"] == 0


def test_the_clock_is_set_by_migrating(db):
    schedules = Schedule.objects.order_by("func")
    assert [(one.func, one.minutes) for one in schedules] == [
        ("annotation.tasks.clean_projects", 1),
        ("annotation.tasks.deliver", 1),
        ("annotation.tasks.fill_search", 1),
        ("annotation.tasks.forget", 60),
        ("annotation.tasks.go_on_with_changes", 1),
        ("annotation.tasks.refresh_consensus", 1),
        ("annotation.tasks.tend_exports", 5),
        ("evaluation.tasks.recover", 1),
        ("evaluation.tasks.settle_matches", 1),
        ("evaluation.tasks.start_rounds", 1),
        ("evaluation.tasks.steer", 1),
        ("evaluation.tasks.watch_drift", 24 * 60),
        ("training.tasks.read_for_toxicity", 10),
    ]
    for schedule in schedules:
        assert schedule.schedule_type == Schedule.MINUTES
        assert (schedule.cluster, schedule.repeats) == ("default", -1)  # for ever
