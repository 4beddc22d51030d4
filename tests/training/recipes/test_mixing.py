"""What a run learns from: other data at a share, groups balanced, examples shown, short ones packed."""

import pytest
from pydantic import ValidationError

from tests.training.recipes.runs import GOOD, questions, says, weights, write_lines, write_parquet
from training.methods import SftSettings

ONE_STEP = {"epochs": 0.01, "warmup": 0.0}


def demonstrations(path, count, *, ask="Q", answer=GOOD, **columns):
    rows = [
        {"prompt": says("user", f"{ask} {n}"), "completion": says("assistant", answer), **columns} for n in range(count)
    ]
    return rows if path is None else write_parquet(path, rows)


def mixed(new_run, main, other=None, **settings):
    """What is trained on, row by row."""
    from training.recipes import models, rows
    from training.recipes.contract import Stop, _job

    data = {"train": main, **({"other_7": other} if other else {})}
    run = new_run("sft", data=data, **settings)
    job = _job("sft", run.folder, Stop(), True)
    return rows.demonstrations(job, models.load_tokenizer(job.model.base))


@pytest.fixture
def main(tmp_path):
    return demonstrations(tmp_path / "main.parquet", 16)


@pytest.fixture
def other(tmp_path):
    return demonstrations(tmp_path / "other.parquet", 40, ask="Earlier")


def test_other_data_take_the_share_they_are_given_and_none_twice(new_run, main, other):
    found = mixed(new_run, main, other, replay_share=0.2)
    assert found.counts()["data_sets"] == {"main": 16, "7": 4}
    assert (found.counts()["kept"], found.counts()["trained_on"]) == (56, 20)
    asked = [row["prompt"][0]["content"] for row in found.kept]
    assert len(set(asked)) == 20
    assert asked == [row["prompt"][0]["content"] for row in mixed(new_run, main, other, replay_share=0.2).kept]
    assert asked != [row["prompt"][0]["content"] for row in mixed(new_run, main, other, replay_share=0.2, seed=18).kept]


def test_no_more_than_there_are(new_run, main, other):
    assert mixed(new_run, main, other, replay_share=0.9).counts()["data_sets"] == {"main": 16, "7": 40}
    assert mixed(new_run, main, other, replay_share=0.0).counts()["trained_on"] == 16


def test_data_sets_by_weight(new_run, main, other):
    found = mixed(new_run, main, other, mix_by="data_set", mix_alpha=0, mix_weights="main=3, 7=1")
    assert found.counts()["data_sets"] == {"main": 42, "7": 14}


def test_a_small_language_is_drawn_more_often(new_run, tmp_path):
    rows = demonstrations(None, 27, language="en") + demonstrations(None, 3, ask="F", language="fr")
    path = write_parquet(tmp_path / "two.parquet", rows)
    assert mixed(new_run, path).counts()["languages"] == {"en": 27, "fr": 3}
    assert mixed(new_run, path, mix_by="language").counts()["languages"] == {"en": 20, "fr": 10}
    assert mixed(new_run, path, mix_by="language", mix_alpha=0).counts()["languages"] == {"en": 15, "fr": 15}
    weighted = mixed(new_run, path, mix_by="language", mix_alpha=1, mix_weights="fr=0")
    assert weighted.counts()["languages"] == {"en": 30}


def test_tags_by_weight(new_run, tmp_path):
    rows = demonstrations(None, 10, tags=["tea", "cups"]) + demonstrations(None, 10, ask="P", tags=["parcels"])
    path = write_parquet(tmp_path / "tags.parquet", rows)
    found = mixed(new_run, path, mix_by="tag", mix_weights="parcels=3")
    assert sum(row["prompt"][0]["content"].startswith("P") for row in found.kept) == 15


@pytest.mark.parametrize(
    ("weights", "why"), [("es=2", "No example belongs to es; there are en"), ("en=0", "leave nothing to learn from")]
)
def test_weights_of_nothing_are_refused(new_run, tmp_path, weights, why):
    path = demonstrations(tmp_path / "en.parquet", 4, language="en")
    run = new_run("sft", data={"train": path}, mix_by="language", mix_weights=weights).here()
    assert run.result["reason"] == "bad_data"
    assert why in run.result["error"]


def test_weights_that_cannot_be_read_are_refused():
    for text in ("en", "en=many", "=2"):
        with pytest.raises(ValidationError, match="is no weight"):
            SftSettings(mix_by="tag", mix_weights=text)
    with pytest.raises(ValidationError, match="Weights are of groups"):
        SftSettings(mix_weights="en=2")


def test_a_mixture_trains_and_says_what_it_was(new_run, main, other):
    run = new_run("sft", data={"train": main, "other_7": other}, **ONE_STEP).here()
    assert run.result["status"] == "ok"
    assert run.event("rows")["data_sets"] == {"main": 16, "7": 4}


def test_preferences_are_mixed_too(new_run, preferences, tmp_path):
    other = [
        {"prompt": says("user", f"Old {n}"), "chosen": says("assistant", "Yes."), "rejected": says("assistant", "No.")}
        for n in range(30)
    ]
    data = {"train": preferences, "other_3": write_parquet(tmp_path / "old.parquet", other)}
    run = new_run("dpo", data=data, replay_share=0.25, **ONE_STEP).here()
    assert run.result["rows"]["data_sets"] == {"main": 24, "3": 8}


