"""Log probabilities are those of the model, by hand; the reference is the model before; nothing depends on a batch."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.recipes.runs import BAD, GOOD, Run, questions, says, write_lines

TEXTS = [
    {"id": f"{number} {name}", "messages": says("user", question), "text": text}
    for number, question in enumerate(questions(5))
    for name, text in (("good", GOOD), ("bad", BAD))
] + [{"id": "plain", "messages": [], "text": "The Danube and the Rhine are rivers in Europe."}]
PROMPTS = [{"id": number, "messages": says("user", question)} for number, question in enumerate(questions(3))]
SHORT = {"max_new_tokens": 8}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("texts")
    return {"texts": write_lines(folder / "t.jsonl", TEXTS), "prompts": write_lines(folder / "p.jsonl", PROMPTS)}


@pytest.fixture(scope="module")
def tuned(new_run, demonstrations) -> str:
    """An adapter that has learned to give the good answer."""
    run = new_run("sft", data={"train": demonstrations}, epochs=1, learning_rate=3e-3, batch_size=8).here()
    return str(run.folder / "model")


@pytest.fixture(scope="module")
def measured(new_run, files, tuned) -> Run:
    return new_run("measure", data=files, adapter=tuned, batch_size=4, **SHORT).finish()


def measures(run: Run) -> dict[str, dict]:
    return {row["id"]: row for row in run.lines("measures.jsonl")}


def by_hand(folder: str, text: dict) -> tuple[int, float]:
    """Each token's log probability, one text at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    if text["messages"]:
        before = tokenizer.apply_chat_template(text["messages"], add_generation_prompt=True, return_dict=False)
        whole = tokenizer.apply_chat_template([*text["messages"], *says("assistant", text["text"])], return_dict=False)
    else:
        whole = tokenizer(text["text"], add_special_tokens=False)["input_ids"]
        before = whole[:1]
    with torch.inference_mode():
        told = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    found = [float(told[place - 1, whole[place]]) for place in range(len(before), len(whole))]
    return len(found), sum(found)


def test_the_process_ends_well_and_says_what_it_read(measured):
    assert measured.exit_code == 0, measured.log
    assert measured.result["rows"]["kept"] == len(TEXTS) == measured.result["metrics"]["texts"]
    assert measured.steps[-1]["step"] == measured.steps[-1]["total"]
    assert set(measures(measured)) == {text["id"] for text in TEXTS}


@pytest.mark.parametrize("name", ["0 good", "3 bad", "plain"])
def test_the_reference_is_the_base_model_by_hand(measured, model, name):
    tokens, expected = by_hand(model, next(text for text in TEXTS if text["id"] == name))
    row = measures(measured)[name]
    assert row["tokens"] == tokens
    assert row["reference"] == pytest.approx(expected, abs=1e-3)


def test_what_was_learned_shows(measured):
    """The good answer became likelier, and more so than the bad one."""
    gains = {name: row["log_prob"] - row["reference"] for name, row in measures(measured).items()}
    for number in range(5):
        assert gains[f"{number} good"] > 1
        assert gains[f"{number} good"] > gains[f"{number} bad"]


def test_no_text_depends_on_those_beside_it(new_run, files, tuned, measured):
    alone = measures(new_run("measure", data={"texts": files["texts"]}, adapter=tuned, batch_size=1).here())
    for name, row in measures(measured).items():
        assert alone[name]["log_prob"] == pytest.approx(row["log_prob"], abs=1e-3)


def test_both_answer_and_the_distance_is_of_the_model_s_own(measured):
    rows = measured.lines("answers.jsonl")
    assert sorted((row["id"], row["by"]) for row in rows) == [
        (number, by) for number in range(3) for by in ("model", "reference")
    ]
    for row in rows:
        assert row["tokens"] <= 8
        assert ("kl" in row) == (row["by"] == "model")
        assert row.get("kl", 1.0) > 0


def test_a_model_without_an_adapter_is_its_own_reference(new_run, files):
    run = new_run("measure", data=files, **SHORT).here()
    for row in measures(run).values():
        assert row["log_prob"] == row["reference"]
    answers = run.lines("answers.jsonl")
    assert [row["kl"] for row in answers if row["by"] == "model"] == pytest.approx([0.0] * 3, abs=1e-5)
    texts = {by: [row["text"] for row in answers if row["by"] == by] for by in ("model", "reference")}
    assert texts["model"] == texts["reference"]


def test_another_folder_can_be_the_reference(new_run, files, model, tuned, measured, tmp_path):
    """Weights that were trained whole, beside the base: the same as the adapter beside it."""
    from peft import PeftModel

    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), tuned).merge_and_unload()
    merged.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(model).save_pretrained(tmp_path)
    data = {"texts": files["texts"], "reference": model}
    whole = measures(new_run("measure", data=data, base=str(tmp_path)).here())
    for name, row in measures(measured).items():
        assert whole[name]["log_prob"] == pytest.approx(row["log_prob"], abs=1e-2)
        assert whole[name]["reference"] == pytest.approx(row["reference"], abs=1e-3)


def test_a_stopped_run_goes_on_and_ends_the_same(new_run, files, tuned, measured):
    run = new_run("measure", data=files, adapter=tuned, batch_size=4, **SHORT)
    run.here_until(lambda run: len(run.lines("measures.jsonl")) >= 4)
    run.here()
    assert run.result["status"] == "ok"
    for name, row in measures(measured).items():
        assert math.isclose(measures(run)[name]["log_prob"], row["log_prob"], abs_tol=1e-3)
    assert len(run.lines("measures.jsonl")) == len(TEXTS)
    assert len(run.lines("answers.jsonl")) == 6


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "There are no answers to score"),
        ([{"id": 1, "messages": [], "text": "a"}], "too short to measure"),
    ],
)
def test_what_cannot_be_measured_is_said(new_run, tmp_path, texts, words):
    run = new_run("measure", data={"texts": write_lines(tmp_path / "t.jsonl", texts)}).here()
    assert run.result["reason"] == "bad_data"
    assert words in run.result["error"]
