"""Features: the states of the model itself, of the answer alone, the same in any company and in any run."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import _states
from tests.training.recipes.runs import Run, questions, says, write_lines
from training.methods.answers import FEATURES_WIDTH
from training.recipes import features
from training.recipes.contract import perform

ANSWERS = ["The Danube.", "I cannot say, it depends on many things, and that is all I know of it.", "Bees!"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> str:
    rows = [
        {"id": 3 * number + n, "messages": says("user", question), "text": text}
        for number, question in enumerate(questions(4))
        for n, text in enumerate(ANSWERS)
    ]
    return write_lines(tmp_path_factory.mktemp("answers") / "answers.jsonl", rows)


@pytest.fixture(scope="module")
def read(new_run, answers) -> Run:
    return new_run("features", data={"answers": answers}, batch_size=5).here()


def vectors(run: Run) -> dict[int, list[float]]:
    return {row["id"]: row["vector"] for row in run.lines("features.jsonl")}


def test_every_answer_gets_one_vector_of_the_width_that_is_stored(read):
    assert read.result["status"] == "ok"
    found = vectors(read)
    assert sorted(found) == list(range(12))
    assert {len(vector) for vector in found.values()} == {FEATURES_WIDTH}
    assert read.result["rows"]["kept"] == 12
    assert read.result["rows"]["cut"] == 0


def test_a_vector_does_not_depend_on_the_answers_beside_it(new_run, read, answers):
    alone = new_run("features", data={"answers": answers}, batch_size=1).here()
    for name, vector in vectors(alone).items():
        assert vector == pytest.approx(vectors(read)[name], abs=1e-4)


def test_they_are_the_models_states_averaged_over_the_answer(read, model):
    """By hand, for one answer: no padding, all layers run, one token after the other."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.recipes import pooling

    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    question = says("user", questions(1)[0])
    before = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True)["input_ids"]
    whole = tokenizer.apply_chat_template(question + says("assistant", ANSWERS[0]), return_dict=True)["input_ids"]
    with torch.inference_mode():
        states = policy(torch.tensor([whole]), output_hidden_states=True).hidden_states
    of_answer = states[1][0, len(before) :].numpy()  # of two layers, the first is at two fifths and at two thirds
    normalised = [state / np.sqrt((state**2).mean() + 1e-6) for state in of_answer]
    mean = np.mean(normalised, axis=0)[None]
    by_hand = pooling.projected(np.concatenate([mean, mean], axis=1))[0]
    assert vectors(read)[0] == pytest.approx(by_hand.tolist(), abs=1e-4)


def test_distances_survive_the_projection():
    from training.recipes import pooling

    means = np.random.default_rng(3).normal(size=(20, 2 * 576))
    there, here = (
        np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(20, 1)] for x in (means, pooling.projected(means))
    )
    assert np.abs(here / there - 1).max() < 0.25


def test_features_go_on_where_they_were(new_run, read, answers):
    run = new_run("features", data={"answers": answers}, batch_size=5)
    lines = (read.folder / "features.jsonl").read_text().split("\n")
    (run.folder / "features.jsonl").write_text("\n".join(lines[:7]) + '\n{"id": 3, "vec')
    run.here()
    assert [line["total"] for line in run.steps] == [1]
    assert vectors(run) == {name: pytest.approx(vector, abs=1e-4) for name, vector in vectors(read).items()}


def test_only_the_end_of_what_is_too_long_is_read(new_run, answers):
    run = new_run("features", data={"answers": answers}, max_length=16).here()
    assert run.result["rows"]["cut"] == 12
    assert len(vectors(run)) == 12


def test_a_benchmarks_pool_is_read_once_and_goes_on_where_it_ended(model, tmp_path):
    asked = []

    def here(work, progress):
        asked.append(sorted(json.loads(line)["text"] for line in (work / "answers.jsonl").read_text().splitlines()))
        assert perform("features", features.run, work)["status"] == "ok"
        assert str(progress).startswith(f"{len(asked[-1])} of {len(asked[-1])} answers read, ")

    pool = [("Which river?", text) for text in ANSWERS]
    first, speed = _states.read(pool, model=Path(model), folder=tmp_path, run=here)
    assert first.shape == (3, FEATURES_WIDTH)
    assert speed > 0
    (work,) = tmp_path.iterdir()
    lines = (work / "features.jsonl").read_text().splitlines(keepends=True)
    (work / "features.jsonl").write_text(lines[0] + lines[1][:20])  # it was killed while it wrote the second
    kept = json.loads(lines[0])["id"]
    again, _ = _states.read([*pool, pool[0], ("Which?", "New.")], model=Path(model), folder=tmp_path, run=here)
    assert again[:3] == pytest.approx(first, abs=1e-4)
    assert (again[3] == again[0]).all()
    assert asked[1] == sorted(["New.", *(text for prompt, text in pool if _states._name(prompt, text) != kept)])
    assert _states.read(pool, model=Path(model), folder=tmp_path)[1] is None  # nothing is left to read
