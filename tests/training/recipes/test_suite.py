"""A model and the base it came from are asked suites of questions by the evaluation harness."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.recipes.runs import BAD, GOOD, QUESTIONS, Run

CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}, cache_dir: {cache}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}, {{metric: brier_score}}]
{more}
"""
WRITING = """\
task: writing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}, cache_dir: {cache}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "Never."
generation_kwargs: {{until: ["."], max_gen_toks: 4, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
filter_list:
  - {{name: strict, filter: [{{function: take_first}}]}}
  - {{name: loose, filter: [{{function: lowercase}}, {{function: take_first}}]}}
"""
TEXTS = """\
task: texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}, cache_dir: {cache}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list: [{{metric: word_perplexity}}]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Suites of one's own. In two of them the second, and the first, of two answers is right to every question."""
    folder = tmp_path_factory.mktemp("suites")
    cache = tmp_path_factory.mktemp("cache")
    for name, answer, more in (("seconds", 1, ""), ("firsts", 0, ""), ("running", 0, "unsafe_code: true")):
        rows = [{"question": asked, "choices": [BAD, GOOD], "answer": answer} for asked in QUESTIONS]
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(CHOICE.format(name=name, path=path, cache=cache, more=more))
    (folder / "both.yaml").write_text("group: both\ntask: [seconds, firsts]\n")
    for name, text in (("writing", WRITING), ("texts", TEXTS)):
        (folder / f"{name}.yaml").write_text(text.format(path=path, cache=cache))
    broken = CHOICE.format(name="broken", path=folder / "nothing.jsonl", cache=cache, more="")
    (folder / "broken.yaml").write_text(broken)
    return folder


@pytest.fixture
def asked(new_run, own, monkeypatch):
    monkeypatch.setenv("TOUCHSTONE_SUITES", str(own))

    def ask(tasks: str, **more: Any) -> Run:
        return new_run("suite", tasks=tasks, **{"data": {}, **more})

    return ask


@pytest.fixture(scope="module")
def taught(new_run, demonstrations) -> str:
    run = new_run("sft", data={"train": demonstrations}, epochs=2, learning_rate=3e-3).here()
    return str(run.folder / "model")


def lines(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    assert run.result["status"] == "ok", run.result
    rows = [json.loads(line) for line in (run.folder / "scores.jsonl").read_text().splitlines()]
    return {(row["suite"], row["by"]): row["scores"] for row in rows}


def test_model_and_base_answer_the_same_questions_drawn_by_lot(asked, model, taught):
    run = asked("both", adapter=taught, data={"reference": model}, most=3, chat=True).here()
    own, base = (lines(run)["both", by]["acc"] for by in ("model", "reference"))
    assert own.keys() == base.keys()
    numbers = {suite: [name.split()[1] for name in own if name.startswith(suite)] for suite in ("seconds", "firsts")}
    assert len(numbers["seconds"]) == 3
    assert numbers["seconds"] == numbers["firsts"] != ["0", "1", "2"]
    for worth in (own, base):  # what is right in the one suite is wrong in the other
        assert all(worth[f"seconds {n}"] + worth[f"firsts {n}"] == 1 for n in numbers["seconds"])
    assert all(own[f"seconds {n}"] for n in numbers["seconds"])  # it was taught to say so
    assert run.result["metrics"] == {"suites": 1, "questions": 6}


def test_what_is_no_mean_over_questions_is_left_out(asked):
    found = lines(asked("seconds, writing").here())
    assert set(found["seconds", "model"]) == {"acc"}
    assert set(found["writing", "model"]) == {"exact_match, strict", "exact_match, loose"}
    alone = asked("texts").here().result
    assert alone["reason"] == "bad_data"
    assert "no measure that is a mean over questions" in alone["error"]


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
        ("seconds, broken", "broken cannot be asked here"),
        ("running", "runs what a model writes"),
        (" , ", "name one suite at least"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence_before_anything_is_asked(asked, own, tasks, says):
    run = asked(tasks.format(own=own)).here()
    assert run.result["reason"] == "bad_data"
    assert says in run.result["error"]
    assert not (run.folder / "scores.jsonl").exists()