# Examples before the question


def test_examples_stand_before_each_question(new_run, main):
    found = mixed(new_run, main, few_shot=2)
    for row in found.kept:
        turns = row["prompt"]
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2 + ["user"]
        assert len({turn["content"] for turn in turns if turn["role"] == "user"}) == 3
    assert len({row["prompt"][-1]["content"] for row in found.kept}) == 16


def test_as_many_examples_as_fit(new_run, main):
    found = mixed(new_run, main, few_shot=8, max_length=120)
    assert {len(row["prompt"]) for row in found.kept} < {1, 3, 5, 7}


def test_answers_may_be_drawn_with_examples(new_run, main, tmp_path):
    prompts = write_lines(tmp_path / "prompts.jsonl", [{"id": 1, "messages": says("user", "Why?")}])
    settings = {"samples_per_prompt": 1, "temperature": 0.0, "max_new_tokens": 4}
    plain, shown = (
        new_run("generate", data={"prompts": prompts, "train": main}, few_shot=n, **settings).here() for n in (0, 2)
    )
    assert plain.result["rows"]["longest_tokens"] + 40 < shown.result["rows"]["longest_tokens"]
    missing = new_run("generate", data={"prompts": prompts}, few_shot=2, **settings).here()
    assert missing.result["reason"] == "bad_data"


# What the loss is of


def test_packed_examples_do_not_see_each_other(new_run, tmp_path):
    """The first loss of all examples in one pack is that of all in one padded batch."""
    rows = [{"prompt": says("user", q * (1 + n % 3)), "completion": says("assistant", GOOD)} for n, q in
            enumerate(questions(6))]  # fmt: skip
    data = {"train": write_parquet(tmp_path / "rows.parquet", rows)}
    padded = new_run("sft", data=data, batch_size=6, epochs=1).here()
    packed = new_run("sft", data=data, batch_size=1, epochs=1, packing=True, max_length=500).here()
    assert len(packed.steps) == 1
    assert packed.losses[0] == pytest.approx(padded.losses[0], rel=1e-5)
    assert packed.result["rows"]["kept"] == 6


def test_the_loss_may_be_of_the_whole_conversation(new_run, model, tmp_path):
    """By hand: the mean of -log p over every token but the first."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    question = questions(1)[0]
    row = {"prompt": says("user", question), "completion": says("assistant", GOOD)}
    data = {"train": write_parquet(tmp_path / "one.parquet", [row])}
    run = new_run("sft", data=data, epochs=1, loss_on="conversation").here()
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{GOOD}<|im_end|>\n"
    ids = AutoTokenizer.from_pretrained(model)(text)["input_ids"]
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)(torch.tensor([ids])).logits[0]
    log_p = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert run.losses[0] == pytest.approx(-log_p.mean().item(), rel=1e-4)


def test_noise_on_the_words_changes_what_is_learned(new_run, main):
    plain, noisy = (new_run("sft", data={"train": main}, neftune=n, **ONE_STEP).here() for n in (0, 10))
    assert plain.losses != noisy.losses
    assert not weights(plain.folder / "model").keys() - weights(noisy.folder / "model").keys()


def test_rows_come_as_often_as_their_snapshot_weighs_them(new_run, tmp_path):
    rows = demonstrations(None, 4, weight=1.0) + demonstrations(None, 3, ask="Twice", weight=2.0)
    rows += demonstrations(None, 10, ask="Half", weight=0.5) + demonstrations(None, 2, ask="Never", weight=0.0)
    path = write_parquet(tmp_path / "weighed.parquet", rows)
    found = mixed(new_run, path)
    asked = [row["prompt"][0]["content"].split()[0] for row in found.kept]
    assert [asked.count(word) for word in ("Q", "Twice", "Half", "Never")] == [4, 6, 5, 0]
    assert (found.counts()["kept"], found.counts()["trained_on"]) == (19, 15)
    assert [row["prompt"] for row in mixed(new_run, path).kept] == [row["prompt"] for row in found.kept]
    halves = {tuple(sorted({r["prompt"][0]["content"] for r in mixed(new_run, path, seed=n).kept})) for n in range(4)}
    assert len(halves) > 1  # which half it is, the seed says


def test_weights_of_nothing_are_said(new_run, tmp_path):
    path = write_parquet(tmp_path / "nothing.parquet", demonstrations(None, 3, weight=0.0))
    run = new_run("sft", data={"train": path}).here()
    assert (run.result["status"], run.result["reason"]) == ("failed", "bad_data")
    assert "weights of the snapshot" in run.result["error"]


def test_a_run_on_weighed_rows_trains_on_as_many(new_run, tmp_path):
    path = write_parquet(tmp_path / "weighed.parquet", demonstrations(None, 8, weight=2.0))
    run = new_run("sft", data={"train": path}, **ONE_STEP).here()
    assert run.result["rows"]["trained_on"] == 16
