"""The score of a reward model rises; the run stops before it is pushed too far, and leaves one plain adapter."""

import json

import pytest

from tests.training.recipes.runs import Run, questions, says, weights, write_lines

SETTINGS = {
    "answers_per_prompt": 4,
    "batch_size": 16,
    "max_new_tokens": 12,
    "learning_rate": 1e-2,
    "warmup": 0.0,
    "schedule": "constant_with_warmup",
    "epochs": 2,
}


@pytest.fixture(scope="module")
def judge(new_run, preferences) -> str:
    run = new_run("reward", data={"train": preferences}, epochs=2, learning_rate=3e-3, batch_size=8).here()
    return str(run.folder / "model")


@pytest.fixture(scope="module")
def judged(new_run, model, judge, tmp_path_factory):
    """A run on 24 prompts that learns from the judge's score."""
    rows = [{"id": number, "messages": says("user", question)} for number, question in enumerate(questions(24))]
    prompts = write_lines(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows)

    def make(**more) -> Run:
        run = new_run("rlhf", data={"prompts": prompts}, adapter=more.pop("adapter", None), **{**SETTINGS, **more})
        spec = json.loads((run.folder / "spec.json").read_text())
        (run.folder / "spec.json").write_text(json.dumps({**spec, "teacher": {"base": model, "adapter": judge}}))
        return run

    return make


@pytest.fixture(scope="module")
def run(judged) -> Run:
    return judged(beta=0.001, kl_limit=10_000).here()


def test_the_score_rises(run):
    figures = run.result["metrics"]
    assert run.result["status"] == "ok"
    assert figures["reward_last"] > figures["reward_first"] + 0.3
    assert figures["kl"] > 0
    assert figures["over_optimised"] == 0
    assert run.steps[0]["kl_per_token"] == pytest.approx(0, abs=1e-5)
    assert len(run.steps) == run.steps[-1]["total"] == 12
    assert run.result["rows"]["kept"] == 24


def test_the_judges_score_is_the_one_that_score_gives(new_run, model, judge, tmp_path):
    from training.recipes import models, rows
    from training.recipes.contract import ModelSpec

    tokenizer = models.load_tokenizer(model)
    scorer = models.load_judge(ModelSpec(base=model, adapter=judge), tokenizer.pad_token_id)
    talk = rows.tokens(tokenizer, says("user", "Why?") + says("assistant", "So."))
    answers = write_lines(tmp_path / "a.jsonl", [{"id": 1, "messages": says("user", "Why?"), "text": "So."}])
    (scored,) = new_run("score", data={"answers": answers}, adapter=judge).here().lines("scores.jsonl")
    assert models.scores(scorer, [talk], tokenizer.pad_token_id) == [pytest.approx(scored["score"], abs=1e-5)]


def test_it_stops_before_it_is_pushed_too_far_and_keeps_what_it_has(judged, run):
    stopped = judged(beta=0.001, kl_limit=0.05).here()
    assert stopped.result["status"] == "ok"
    assert 5 <= len(stopped.steps) < 12
    assert stopped.result["metrics"]["over_optimised"] == 1
    assert stopped.result["metrics"]["kl"] > 0.05
    assert weights(stopped.folder / "model").keys() == weights(run.folder / "model").keys()


def test_an_adapter_is_continued_by_grpo_and_stays_one(judged, run):
    start = run.folder / "model"
    more = judged(adapter=str(start), algorithm="grpo", epochs=0.5).here()
    assert more.result["status"] == "ok"
    assert more.steps[0]["kl_per_token"] == pytest.approx(0, abs=1e-5)  # its reference is the adapter as it was
    before, after = weights(start), weights(more.folder / "model")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    assert not [path.name for path in (more.folder / "model").iterdir() if path.is_dir()]


def test_without_a_reward_model_it_says_so(new_run, judged, model):
    run = judged()
    spec = json.loads((run.folder / "spec.json").read_text())
    for judge, words in ((None, "No reward model"), ({"base": model}, "choose a reward model")):
        (run.folder / "spec.json").write_text(json.dumps({**spec, "teacher": judge}))
        assert run.here().result["reason"] == "bad_data"
        assert words in run.result["error"]
