"""Rounds that are advanced twice, fail, are cancelled and tried again."""

import json
from collections import Counter
from functools import partial

import pytest
from django.core.exceptions import ValidationError

from annotation.models import Event, Item, Project
from evaluation import gate, rounds, tasks
from evaluation.models import Evaluation, Round, StepRun
from tests.annotation.making import all_at_once
from tests.evaluation.turning import (
    MATCH,
    PURPOSES,
    advanced,
    begin,
    detail,
    fresh,
    lines_of,
    outcomes,
    run_of,
    scores_of,
    work,
)
from tests.training.making import a_model, claimed, fails, succeeds
from training import runs
from training.models import Run

pytestmark = pytest.mark.django_db


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
