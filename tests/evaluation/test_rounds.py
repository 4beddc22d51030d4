"""The loop's state machine, from starting to the next questions."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.models import Schedule

from annotation import labelling, leasing
from annotation.models import Event, Item, Project
from evaluation import comparing, rounds, tasks
from evaluation.models import Round, StepRun
from tests.annotation.making import a_prompt, all_at_once
from tests.evaluation.turning import (
    PURPOSES,
    SETTINGS,
    advanced,
    answers_of,
    begin,
    detail,
    fresh,
    messages,
    outcomes,
    run_of,
    work,
)
from tests.training.making import a_model, a_preference, an_edit, claimed, compares, fails, succeeds
from training import registry, runs, sampling
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


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
