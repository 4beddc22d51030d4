"""The commands of the loop: evaluate, round."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from annotation.asking import ask
from evaluation import rounds, tasks
from evaluation.models import Evaluation, Round
from evaluation.statistics import wilson
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, a_preference, an_edit, fails, says, succeeds
from tests.training.test_commands import Worker
from training.models import Generation, ModelVersion, Run, Sample


def run_command(name: str, *arguments: str, stderr: io.StringIO | None = None) -> tuple[str, str]:
    out, err = io.StringIO(), stderr or io.StringIO()
    call_command(name, "desk", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def judge(project, base) -> ModelVersion:
    return a_model(project, "judge", kind="reward")


def scored(run: Run) -> Run:
    """The first pair the wrong way round, all others right."""
    return succeeds(
        run,
        [
            {"id": one["id"], "score": float(one["id"].endswith("chosen") != one["id"].startswith("0 "))}
            for one in run.inputs["answers"]
        ],
    )


# Evaluate


def test_a_reward_model_is_measured_on_heldout_pairs(judge, project, bob):
    for _ in range(4):
        a_preference(bob, a_prompt(project, split="heldout"))
    a_preference(bob)
    out, err = run_command("evaluate", "--wait", stderr=Worker(scored))
    figure, *_, number = out.splitlines()
    found = Evaluation.objects.get(pk=number)
    expected = wilson(3, 4)
    assert figure == f"reward accuracy: 75 % ({100 * expected.lower:.0f} to {100 * expected.upper:.0f} %), n 4"
    assert (found.model_version, found.run.method) == (judge, "score")
    assert "judge is measured: 4 held-out pairs." in err


def test_a_measurement_that_nobody_waits_for_is_concluded_by_the_queue(judge, project, bob):
    a_preference(bob, a_prompt(project, split="heldout"))
    out, _ = run_command("evaluate")
    run = Run.objects.get(pk=out)
    assert not Evaluation.objects.exists()
    for _ in range(2):
        tasks.run_finished(scored(run).pk if run.is_open else run.pk)
        run.refresh_from_db()
    assert Evaluation.objects.get().scores.get(name="reward accuracy").n == 1


def test_a_measurement_that_fails_yields_no_evaluation(judge, project, bob):
    a_preference(bob, a_prompt(project, split="heldout"))
    with pytest.raises(CommandError, match="failed: No row was left"):
        run_command("evaluate", "--wait", stderr=Worker(fails))
    tasks.run_finished(Run.objects.get().pk)
    assert not Evaluation.objects.exists()


def measured(run: Run) -> Run:
    """Each text twice as likely as by the base model, which gives each of three tokens a half."""
    lines = [{"id": one["id"], "tokens": 3, "log_prob": -1.0, "reference": -1.5} for one in run.inputs["texts"]]
    return succeeds(run, lines)


def test_a_policy_is_measured_by_a_run_and_its_gate_is_told(base, project, bob):
    an_edit(bob, a_prompt(project, split="heldout"))
    out, err = run_command("evaluate", "--model=base", "--wait", stderr=Worker(measured))
    *figures, said, number = out.splitlines()
    assert "base is measured: 61 texts to read, 1 prompts to answer." in err
    assert "perplexity of good answers: 1.40 (1.40 to 1.40), n 1" in figures
    assert "forgetting: -15.4 % (-15.4 to -15.4 %), n 60" in figures
    assert said.startswith("It cannot be told yet: ")
    assert Evaluation.objects.get(pk=number).run.method == "measure"


def test_a_policy_is_compared_with_another(base, project, bob):
    tuned = a_model(project, "tuned", format="adapter", parent=base)
    for ranks in ((1, 2), (1, 2), (2, 1)):
        prompt = a_prompt(project)
        answers = [an_answer(prompt, f"by {version}", "model") for version in (tuned, base)]
        for version, answer in zip((tuned, base), answers, strict=True):
            run = Run.objects.create(project=project, method="generate", base=version)
            generation = Generation.objects.create(project=project, run=run, model_version=version, seed=1)
            Sample.objects.create(generation=generation, response=answer, index=0)
        says(bob, ask(project=project, prompt=prompt, kind="comparison", responses=answers)[0], ranks=ranks)
    out, _ = run_command("evaluate", "--model=tuned", "--against=base")
    assert out.startswith("preferred to base by people: 67 % (")
    assert out.endswith("n 3); 2 votes for it, 1 against, 0 ties\n")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "There is nothing to measure with: no judged pair on a held-out prompt yet."),
        (["--model=base", "--against=base"], "base cannot be compared with base."),
        (["--model=base", "--against=judge"], "base cannot be compared with judge."),
        (["--model=base", "--against=other"], "Nobody has compared answers of base and other yet."),
        (["--against=base"], "judge is a reward model: --against is for policies."),
    ],
)
def test_nothing_to_measure_is_said(judge, project, given, words):
    a_model(project, "other")
    with pytest.raises(CommandError) as refused:
        run_command("evaluate", *given)
    assert str(refused.value) == words
    assert not Run.objects.exists()


# Round


class Loop(io.StringIO):
    """Standard error of a command that waits for a round: whatever it tells, workers end what is queued."""

    def __init__(self, works: Any = succeeds) -> None:
        super().__init__()
        self.works = works

    def write(self, said: str) -> int:
        for run in Run.objects.filter(status="queued"):
            tasks.run_finished(self.works(run).pk)
        for pk in Round.objects.active().values_list("pk", flat=True):
            rounds.advance(round_id=pk)
        return super().write(said)


SHORT = ("--set", "minimum_comparisons=1", "--set", 'skip=["sft", "sampling", "selecting"]')


def test_a_round_is_started_and_followed_to_its_end(base, bob):
    a_preference(bob)
    out, err = run_command("round", "start", *SHORT, "--wait", stderr=Loop())
    assert out == "1\n"
    assert Round.objects.get().status == "done"
    assert "Round 1 is done. Round 1 learnt from 1 label by 1 person." in err
    shown, _ = run_command("round", "show")
    assert "Reward model: done" in shown.splitlines()
    assert shown.splitlines()[-1] == "1"


def test_a_round_that_fails_is_a_failure_of_whoever_waits(base, bob):
    a_preference(bob)
    with pytest.raises(CommandError, match=r"Round 1 failed: Its run \d+ \(reward\) failed: No row was left\."):
        run_command("round", "start", *SHORT, "--wait", stderr=Loop(fails))
    assert run_command("round", "retry")[0] == "1\n"
    assert Round.objects.get().status == "active"


def test_a_round_that_waits_for_labels_is_pushed_on_and_stopped(base, bob, alice):
    assert run_command("round", "start", "--set", "dpo.beta=0.3", "--by=alice")[0] == "1\n"
    current = Round.objects.get()
    assert (current.settings["dpo"], current.started_by) == ({"beta": 0.3}, alice.person)
    with pytest.raises(CommandError, match="There is no preference to learn from yet"):
        run_command("round", "advance")
    a_preference(bob)
    assert "The round went on" in run_command("round", "advance", "--number=1")[1]
    assert run_command("round", "cancel")[1] == "Round 1 was cancelled.\n"
    with pytest.raises(CommandError, match="Round 1 is not under way"):
        run_command("round", "cancel")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["show"], "There is no round in Desk."),
        (["cancel", "--number=4"], "There is no round 4 in Desk."),
        (["start", "--set", "new_items=0"], "new_items: Input should be greater than or equal to 1"),
        (["start", "--set", "dpo.gamma=1"], "gamma: Extra inputs are not permitted"),
        (["start", "--set", "dpo=1", "--set", "dpo.beta=1"], "dpo.beta: dpo is a value, and has no parts."),
        (["show", "--set", "seed=1"], "Settings are chosen when a round starts."),
    ],
)
def test_what_cannot_be_done_is_said(base, given, words):
    with pytest.raises(CommandError) as refused:
        run_command("round", *given)
    assert str(refused.value) == words
    assert not Round.objects.exists()


def test_a_second_round_waits_for_the_first(base):
    run_command("round", "start")
    with pytest.raises(CommandError, match="A round is under way"):
        run_command("round", "start")
    assert Round.objects.count() == 1
