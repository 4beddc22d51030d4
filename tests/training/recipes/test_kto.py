"""KTO starts at its reference and moves good answers away from bad ones, and leaves one plain adapter."""

import math

import pytest

from tests.training.recipes.runs import BAD, GOOD, Run, questions, says, weights, write_parquet

SETTINGS = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 4, "warmup": 0.0}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> str:
    """Two good answers to each bad one."""
    rows = [
        {"prompt": says("user", question), "completion": says("assistant", text), "label": text == GOOD}
        for number, question in enumerate(questions(24))
        for text in (GOOD if number % 3 else BAD,)
    ]
    return write_parquet(tmp_path_factory.mktemp("data") / "answers.parquet", rows)


@pytest.fixture(scope="module")
def run(new_run, answers) -> Run:
    return new_run("kto", data={"train": answers}, **SETTINGS).here()


def test_the_first_loss_is_a_half_of_the_mean_weight(run):
    """Model and reference agree, so r = z = 0 and each answer loses 1 - sigmoid(0) = 1/2, times its weight.

    16 answers are good, 8 bad: the bad ones weigh 16 / 8 = 2 (equation 8), the good ones 1. In a batch with b bad ones
    of four the loss is (2 b + (4 - b)) / 4 / 2, so a multiple of 1/8 from 1/2 to 1.
    """
    assert run.result["status"] == "ok"
    assert run.losses[0] in [pytest.approx((4 + bad) / 8, abs=1e-5) for bad in range(5)]
    assert run.steps[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert (run.result["rows"]["good"], run.result["rows"]["bad"]) == (16, 8)


def test_it_learns(run):
    last = run.steps[-3:]
    assert sum(line["rewards_good"] - line["rewards_bad"] for line in last if "rewards_bad" in line) > 0.5
    assert run.losses[-1] < 0.9 * run.losses[0]


def test_the_loss_by_hand(new_run, tmp_path):
    """One good and one bad answer, apo_zero_unpaired: (1 - sigmoid(0.1 a) + sigmoid(0.1 b)) / 2, where a and b are how
    much likelier each became; the step before has what they were."""
    rows = [
        {"prompt": says("user", "Why?"), "completion": says("assistant", text), "label": good}
        for text, good in (("So.", True), ("No idea.", False))
    ]
    data = {"train": write_parquet(tmp_path / "two.parquet", rows)}
    settings = {**SETTINGS, "batch_size": 2, "loss": "apo_zero_unpaired", "schedule": "constant_with_warmup"}
    first, second = new_run("kto", data=data, **settings).here().steps
    good, bad = (second[name] - first[name] for name in ("logps_good", "logps_bad"))
    assert second["loss"] == pytest.approx((1 - sigmoid(0.1 * good) + sigmoid(0.1 * bad)) / 2, rel=1e-4)
    assert good > 0 > bad


def test_a_continued_adapter_moves_and_stays_one(new_run, answers, run):
    start = run.folder / "model"
    more = new_run("kto", data={"train": answers}, adapter=str(start), balance=False, **{**SETTINGS, "epochs": 0.5})
    more.here()
    assert more.losses[0] == pytest.approx(0.5, abs=1e-5)
    before, after = weights(start), weights(more.folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    assert not [path.name for path in (more.folder / "model").iterdir() if path.is_dir()]


def test_answers_of_one_kind_alone_are_refused(new_run, tmp_path):
    rows = [{"prompt": says("user", q), "completion": says("assistant", GOOD), "label": True} for q in questions(3)]
    rows.append({"prompt": says("user", "Why?"), "completion": says("assistant", " "), "label": False})
    run = new_run("kto", data={"train": write_parquet(tmp_path / "good.parquet", rows)}).here()
    assert run.result["reason"] == "bad_data"
    assert "All 3 answers are good" in run.result["error"]
    assert run.event("rows")["why_dropped"] == {"empty answer": 1}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
