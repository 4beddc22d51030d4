"""The commands that freeze, train and generate: the same verbs as the API, their refusals as sentences."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_q.models import OrmQ

from annotation.models import Event
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, fails, succeeds
from training import runs, watching
from training.models import Generation, ModelVersion, Run, Snapshot


class Worker(io.StringIO):
    """Standard error of a command that waits: what it tells first wakes the worker, who ends the run."""

    def __init__(self, works: Callable[[Run], Any]) -> None:
        super().__init__()
        self.works = works

    def write(self, said: str) -> int:
        run = Run.objects.filter(status="queued").first()
        if "waits for a gpu worker" in said and run is not None:
            self.works(run)
        return super().write(said)


def run_command(name: str, *arguments: str, stderr: io.StringIO | None = None) -> tuple[str, str]:
    out, err = io.StringIO(), stderr or io.StringIO()
    call_command(name, "desk", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


# Snapshots


def test_a_snapshot_prints_its_id_and_says_how_many_rows(project, bob, alice):
    an_edit(bob)
    out, err = run_command("snapshot", "demonstrations", "--by=alice")
    made = Snapshot.objects.get()
    assert out == f"{made.pk}\n"
    assert "1 rows." in err
    assert made.created_by == alice.person
    assert run_command("snapshot", "demonstrations")[0] == out


def test_a_rule_of_ones_own(project, member):
    a_preference(member("robot", simulated=True))
    with pytest.raises(CommandError, match="No comparison on a training prompt has a preferred answer yet"):
        run_command("snapshot", "preferences")
    run_command("snapshot", "preferences", "--set", "simulated=true")
    assert Snapshot.objects.get().rule["simulated"] is True


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "minimum_agreement=2"], "minimum_agreement: Input should be less than or equal to 1."),
        (["--set", "simulatd=true"], "simulatd: Extra inputs are not permitted."),
        (["--set", "simulated"], "'simulated' is not NAME=VALUE"),
        (["--by", "zoe"], "There is no person 'zoe'."),
    ],
)
def test_a_rule_or_a_person_that_is_none_is_refused(project, bob, given, words):
    an_edit(bob)
    with pytest.raises(CommandError) as refused:
        run_command("snapshot", "demonstrations", *given)
    assert words in str(refused.value)
    assert not Snapshot.objects.exists()


# Training


def test_a_run_is_queued_on_the_labels_as_they_are_now(base, bob, alice, django_capture_on_commit_callbacks):
    an_edit(bob)
    with django_capture_on_commit_callbacks(execute=True):
        out, err = run_command(
            "train", "sft", "--set", "epochs=2", "--set", "schedule=linear", "--by=alice", "--seed=3"
        )
    run = Run.objects.get()
    assert out == f"{run.pk}\n"
    assert "(1 rows)" in err
    assert "waits for a gpu worker" in err
    assert (run.method, run.base, run.seed, run.created_by) == ("sft", base, 3, alice.person)
    assert (run.settings["epochs"], run.settings["schedule"]) == (2, "linear")
    assert run.snapshot == Snapshot.objects.get()
    assert OrmQ.objects.filter(key="gpu").count() == 1


def test_a_snapshot_and_a_model_may_be_named(base, bob):
    an_edit(bob)
    snapshot = run_command("snapshot", "demonstrations")[0].strip()
    an_edit(bob)
    other = a_model(base.project, "other")
    for named in ("other", str(other.pk)):
        run_command("train", "sft", "--snapshot", snapshot, "--model", named)
        run = Run.objects.first()
        assert (run.base, run.snapshot_id) == (other, int(snapshot))
    assert Snapshot.objects.count() == 1


def test_waiting_ends_with_the_model_that_was_made(base, bob):
    an_edit(bob)
    out, err = run_command("train", "sft", "--wait", stderr=Worker(succeeds))
    assert out == f"{ModelVersion.objects.get(run__isnull=False).pk}\n"
    assert "succeeded" in err


def test_waiting_for_a_run_that_fails_says_why(base, bob):
    an_edit(bob)
    with pytest.raises(CommandError, match=r"\(sft\) failed: No row was left\."):
        run_command("train", "sft", "--wait", stderr=Worker(fails))


def test_waiting_for_a_run_that_is_cancelled_is_a_failure_too(base, bob):
    an_edit(bob)
    with pytest.raises(CommandError, match=r"\(sft\) was cancelled\."):
        run_command("train", "sft", "--wait", stderr=Worker(lambda run: runs.cancel(run=run)))


def test_whoever_stops_watching_does_not_stop_the_run(base, bob):
    def tires(run: Run) -> None:
        raise KeyboardInterrupt

    an_edit(bob)
    with pytest.raises(CommandError, match="It goes on by itself") as stopped:
        run_command("train", "sft", "--wait", stderr=Worker(tires))
    assert stopped.value.returncode == 130
    assert Run.objects.get().status == "queued"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["sft", "--set", "epochs=0"], "epochs: Input should be greater than 0"),
        (["sft", "--set", "epoch=1"], "epoch: Extra inputs are not permitted"),
        (["sft", "--snapshot", "99"], "There is no snapshot 99 in Desk."),
        (["sft", "--model", "gpt"], "There is no model 'gpt' in Desk."),
        (["sft", "--model", "judge"], "cannot start from a reward model"),
        (["sft"], "No accepted or edited demonstration on a training prompt yet."),
        (["sft", "--with", "0"], "There is no snapshot 0 in Desk"),
        (["convert"], "invalid choice"),
    ],
)
def test_what_does_not_fit_starts_nothing(base, bob, given, words):
    if given != ["sft"]:
        an_edit(bob)
    a_model(base.project, "judge", kind="reward")
    with pytest.raises(CommandError) as refused:
        run_command("train", *given)
    assert words in str(refused.value)
    assert not Run.objects.exists()
    assert not Snapshot.objects.exists()
    assert not Event.objects.filter(verb="snapshot frozen").exists()


def test_without_a_model_there_is_nothing_to_train(project, bob):
    an_edit(bob)
    with pytest.raises(CommandError, match="import a base model first"):
        run_command("train", "sft")


@pytest.mark.process
def test_a_run_here_needs_no_worker(project, bob, tiny_model):
    for _ in range(2):
        an_edit(bob)
    call_command("import_model", "desk", str(tiny_model), "--name=tiny", stdout=io.StringIO())
    out, err = run_command("train", "sft", "--here", "--set", "epochs=1", "--set", "batch_size=1")
    made = ModelVersion.objects.get(pk=out)
    assert (made.parent.name, made.run.step, made.run.status) == ("tiny", 2, "succeeded")
    assert "succeeded in" in err


# Generating


def answered(run: Run) -> Run:
    return succeeds(
        run,
        [
            {"prompt_id": prompt["id"], "sample": index, "text": f"Answer {index}", "tokens": 2, "finished": True}
            for prompt in run.inputs["prompts"]
            for index in range(2)
        ],
    )


def test_a_model_answers_a_split_and_the_generation_is_printed(base, project):
    prompts = [a_prompt(project) for _ in range(3)]
    a_prompt(project, split="heldout")
    out, err = run_command("generate", "--limit=2", "--pairs=1", "--wait", stderr=Worker(answered))
    made = Generation.objects.get(pk=out)
    assert [prompt["id"] for prompt in made.run.inputs["prompts"]] == [prompt.pk for prompt in prompts[:2]]
    assert made.run.inputs["after"] == {"pairs_per_prompt": 1}
    assert "base answers 2 prompts." in err
    assert "4 different answers" in err


def test_prompts_by_id(base, project):
    prompts = [a_prompt(project, split="heldout") for _ in range(3)]
    out, _ = run_command("generate", "--prompts", str(prompts[2].pk), str(prompts[0].pk), "--set", "temperature=1")
    run = Run.objects.get(pk=out)
    assert {prompt["id"] for prompt in run.inputs["prompts"]} == {prompts[0].pk, prompts[2].pk}
    assert run.settings["temperature"] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--split=heldout"], "There is no prompt to answer."),
        (["--prompts", "99"], "No such prompts in Desk: 99."),
        (["--set", "temperature=0"], "ask for one answer per prompt"),
    ],
)
def test_nothing_to_answer_or_no_way_to_is_refused(base, project, given, words):
    a_prompt(project)
    with pytest.raises(CommandError) as refused:
        run_command("generate", *given)
    assert words in str(refused.value)
    assert not Run.objects.exists()


# Watching


def test_progress_is_told_in_twentieths(base):
    run = Run(pk=7, method="dpo", status="running", step=13, total=120)
    assert watching.progress(run) == "Run 7 (dpo): 10 % of 120 steps."
    run.step = 17
    assert watching.progress(run) == "Run 7 (dpo): 10 % of 120 steps."
    run.step = 120
    assert watching.progress(run) == "Run 7 (dpo): 100 % of 120 steps."
    run.total = 0
    assert watching.progress(run) == "Run 7 (dpo) has begun."
