"""The reward model prefers what people chose, keeps its head when stored, and scores alike in any company."""

import math

import pytest

from tests.training.recipes.runs import BAD, GOOD, Run, questions, says, weights, write_lines, write_parquet

SETTINGS = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 4}


@pytest.fixture(scope="module")
def trained(new_run, preferences) -> Run:
    return new_run("reward", data={"train": preferences}, **SETTINGS).finish()


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> str:
    rows = [
        {"id": f"{number}-{name}", "messages": says("user", question), "text": text * repeated}
        for number, question in enumerate(questions(9))
        for name, text, repeated in (("good", GOOD, 1 + number % 3), ("bad", BAD, 1))
    ]
    return write_lines(tmp_path_factory.mktemp("answers") / "answers.jsonl", rows)


@pytest.fixture(scope="module")
def scored(new_run, trained, answers) -> Run:
    run = new_run("score", data={"answers": answers}, adapter=str(trained.folder / "model"), batch_size=5)
    return run.finish()


def scores(run: Run) -> dict[str, float]:
    return {row["id"]: row["score"] for row in run.lines("scores.jsonl")}


def test_it_learns(trained):
    assert trained.exit_code == 0
    assert trained.result["status"] == "ok"
    assert trained.losses[-1] < trained.losses[0] / 4
    assert trained.steps[-1]["rewards_margin"] > 1
    assert trained.result["metrics"]["rewards_margin"] > 1


def test_the_head_is_stored_and_gives_the_same_score(trained):
    stored = weights(trained.folder / "model")
    assert [name for name in stored if name.endswith("score.weight")]
    assert not [name for name in stored if "score" in name and "lora" in name]
    assert trained.result["metrics"]["reload_difference"] < 1e-4


def test_a_lost_head_fails_the_run(trained, model, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    from training.recipes import models, reward
    from training.recipes.contract import Failed

    tokenizer = AutoTokenizer.from_pretrained(model)
    in_memory = models.load_scorer(
        model,
        models.frozen_dtype(),
        pad_token_id=tokenizer.pad_token_id,
        adapter=str(trained.folder / "model"),
    )
    row = {
        "prompt": says("user", "Why?"),
        "chosen": says("assistant", GOOD),
        "rejected": says("assistant", BAD),
    }
    assert reward.reload_difference(model, str(trained.folder / "model"), in_memory, tokenizer, row) < 1e-6

    headless = tmp_path / "headless"
    shutil.copytree(trained.folder / "model", headless)
    stored = load_file(headless / "adapter_model.safetensors")
    anew = {name: torch.randn_like(t) * 0.02 if "score" in name else t for name, t in stored.items()}
    save_file(anew, headless / "adapter_model.safetensors")
    with pytest.raises(Failed, match="must not be used"):
        reward.reload_difference(model, str(headless), in_memory, tokenizer, row)


def test_margins_are_used_only_when_asked_for(new_run, preferences, trained):
    first = {**SETTINGS, "epochs": 0.1, "center": 0.0}
    without = new_run("reward", data={"train": preferences}, **first).here()
    with_margin = new_run("reward", data={"train": preferences}, use_margin=True, **first).here()
    # The loss of a pair is -log sigmoid(gap - margin); before the first step the gap is the same, the margin is 1.
    gap = without.steps[0]["rewards_margin"]
    assert with_margin.steps[0]["rewards_margin"] == pytest.approx(gap)
    assert without.losses[0] == pytest.approx(math.log1p(math.exp(-gap)), abs=1e-2)
    assert with_margin.losses[0] == pytest.approx(math.log1p(math.exp(1 - gap)), abs=1e-2)


def test_a_pair_over_the_limit_is_dropped_and_counted(new_run, tmp_path):
    rows = [
        {
            "prompt": says("user", "Why?"),
            "chosen": says("assistant", GOOD * times),
            "rejected": says("assistant", BAD),
        }
        for times in (1, 1, 20)
    ]
    data = {"train": write_parquet(tmp_path / "pairs.parquet", rows)}
    run = new_run("reward", data=data, max_length=128, epochs=1).here()
    assert run.result["rows"] == {
        "read": 3,
        "kept": 2,
        "dropped": 1,
        "cut": 0,
        "longest_tokens": run.event("rows")["longest_tokens"],
        "why_dropped": {"too long": 1},
    }
    assert run.result["rows"]["longest_tokens"] > 128


def test_a_policy_adapter_cannot_become_a_reward_model(new_run, preferences, demonstrations):
    policy = new_run("sft", data={"train": demonstrations}, epochs=0.1).here()
    run = new_run("reward", data={"train": preferences}, adapter=str(policy.folder / "model")).here()
    assert run.result["reason"] == "bad_data"
    assert "reward model" in run.result["error"]


def test_every_answer_gets_one_score_and_the_chosen_kind_the_higher(scored, answers):
    assert scored.exit_code == 0
    found = scores(scored)
    assert len(found) == len(scored.lines("scores.jsonl")) == 18
    assert all(found[f"{number}-good"] > found[f"{number}-bad"] for number in range(9))
    assert scored.result["rows"]["kept"] == 18


def test_a_score_does_not_depend_on_the_answers_beside_it(new_run, scored, trained, answers):
    adapter = str(trained.folder / "model")
    alone = new_run("score", data={"answers": answers}, adapter=adapter, batch_size=1).here()
    together = new_run("score", data={"answers": answers}, adapter=adapter, batch_size=18).here()
    assert scores(alone) == pytest.approx(scores(together), abs=1e-5)
    assert scores(alone) == pytest.approx(scores(scored), abs=1e-5)


def test_scores_go_on_where_they_were(new_run, scored, trained, answers):
    run = new_run("score", data={"answers": answers}, adapter=str(trained.folder / "model"), batch_size=5)
    lines = (scored.folder / "scores.jsonl").read_text().split("\n")
    (run.folder / "scores.jsonl").write_text("\n".join(lines[:7]) + '\n{"id": "3-go')
    run.here()
    assert run.result["status"] == "ok"
    assert len(run.lines("scores.jsonl")) == 18
    assert scores(run) == pytest.approx(scores(scored), abs=1e-5)


def test_a_model_that_answers_has_no_score_to_give(new_run, answers):
    run = new_run("score", data={"answers": answers}).here()
    assert run.result["reason"] == "bad_data"
    assert "choose a reward model" in run.result["error"]


def test_stopped_and_on_again_it_ends_with_the_same_losses(new_run, preferences, trained):
    run = new_run("reward", data={"train": preferences}, checkpoint_seconds=0, **SETTINGS)
    run.here_until(lambda run: len(run.steps) >= 5)
    assert run.result["reason"] == "cancelled"
    assert 5 <= len(run.steps) < len(trained.steps)
    assert run.here().result["status"] == "ok"
    assert run.losses == trained.losses
