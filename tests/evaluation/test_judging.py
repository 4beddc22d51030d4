"""A model's win rate by a reward model that has learned from other pairs."""

import json
from typing import Any

import numpy as np
import pytest

from evaluation import crossfit, judging, length_control, report, scoring, steps
from evaluation.models import Evaluation, Round, RoundStep, Score
from evaluation.policy import RoundSettings
from tests.annotation.making import a_prompt
from tests.benchmarks.coverage import judged_covered
from tests.training.making import a_model, compares, says, succeeds
from training import runs, snapshots
from training.methods.answers import FEATURES_WIDTH
from training.models import ModelVersion, Run

SAID = ("good answer", "bad answer")


def test_the_interval_holds_the_truth():
    """tests/benchmarks/coverage.py has the same with more seeds."""
    assert np.mean(judged_covered(range(20), labels=200)) >= 0.9


def labels_by(taste: np.ndarray, n: int, random: np.random.Generator) -> crossfit.Labels:
    z = random.normal(size=(n, len(taste)))
    said = (z @ taste > 0).astype(float)
    return crossfit.Labels(z, said, np.ones(n), np.arange(n) // 2, np.zeros(len(taste), int))


def test_no_label_on_a_prompt_judges_its_answers():
    """On each prompt people say the opposite of what they say elsewhere: who had seen them would be right."""
    random = np.random.default_rng(1)
    own = random.normal(size=(40, 40))
    z = np.repeat(own, 4, axis=0) * 5 + random.normal(0, 0.01, (160, 40))
    labels = crossfit.Labels(z, np.ones(160), np.ones(160), np.repeat(np.arange(40), 4), np.zeros(40, int))
    found = crossfit.win_rate(labels, own, np.zeros(40), np.arange(40))
    assert 0.2 < found.wins.value < 0.8
    seen = crossfit.win_rate(labels, own, np.zeros(40), 100 + np.arange(40))  # the same answers, on other prompts
    assert seen.wins.value > found.wins.value + 0.15


def test_wins_by_length_are_none_at_equal_length():
    random = np.random.default_rng(2)
    taste = np.zeros(6)
    taste[0] = 3.0  # the first number is the length, and nothing else counts
    differences = random.normal(size=(120, 6))
    differences[:, 0] = random.normal(0.6, 1, 120)
    found = crossfit.win_rate(labels_by(taste, 300, random), differences, differences[:, 0], 1000 + np.arange(120))
    assert found.wins.lower > 0.5
    assert found.at_equal_length.lower < 0.5 < found.at_equal_length.upper
    assert found.accuracy.lower > 0.9


def test_many_rates_at_equal_length_are_those_of_one_by_one():
    random = np.random.default_rng(3)
    scores, longer = (random.random((3, 50)) < 0.6).astype(float), random.normal(size=50)
    found = length_control.rates(scores, longer, np.ones((3, 50)))
    assert found == pytest.approx([length_control.win_rate(row, longer).value for row in scores], abs=1e-5)


def test_who_says_nothing_has_lost():
    """Twice as many prompts, on half of which the new model was silent, and on the first of these the old one too."""
    random = np.random.default_rng(5)
    labels, differences = labels_by(np.full(3, 2.0), 200, random), random.normal(0.5, 1, (60, 3))
    asked, longer = 1000 + np.arange(60), np.zeros(60)
    spoke = crossfit.win_rate(labels, differences, longer, asked)
    found = crossfit.win_rate(labels, differences, longer, asked, settled=[0.5, *[0.0] * 59])
    assert found.wins.value == pytest.approx((60 * spoke.wins.value + 0.5) / 120, abs=0.01)
    assert found.wins.n == 120
    assert found.wins.value < 0.5 < spoke.wins.lower
    assert found.at_equal_length == spoke.at_equal_length


def test_too_few_prompts_or_no_answer_is_refused():
    random = np.random.default_rng(4)
    few = labels_by(np.ones(3), 6, random)
    with pytest.raises(ValueError, match="as many prompts"):
        crossfit.win_rate(few, np.ones((4, 3)), np.zeros(4), np.arange(4))
    with pytest.raises(ValueError, match="as many prompts"):
        crossfit.win_rate(labels_by(np.ones(3), 60, random), np.empty((0, 3)), np.empty(0), np.empty(0, int))


@pytest.fixture
def base(project) -> ModelVersion:
    return a_model(project, "base", stage="production")


@pytest.fixture
def tuned(project, base, bob, monkeypatch) -> ModelVersion:
    """People said often that good is better than bad, on prompts to train on and on two that are held out."""
    monkeypatch.setattr(judging, "FEWEST_PAIRS", 24)
    for number in range(24):
        says(bob, compares(a_prompt(project, f"Train {number}?"), *SAID), ranks=(1, 2), strength=1)
    for number in range(6):
        prompt = a_prompt(project, f"Held out {number}?", split="heldout")
        if number < 2:
            says(bob, compares(prompt, *SAID, purpose="head_to_head"), ranks=(1, 2), strength=1)
    return a_model(project, "tuned", format="adapter", parent=base)


def measured(tuned: ModelVersion) -> Evaluation:
    return scoring.conclude(answered(scoring.measure(project=tuned.project, model=tuned, wake=False)))


def answered(run: Run, silent: int = 0) -> Run:
    """A model is measured: its answers are good, but for the first few, and its base's are bad."""
    run.folder.mkdir(parents=True)
    rows = [
        {
            "id": one["id"],
            "by": by,
            "text": "" if by == "model" and number < silent else text,
            "tokens": 2,
            "finished": True,
            "kl": 0.1,
        }
        for number, one in enumerate(run.inputs["prompts"])
        for by, text in zip(("model", "reference"), SAID, strict=True)
    ]
    (run.folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return succeeds(run, [])


def read(run: Run) -> Run:
    """The first number of a vector is how often "good" stands there."""
    lines = [
        {"id": one["id"], "vector": [float(one["text"].count("good"))] + [0.0] * (FEATURES_WIDTH - 1)}
        for one in run.inputs["answers"]
    ]
    return succeeds(run, lines)


def match(tuned: ModelVersion, base: ModelVersion) -> judging.Match:
    return judging.Match(tuned, base, base, simulated=False)


@pytest.mark.django_db
@pytest.mark.parametrize("learnt", [False, True])
def test_judges_know_no_label_the_model_learnt_from_where_there_are_enough(project, tuned, base, learnt):
    if learnt:  # all that was said on prompts to train on
        frozen = snapshots.freeze(project=project, kind="preferences")
        tuned.run = Run.objects.create(project=project, method="dpo", base=base, snapshot=frozen)
        tuned.save()
    evaluation = measured(tuned)
    asked = judging.to_read(match(tuned, base))
    names = [one["id"] for one in asked if isinstance(one["id"], str)]
    assert len(names) == 12
    assert len(asked) == 12 + 52  # and the answers that people judged
    run = runs.start(project=project, method="features", base=base, inputs={"answers": asked}, wake=False)
    judging.conclude(match(tuned, base), evaluation, read(run))
    judging.conclude(match(tuned, base), evaluation, run)
    evaluation.refresh_from_db()
    assert evaluation.details["judges"] == {
        "pairs": 26, "prompts": 26, "learnt_by_model": learnt, "against": base.pk,
    }  # fmt: skip
    score = Score.objects.get(name="wins by cross-fitted reward")
    assert (score.value > 0.65, score.n) == (True, 6)  # and not more: so few labels, all alike, leave much open
    assert Score.objects.get(name="accuracy of cross-fitted reward").n == 26


@pytest.mark.django_db
def test_prompts_without_an_answer_are_not_read_and_count_as_lost(project, tuned, base):
    evaluation = scoring.conclude(answered(scoring.measure(project=project, model=tuned, wake=False), silent=4))
    asked = judging.to_read(match(tuned, base))
    assert sum(isinstance(one["id"], str) for one in asked) == 2 * 2
    run = runs.start(project=project, method="features", base=base, inputs={"answers": asked}, wake=False)
    judging.conclude(match(tuned, base), evaluation, read(run))
    score = Score.objects.get(name="wins by cross-fitted reward")
    assert (score.n, score.value < 0.5) == (6, True)


@pytest.mark.django_db
def test_too_few_labels_judge_nothing(tuned, base, monkeypatch):
    measured(tuned)
    monkeypatch.setattr(judging, "FEWEST_PAIRS", 27)
    assert judging.to_read(match(tuned, base)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("reads", [True, False])
def test_a_round_has_its_model_judged_and_goes_on_if_that_fails(project, tuned, base, reads, monkeypatch):
    judge = a_model(project, "judge", kind="reward")
    current = Round.objects.create(
        project=project, number=1, champion=base, challenger=tuned, reward_model=judge, step="evaluating"
    )
    step = RoundStep.objects.create(round=current, name="evaluating")

    def again() -> Any:
        return steps.evaluating(current, step, RoundSettings(), False)

    assert again() == "running"
    runs_of = {one.purpose: one.run for one in step.step_runs.select_related("run__project", "run__base")}
    answered(runs_of["measure challenger"])
    scored = runs_of["score heldout"]
    succeeds(scored, [{"id": one["id"], "score": 0.0} for one in scored.inputs["answers"]])
    assert again() == "running"
    reading = step.step_runs.get(purpose="read measured answers").run
    if reads:
        read(reading)
    else:
        Run.objects.filter(pk=reading.pk).update(status="failed", error="No memory.")
    assert again() == "done"
    assert Score.objects.filter(name="wins by cross-fitted reward").exists() == reads
    said = " ".join(report.sentences(current))
    assert ("A reward model that has seen no label that the new model learnt from prefers" in said) == reads
