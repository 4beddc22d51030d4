"""A share held back by prompt is never trained on; the best model on it is kept, and a run may end there."""

from random import Random
from string import ascii_lowercase

import pytest

from tests.training.recipes.runs import BAD, GOOD, questions, says, weights, write_parquet

SETTINGS = {"epochs": 10, "batch_size": 4, "warmup": 0.0, "schedule": "constant_with_warmup", "validation_share": 0.25}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two answers to each of eight prompts: letters by lot, so that there is soon nothing more to learn than these."""
    letters = Random(17)
    rows = [
        {
            "prompt": says("user", question),
            "completion": says("assistant", " ".join("".join(letters.choices(ascii_lowercase, k=5)) for _ in range(6))),
        }
        for question in questions(8)
        for _ in range(2)
    ]
    return {"train": write_parquet(tmp_path_factory.mktemp("rows") / "rows.parquet", rows)}


@pytest.fixture(scope="module")
def watched(new_run, data):
    """It first learns what letters there are, and then these by heart."""
    return new_run("sft", data=data, learning_rate=0.01, **SETTINGS).here()


def looks(run):
    return {line["step"]: line["validation_loss"] for line in run.steps if "validation_loss" in line}


def test_all_rows_of_a_prompt_are_held_back_or_none(new_run, data):
    from training.recipes import models, rows
    from training.recipes.contract import Stop, _job

    run = new_run("sft", data=data, **SETTINGS)
    job = _job("sft", run.folder, Stop(), True)
    found = rows.demonstrations(job, models.load_tokenizer(job.model.base))
    watched, trained = ({row["prompt"][0]["content"] for row in some} for some in (found.watched, found.kept))
    assert (len(found.watched), len(watched), len(found.kept)) == (4, 2, 12)
    assert not watched & trained


@pytest.fixture
def reworded(tmp_path):
    """Eight prompts, each once more in other words, with an answer of their own."""
    rows = [
        {
            "prompt": says("user", f"{question}{end}"),
            "completion": says("assistant", f"Answer {number}."),
            "prompt_sha256": f"{number:064}",
            "made_by": 5 if end else None,
            "paraphrase": bool(end),
        }
        for number, question in enumerate(questions(8))
        for end in ("", " Or so?")
    ]
    return {"train": write_parquet(tmp_path / "reworded.parquet", rows)}


def read(new_run, data, **settings):
    from training.recipes import models, rows
    from training.recipes.contract import Stop, _job

    job = _job("sft", new_run("sft", data=data, **settings).folder, Stop(), True)
    return rows.demonstrations(job, models.load_tokenizer(job.model.base))


def test_a_prompt_in_other_words_is_on_the_same_side(new_run, reworded, data):
    found = read(new_run, reworded, **SETTINGS)
    watched, trained = ([row["completion"][0]["content"] for row in some] for some in (found.watched, found.kept))
    assert (len(watched), len(set(watched)), len(trained)) == (4, 2, 12)
    assert not set(watched) & set(trained)
    assert len(set(found.keys(0))) == 6
    assert len(set(read(new_run, data, epochs=1).keys(0))) == 8, "where no hash is known, the words are all there is"


def test_no_example_before_a_question_asks_the_same_in_other_words(new_run, reworded):
    for row in read(new_run, reworded, few_shot=2, validation_share=0.25).kept:
        answers = [turn["content"] for turn in row["prompt"] if turn["role"] == "assistant"]
        assert len({*answers, row["completion"][0]["content"]}) == 3


def test_paraphrases_are_not_shown_as_examples_while_sampling(reworded):
    from training.recipes.rows import examples_of

    assert [one["prompt"][0]["content"] for one in examples_of(reworded["train"])] == questions(8)


def test_ten_looks_and_the_best_is_what_is_stored(watched, new_run, data, model):
    import torch

    from training.recipes import models, rows
    from training.recipes.contract import ModelSpec, Stop, _job

    assert watched.result["status"] == "ok", watched.result
    found = looks(watched)
    assert sorted(found) == list(range(3, 31, 3))
    best = watched.result["metrics"]
    assert best["validation_loss"] == min(found.values()) == found[best["best_step"]]
    assert best["best_step"] < 30
    assert watched.result["rows"]["watched"] == 4
    job = _job("sft", new_run("sft", data=data, **SETTINGS).folder, Stop(), True)
    tokenizer = models.load_tokenizer(model)
    stored = models.load_policy(
        ModelSpec(base=model, adapter=str(watched.folder / "model")), torch.float32, adapter="merge"
    )
    total = count = 0.0
    for row in rows.demonstrations(job, tokenizer).watched:
        ids = torch.tensor([rows.tokens(tokenizer, row["prompt"] + row["completion"])])
        start = len(rows.tokens(tokenizer, row["prompt"], answer_next=True))
        with torch.inference_mode():
            log_p = stored(input_ids=ids).logits[0, :-1].log_softmax(-1)
        total -= log_p.gather(1, ids[0, 1:, None])[start - 1 :].sum().item()
        count += ids.shape[1] - start
    assert total / count == pytest.approx(best["validation_loss"], rel=1e-3)


def test_it_ends_when_nothing_gets_better(new_run, data, watched):
    run = new_run("sft", data=data, learning_rate=0.01, patience=2, **SETTINGS).here()
    assert run.result["status"] == "ok", run.result
    best = watched.result["metrics"]["best_step"]
    assert run.result["metrics"]["best_step"] == best
    assert run.steps[-1]["step"] == min(30, best + 6)


def test_a_stop_in_between_changes_nothing(new_run, data, watched):
    run = new_run("sft", data=data, learning_rate=0.01, **SETTINGS)
    run.here_until(lambda run: len(looks(run)) >= 3)
    assert run.result["reason"] == "cancelled"
    run.here()
    assert looks(run) == looks(watched)
    ours, theirs = (weights(each.folder / "model") for each in (run, watched))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


@pytest.mark.parametrize("method", ["reward", "dpo"])
def test_pairs_are_watched_too(new_run, preferences, method):
    run = new_run(method, data={"train": preferences}, epochs=0.4, validation_share=0.25).here()
    assert run.result["status"] == "ok", run.result
    assert run.result["rows"]["watched"] == 6
    assert len(looks(run)) == len({line["step"] for line in run.steps})


def test_one_prompt_cannot_be_divided(new_run, tmp_path):
    rows = [{"prompt": says("user", "Why?"), "completion": says("assistant", answer)} for answer in (GOOD, BAD)]
    data = {"train": write_parquet(tmp_path / "one.parquet", rows)}
    run = new_run("sft", data=data, validation_share=0.5).here()
    assert "there must be two at least" in run.result["error"]
