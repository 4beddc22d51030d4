"""A model and the base it came from are asked suites of questions by the evaluation harness."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.recipes.runs import BAD, GOOD, QUESTIONS, Run

SUITE = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Two suites: in one the second of two answers is right to every question, in the other the first."""
    folder = tmp_path_factory.mktemp("suites")
    for name, answer in (("seconds", 1), ("firsts", 0)):
        rows = [{"question": asked, "choices": [BAD, GOOD], "answer": answer} for asked in QUESTIONS]
        questions = folder / f"{name}.jsonl"
        questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(SUITE.format(name=name, path=questions))
    return folder


@pytest.fixture
def asked(new_run, own, monkeypatch, tmp_path):
    monkeypatch.setenv("TOUCHSTONE_SUITES", str(own))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))

    def ask(tasks: str, **more: Any) -> Run:
        return new_run("suite", tasks=tasks, **{"data": {}, **more})

    return ask


def lines(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    rows = [json.loads(line) for line in (run.folder / "scores.jsonl").read_text().splitlines()]
    return {(row["suite"], row["by"]): row["scores"] for row in rows}


def test_each_question_counts_for_the_model_and_for_its_base(asked, new_run, model, demonstrations):
    taught = new_run("sft", data={"train": demonstrations}, epochs=2, learning_rate=3e-3).here()
    adapter = str(taught.folder / "model")
    run = asked("seconds, firsts", adapter=adapter, data={"reference": model}, most=3, chat=True).here()
    assert run.result["status"] == "ok", run.result
    found = lines(run)
    assert set(found) == {(suite, by) for suite in ("seconds", "firsts") for by in ("model", "reference")}
    for by in ("model", "reference"):
        seconds, firsts = found["seconds", by]["acc"], found["firsts", by]["acc"]
        assert list(seconds) == ["seconds 0", "seconds 1", "seconds 2"]
        assert [one + other for one, other in zip(seconds.values(), firsts.values(), strict=True)] == [1, 1, 1]
    assert set(found["seconds", "model"]["acc"].values()) == {1.0}  # it was taught to say so
    assert run.result["metrics"] == {"suites": 2, "questions": 6}


def test_what_was_asked_is_not_asked_again(asked):
    run = asked("seconds, firsts")
    before = {"suite": "seconds", "by": "model", "scores": {"acc": {"seconds 0": 0.25}}}
    (run.folder / "scores.jsonl").write_text(json.dumps(before) + "\n" + '{"suite": "firsts", "by"')
    run = run.here()
    assert lines(run)["seconds", "model"] == before["scores"]
    assert len(lines(run)["firsts", "model"]["acc"]) == len(QUESTIONS)


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ("seconds, nothing_known", "knows no suite 'nothing_known'"),
        ("{own}/seconds.yaml", "knows no suite"),
        ("humaneval", "cannot be asked here"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(asked, own, tasks, says):
    run = asked(tasks.format(own=own)).here()
    assert run.result["reason"] == "bad_data"
    assert says in run.result["error"]
