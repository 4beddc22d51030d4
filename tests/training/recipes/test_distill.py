"""The pupil comes to say what its teacher says, without a word of the teacher's in its data."""

import json

import pytest

from tests.tiny_model import build
from tests.training.recipes.runs import Run, questions, says, weights, write_lines

SETTINGS = {"batch_size": 8, "max_new_tokens": 12, "learning_rate": 1e-2, "warmup": 0.0, "divergence": 0.5}


@pytest.fixture(scope="module")
def teacher(new_run, demonstrations) -> str:
    run = new_run("sft", data={"train": demonstrations}, epochs=4, learning_rate=1e-2).here()
    return str(run.folder / "model")


@pytest.fixture(scope="module")
def taught(new_run, model, teacher, tmp_path_factory):
    rows = [{"id": number, "messages": says("user", question)} for number, question in enumerate(questions(32))]
    prompts = write_lines(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows)

    def make(by: dict[str, str] | None = None, **more) -> Run:
        run = new_run("distill", data={"prompts": prompts}, adapter=more.pop("adapter", None), **{**SETTINGS, **more})
        spec = json.loads((run.folder / "spec.json").read_text())
        spec["teacher"] = by or {"base": model, "adapter": teacher}
        (run.folder / "spec.json").write_text(json.dumps(spec))
        return run

    return make


@pytest.fixture(scope="module")
def run(taught) -> Run:
    return taught(epochs=3).here()


def test_the_divergence_falls(run):
    assert run.result["status"] == "ok"
    assert len(run.steps) == run.steps[-1]["total"] == 12
    assert sum(run.losses[-3:]) < 0.8 * sum(run.losses[:3])
    assert run.result["rows"]["kept"] == 32


def test_the_loss_of_a_model_that_learns_from_itself_is_zero(taught, model):
    """The divergence of a distribution from itself is 0: a new adapter starts as its base."""
    run = taught({"base": model}, epochs=0.25).here()
    assert run.losses[0] == pytest.approx(0, abs=1e-5)


def test_an_adapter_is_continued(taught, run):
    start = run.folder / "model"
    more = taught(adapter=str(start), epochs=0.5).here()
    before, after = weights(start), weights(more.folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)


def test_a_teacher_with_other_tokens_is_refused(taught, tmp_path):
    from transformers import AutoTokenizer

    other = build(tmp_path / "other")
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["ꙮ"])
    tokenizer.save_pretrained(other)
    run = taught({"base": other}).here()
    assert run.result["reason"] == "bad_data"
    assert "different tokens" in run.result["error"]
