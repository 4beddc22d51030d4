"""DPO starts at its reference, moves away from it towards what people chose, and leaves one plain adapter."""

import math
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.training.recipes.runs import Run, says, weights, write_parquet

SETTINGS = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 4, "warmup": 0.0}


@pytest.fixture(scope="module")
def sft(new_run, demonstrations) -> str:
    run = new_run("sft", data={"train": demonstrations}, epochs=1, learning_rate=3e-3).here()
    return str(run.folder / "model")


@pytest.fixture(scope="module")
def runs(new_run, side_by_side, preferences, sft) -> dict[str, Run]:
    """Those that go on from SFT also rehearse a little, with the same texts after they were killed."""
    held = {"data": {"train": preferences}, "adapter": sft, "rehearsal": 0.01, **SETTINGS}

    def stopped() -> Run:
        run = new_run("dpo", checkpoint_seconds=0, **held)
        return run.stopped_when(lambda run: len(run.steps) >= 4, signal.SIGKILL)

    continued = side_by_side.submit(new_run("dpo", **held).finish)
    again = side_by_side.submit(stopped)
    fresh = new_run("dpo", data={"train": preferences}, **SETTINGS).here()
    return {"continued": continued.result(), "stopped": again.result().here(), "fresh": fresh}


@pytest.mark.parametrize("start", ["continued", "fresh"])
def test_the_first_loss_is_ln_2(runs, start):
    """-log sigmoid(beta * (gap - reference's gap)) with both gaps the same is -log sigmoid(0) = ln 2."""
    assert runs[start].result["status"] == "ok"
    assert runs[start].losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert runs[start].steps[0]["rewards_margin"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("start", ["continued", "fresh"])
def test_it_learns(runs, start):
    assert runs[start].losses[-1] < 0.5 * math.log(2)
    assert runs[start].steps[-1]["rewards_margin"] > 0.5
    assert runs[start].result["metrics"]["rewards_margin"] > 0


def test_the_log_tells_nothing_that_only_concerns_who_maintains_this(runs):
    assert "Warning" not in runs["continued"].log


def test_the_result_is_one_plain_adapter_that_moved(runs, sft):
    folder = runs["continued"].folder
    assert runs["continued"].exit_code == 0
    assert not [path.name for path in (folder / "model").iterdir() if path.is_dir()]
    assert not (folder / "cache").exists()
    before, after = weights(sft), weights(folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)


def test_the_loss_by_hand(runs, new_run, sft, model, tmp_path):
    """One pair, one step, then the loss of the second step from the stored log-probabilities of both models."""
    row, data = one_pair(tmp_path)
    run = new_run("dpo", data=data, adapter=sft, **{**SETTINGS, "epochs": 2}).here()
    first, second = run.steps
    chosen = second["logps_chosen"] - first["logps_chosen"]
    rejected = second["logps_rejected"] - first["logps_rejected"]
    assert second["loss"] == pytest.approx(math.log1p(math.exp(-0.1 * (chosen - rejected))), rel=1e-4)
    assert first["logps_chosen"] == pytest.approx(log_p(model, sft, row["prompt"], row["chosen"]), rel=1e-4)


def test_scoring_the_reference_on_the_way_gives_the_same(new_run, preferences, sft, runs):
    run = new_run(
        "dpo",
        data={"train": preferences},
        adapter=sft,
        precompute_ref_log_probs=False,
        **{**SETTINGS, "epochs": 0.5},
    ).here()
    assert run.losses[0] == pytest.approx(runs["continued"].losses[0], abs=1e-5)
    assert run.result["status"] == "ok"


def test_kill_9_and_on_again_ends_with_the_same_losses(runs):
    assert runs["stopped"].event("resumed")["at_step"] >= 3
    assert runs["stopped"].losses == runs["continued"].losses


def test_long_pairs_are_cut_and_counted(new_run, tmp_path):
    rows = [
        {
            "prompt": says("user", "Why? " * long),
            "chosen": says("assistant", "So. " * 40),
            "rejected": says("assistant", "No."),
        }
        for long in (1, 200)
    ]
    data = {"train": write_parquet(tmp_path / "pairs.parquet", rows)}
    run = new_run("dpo", data=data, max_length=64, epochs=1).here()
    counts = run.result["rows"]
    assert (counts["read"], counts["kept"], counts["dropped"], counts["cut"]) == (2, 1, 1, 1)
    assert counts["why_dropped"] == {"prompt too long": 1}


LOSSES = {
    "sigmoid": lambda c, r, n: log1p_exp(-0.1 * (c - r)),
    "sigmoid_norm": lambda c, r, n: log1p_exp(-0.1 * (c / n[0] - r / n[1])),
    "hinge": lambda c, r, n: max(0.0, 1 - 0.1 * (c - r)),
    "ipo": lambda c, r, n: (c / n[0] - r / n[1] - 1 / (2 * 0.1)) ** 2,
    "robust": lambda c, r, n: (0.8 * log1p_exp(-0.1 * (c - r)) - 0.2 * log1p_exp(0.1 * (c - r))) / 0.6,
    "sppo_hard": lambda c, r, n: (c - 0.5 / 0.1) ** 2 + (r + 0.5 / 0.1) ** 2,
    "apo_zero": lambda c, r, n: 1 - sigmoid(0.1 * c) + sigmoid(0.1 * r),
    "apo_down": lambda c, r, n: sigmoid(0.1 * c) + 1 - sigmoid(0.1 * (c - r)),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_each_kind_of_loss_by_hand(new_run, model, tmp_path, loss):
    """From c and r, how much likelier the first step made the chosen and the rejected answer, and n, their tokens; beta
    is 0.1, and a fifth of the labels are taken for wrong by 'robust'."""
    row, data = one_pair(tmp_path)
    first, second = new_run("dpo", data=data, loss=loss, label_noise=0.2, **SETTINGS).here().steps
    c, r = (second[name] - first[name] for name in ("logps_chosen", "logps_rejected"))
    tokens = [answer_tokens(model, row["prompt"], row[answer]) for answer in ("chosen", "rejected")]
    assert first["loss"] == pytest.approx(LOSSES[loss](0, 0, tokens), abs=1e-4)
    assert second["loss"] == pytest.approx(LOSSES[loss](c, r, tokens), rel=1e-3)
    assert c - r > 0.01


def test_the_chosen_answer_is_learnt_too_and_a_longer_ones_end_left_out(new_run, model, tmp_path):
    """ln 2, plus half of the mean of -log p over the chosen answer's tokens. With no weight on the end of the longer
    answer its log-probability is of its first tokens alone, as many as the shorter one has."""
    row, data = one_pair(tmp_path)
    first, second = new_run("dpo", data=data, sft_weight=0.5, length_share=0.0, **SETTINGS).here().steps
    chosen, rejected = (answer_tokens(model, row["prompt"], row[answer]) for answer in ("chosen", "rejected"))
    assert chosen < rejected
    assert first["logps_chosen"] == pytest.approx(log_p(model, None, row["prompt"], row["chosen"]), rel=1e-4)
    start = log_p(model, None, row["prompt"], row["rejected"], first=chosen)
    assert first["logps_rejected"] == pytest.approx(start, rel=1e-4)
    assert first["loss"] == pytest.approx(math.log(2) - 0.5 * first["logps_chosen"] / chosen, rel=1e-4)
    assert second["logps_chosen"] > first["logps_chosen"]


@pytest.mark.parametrize("start", ["continued", "fresh"])
def test_a_model_that_rehearses_stays_nearer_to_what_it_was(new_run, preferences, sft, start):
    """On texts of its own it begins where it was, so the first loss is ln 2 as ever, and a weight holds it there."""
    adapter = {"continued": sft, "fresh": None}[start]
    free, held = (
        new_run("dpo", data={"train": preferences}, adapter=adapter, rehearsal=weight, **SETTINGS).here()
        for weight in (1e-9, 1.0)
    )
    assert held.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert held.steps[0]["distance"] == pytest.approx(0, abs=1e-4)
    assert 0 < held.steps[-1]["distance"] < 0.5 * free.steps[-1]["distance"]
    assert held.steps[-1]["rewards_margin"] > 0.2


def test_it_rehearses_once_a_step_however_many_batches_that_has(new_run, preferences):
    once, twice = (
        new_run("dpo", data={"train": preferences}, rehearsal=1.0, **SETTINGS | batches).here()
        for batches in ({"batch_size": 4}, {"batch_size": 2, "gradient_accumulation": 2})
    )
    assert [step["distance"] for step in twice.steps] == pytest.approx(
        [step["distance"] for step in once.steps], rel=0.01, abs=1e-5
    )


def one_pair(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    row = {
        "prompt": says("user", "Why?"),
        "chosen": says("assistant", "So."),
        "rejected": says("assistant", "No idea."),
    }
    return row, {"train": write_parquet(folder / "one.parquet", [row])}


def log1p_exp(x: float) -> float:
    return math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def answer_tokens(model: str, prompt: list[dict[str, str]], answer: list[dict[str, str]]) -> int:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    return len(tokenizer.apply_chat_template(prompt + answer, return_dict=True)["input_ids"]) - len(before)


def log_p(
    model: str,
    adapter: str | None,
    prompt: list[dict[str, str]],
    answer: list[dict[str, str]],
    *,
    first: int | None = None,
    mean: bool = False,
) -> float:
    """The sum, or the mean, of log p over the answer's tokens (or the first so many), written out."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter is not None:
        policy = PeftModel.from_pretrained(policy, adapter)
    start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"])
    ids = tokenizer.apply_chat_template(prompt + answer, return_dict=True)["input_ids"]
    with torch.inference_mode():
        logits = policy(torch.tensor([ids])).logits[0]
    found = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[start - 1 :][:first]
    return (found.mean() if mean else found.sum()).item()
