"""ORPO learns chosen answers and tells them from rejected ones, without a reference."""

import math

import pytest

from tests.training.recipes.runs import Run, says, weights, write_parquet
from tests.training.recipes.test_dpo import log_p

SETTINGS = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 4, "warmup": 0.0}


@pytest.fixture(scope="module")
def run(new_run, preferences) -> Run:
    return new_run("orpo", data={"train": preferences}, **SETTINGS).here()


def test_it_learns(run):
    first, last = run.steps[0], run.steps[-1]
    assert run.result["status"] == "ok"
    assert last["loss"] < 0.7 * first["loss"]
    assert last["rewards_margin"] > first["rewards_margin"] + 0.5
    assert last["logps_chosen"] > first["logps_chosen"]


def test_the_loss_by_hand(new_run, run, model, tmp_path):
    """With mean log-probabilities of a token c and r, odds(x) = e^x / (1 - e^x) and lambda = 0.5, the loss is
    -c + 0.5 * log(1 + odds(r) / odds(c)), since -log sigmoid(log a) = log(1 + 1/a)."""
    adapter = str(run.folder / "model")
    prompt, chosen, rejected = says("user", "Why?"), says("assistant", "So."), says("assistant", "No idea.")
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    data = {"train": write_parquet(tmp_path / "one.parquet", [row])}
    one = new_run("orpo", data=data, adapter=adapter, odds_weight=0.5, **SETTINGS).here()
    c, r = (log_p(model, adapter, prompt, answer, mean=True) for answer in (chosen, rejected))
    assert one.steps[0]["logps_chosen"] == pytest.approx(c, rel=1e-4)
    assert one.losses[0] == pytest.approx(-c + 0.5 * math.log1p(odds(r) / odds(c)), rel=1e-4)


def test_a_continued_adapter_moves_and_stays_one(new_run, preferences, run):
    start = run.folder / "model"
    more = new_run("orpo", data={"train": preferences}, adapter=str(start), **{**SETTINGS, "epochs": 0.4}).here()
    before, after = weights(start), weights(more.folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    assert not [path.name for path in (more.folder / "model").iterdir() if path.is_dir()]


def test_another_kind_of_snapshot_is_refused(new_run, demonstrations):
    run = new_run("orpo", data={"train": demonstrations}).here()
    assert run.result["reason"] == "bad_data"
    assert "choose a snapshot of the kind" in run.result["error"]


def odds(log_p: float) -> float:
    return math.exp(log_p) / (1 - math.exp(log_p))
