"""SFT: it learns, it learns the same thing every time, and a stop in the middle changes nothing."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.training.recipes.runs import GOOD, Run, questions, says, scalars, weights, write_parquet

SETTINGS = {"epochs": 5, "batch_size": 4, "learning_rate": 3e-3, "lora_dropout": 0.1}
STEPS = 50


def whole_checkpoints(run: Run) -> list[Path]:
    return [path.parent for path in run.folder.glob("checkpoints/checkpoint-*/complete.json")]


@pytest.fixture(scope="module")
def runs(new_run, side_by_side, demonstrations):
    data = {"train": demonstrations}

    def terminated() -> dict[str, Run]:
        run = new_run("sft", data=data, checkpoint_seconds=3600, **SETTINGS)
        run.stopped_when(lambda run: bool(run.lines()), signal.SIGTERM)
        while_loading = dict(run.result, steps=len(run.steps), seconds_to_stop=run.seconds_to_stop, exit=run.exit_code)
        run.stopped_when(lambda run: len(run.steps) >= 3, signal.SIGTERM)
        while_training = dict(run.result, steps=len(run.steps), seconds_to_stop=run.seconds_to_stop, exit=run.exit_code)
        return {"run": run, "while_loading": while_loading, "while_training": while_training}

    def killed() -> dict[str, object]:
        run = new_run("sft", data=data, checkpoint_seconds=0.2, **SETTINGS)
        run.stopped_when(lambda run: len(run.steps) >= 4 and bool(whole_checkpoints(run)), signal.SIGKILL)
        had_result = (run.folder / "result.json").exists()
        checkpoints = run.folder / "checkpoints"
        whole = max(whole_checkpoints(run), key=lambda folder: int(folder.name.split("-")[1]))
        half = checkpoints / "checkpoint-49"  # as if it had been writing this one, and that one's disk had failed
        shutil.copytree(whole, half)
        (half / "optimizer.pt").write_bytes(b"half")
        with (run.folder / "metrics.jsonl").open("a") as file:
            file.write('{"step": 49, "loss": 0.0}\n{"step": 50, "lo')
        return {"run": run.finish(), "had_result": had_result, "whole": int(whole.name.split("-")[1])}

    others = {"terminated": side_by_side.submit(terminated), "killed": side_by_side.submit(killed)}
    runs = {"undisturbed": new_run("sft", data=data, **SETTINGS).here()}
    runs.update({name: future.result() for name, future in others.items()})
    runs["terminated"]["run"].here()
    return runs


def test_it_learns_and_says_so(runs):
    run = runs["undisturbed"]
    assert run.result["status"] == "ok"
    assert (run.result["output"], run.result["format"]) == ("model", "adapter")
    assert run.losses[-1] < run.losses[0] / 2
    assert run.result["metrics"]["steps"] == STEPS
    assert run.result["environment"]["dtype"] == "float32"
    assert run.result["environment"]["threads"] == 1


def test_every_step_is_one_line(runs):
    lines = runs["undisturbed"].lines()
    assert lines[0]["event"] == "rows"
    assert [line["step"] for line in lines[1:]] == list(range(1, STEPS + 1))
    measures = {"loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_gb", "token_accuracy"}
    assert measures <= lines[1].keys()
    assert all(line["total"] == STEPS for line in lines[1:])


@pytest.mark.parametrize("how", ["undisturbed", "terminated"])
def test_the_curve_is_in_tensorboard_s_files_too(runs, how):
    run = runs["undisturbed"] if how == "undisturbed" else runs["terminated"]["run"]
    assert scalars(run.folder / "tensorboard")["loss"] == pytest.approx(dict(enumerate(run.losses, start=1)), rel=1e-6)


def test_only_the_adapter_moved(runs, model):
    stored = weights(runs["undisturbed"].folder / "model")
    assert all(".lora_A." in name or ".lora_B." in name for name in stored)
    assert all(tensor.abs().sum() > 0 for name, tensor in stored.items() if ".lora_B." in name)
    assert not (runs["undisturbed"].folder / "model" / "training_args.bin").exists()


def test_nothing_is_left_of_the_checkpoints(runs):
    assert not (runs["undisturbed"].folder / "checkpoints").exists()


def test_sigterm_while_loading_stops_at_once(runs):
    stopped = runs["terminated"]["while_loading"]
    assert (stopped["status"], stopped["reason"]) == ("failed", "cancelled")
    assert stopped["exit"] != 0
    assert stopped["seconds_to_stop"] < 20


def test_sigterm_while_training_keeps_where_it_was(runs):
    stopped = runs["terminated"]["while_training"]
    assert (stopped["status"], stopped["reason"]) == ("failed", "cancelled")
    assert 3 <= stopped["steps"] < STEPS
    assert runs["terminated"]["run"].event("resumed")["at_step"] == stopped["steps"]


@pytest.mark.parametrize("how", ["terminated", "killed"])
def test_a_run_that_was_stopped_ends_with_the_same_losses(runs, how):
    run = runs[how]["run"]
    assert run.result["status"] == "ok"
    assert [line["step"] for line in run.steps] == list(range(1, STEPS + 1))
    assert run.losses == runs["undisturbed"].losses
    assert [line["learning_rate"] for line in run.steps] == [
        line["learning_rate"] for line in runs["undisturbed"].steps
    ]
    ours, theirs = (weights(each.folder / "model") for each in (run, runs["undisturbed"]))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_kill_9_leaves_no_result_and_half_a_checkpoint_is_passed_over(runs):
    assert not runs["killed"]["had_result"]
    assert runs["killed"]["run"].exit_code == 0
    assert runs["killed"]["run"].event("resumed")["at_step"] == runs["killed"]["whole"]


def test_another_seed_gives_other_losses(new_run, demonstrations, runs):
    run = new_run("sft", data={"train": demonstrations}, seed=18, **{**SETTINGS, "epochs": 0.2}).here()
    assert run.result["status"] == "ok"
    assert run.losses != runs["undisturbed"].losses[: len(run.losses)]


def test_a_finished_run_is_not_run_again(runs):
    before = (runs["undisturbed"].folder / "result.json").stat().st_mtime_ns
    assert runs["undisturbed"].here().result["status"] == "ok"
    assert (runs["undisturbed"].folder / "result.json").stat().st_mtime_ns == before


def test_full_tuning_moves_the_model_itself(new_run, demonstrations, model):
    run = new_run("sft", data={"train": demonstrations}, tuning="full", epochs=0.3, learning_rate=1e-3).here()
    assert run.result["format"] == "full"
    before, after = weights(model), weights(run.folder / "model")
    assert before.keys() == after.keys()
    assert all(not before[name].equal(after[name]) for name in before)


def test_an_adapter_is_trained_on(new_run, demonstrations, runs):
    adapter = str(runs["undisturbed"].folder / "model")
    run = new_run("sft", data={"train": demonstrations}, adapter=adapter, epochs=0.2, warmup=0.0).here()
    assert run.losses[0] == pytest.approx(runs["undisturbed"].losses[-1], rel=0.5)
    before, after = weights(adapter), weights(run.folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)


def test_the_loss_is_on_the_answer_alone(new_run, model, tmp_path):
    """By hand: the mean of -log p over the answer's tokens, end of turn included."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    question = questions(1)[0]
    row = {"prompt": says("user", question), "completion": says("assistant", GOOD)}
    run = new_run("sft", data={"train": write_parquet(tmp_path / "one.parquet", [row])}, epochs=1).here()

    tokenizer = AutoTokenizer.from_pretrained(model)
    start = len(tokenizer(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")["input_ids"])
    ids = tokenizer(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{GOOD}<|im_end|>\n")["input_ids"]
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)(torch.tensor([ids])).logits[0]
    log_p = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert run.losses[0] == pytest.approx(-log_p[start - 1 :].mean().item(), rel=1e-4)


def test_stopped_between_the_batches_of_a_step_it_goes_on_the_same(new_run, demonstrations):
    settings = {"epochs": 4, "batch_size": 2, "gradient_accumulation": 6, "lora_dropout": 0.1}
    whole = new_run("sft", data={"train": demonstrations}, **settings).here()
    run = new_run("sft", data={"train": demonstrations}, **settings)
    run.here_until(lambda run: len(run.steps) >= 3)
    assert run.result["reason"] == "cancelled"
    assert 3 <= len(run.steps) < 16
    run.here()
    assert [line["step"] for line in run.steps] == list(range(1, 17))
    assert run.losses == whole.losses


def test_the_tokenizer_travels_with_the_model(runs):
    names = {path.name for path in Path(runs["undisturbed"].folder / "model").iterdir()}
    assert {
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
    } <= names
