"""An instant reward model: the model stays as it is, and a linear score learns what people prefer."""

import pytest

from tests.training.recipes.runs import BAD, GOOD, questions, says, weights, write_lines, write_parquet


@pytest.fixture(scope="module")
def probe(new_run, preferences):
    return new_run("probe", data={"train": preferences}).here()


def test_it_tells_what_people_prefer_and_how_surely(probe):
    assert probe.result["status"] == "ok", probe.result
    assert probe.result["format"] == "adapter"
    metrics = probe.result["metrics"]
    assert (metrics["pairs"], metrics["prompts"], metrics["layer"]) == (24, 24, 1)
    assert metrics["accuracy"] == 1.0
    assert {path.name for path in (probe.folder / "model").iterdir()} == {"head.json", "head.safetensors"}
    assert weights(probe.folder / "model")["weight"].shape == (64,)


def test_its_scores_are_those_of_the_head_on_mean_states(probe, new_run, model, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    from training.recipes.rows import tokens

    rows = [
        {"id": f"{n}{text[0]}", "messages": says("user", question), "text": text * (1 + n)}
        for n, question in enumerate(questions(3))
        for text in (GOOD, BAD)
    ]
    data = {"answers": write_lines(tmp_path / "answers.jsonl", rows)}
    scored = new_run("score", data=data, adapter=str(probe.folder / "model")).here()
    assert scored.result["status"] == "ok", scored.result
    found = {line["id"]: line["score"] for line in scored.lines("scores.jsonl")}
    body, head = AutoModel.from_pretrained(model), weights(probe.folder / "model")["weight"]
    tokenizer = AutoTokenizer.from_pretrained(model)
    for row in rows:
        ids = tokens(tokenizer, row["messages"] + says("assistant", row["text"]))
        with torch.inference_mode():
            states = body(torch.tensor([ids]), output_hidden_states=True).hidden_states[1][0]
        assert found[row["id"]] == pytest.approx((states.mean(dim=0) @ head).item(), abs=1e-3)
    assert all(found[f"{n}{GOOD[0]}"] > found[f"{n}{BAD[0]}"] for n in range(3))


def test_answers_without_rhyme_or_reason_are_predicted_no_better_than_by_chance(new_run, tmp_path):
    """Which of the two is chosen is a coin's toss, so left-out prompts must come out near a half."""
    rows = [
        {"prompt": says("user", q), "chosen": says("assistant", a), "rejected": says("assistant", b)}
        for n, q in enumerate(questions(30))
        for a, b in [(GOOD, BAD) if n * 7919 % 13 % 2 else (BAD, GOOD)]
    ]
    run = new_run("probe", data={"train": write_parquet(tmp_path / "coin.parquet", rows)}).here()
    assert 0.2 < run.result["metrics"]["accuracy"] < 0.8


def test_pairs_on_one_prompt_are_refused(new_run, tmp_path):
    row = {"prompt": says("user", "Why?"), "chosen": says("assistant", GOOD), "rejected": says("assistant", BAD)}
    run = new_run("probe", data={"train": write_parquet(tmp_path / "one.parquet", [row])}).here()
    assert (run.result["reason"], "one prompt" in run.result["error"]) == ("bad_data", True)
