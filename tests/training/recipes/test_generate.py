"""Answers: the library's own when greedy, fair when drawn, the same whether or not the run was stopped."""

import signal

import pytest

from tests.training.recipes.runs import Run, questions, says, write_lines

SETTINGS = {"samples_per_prompt": 3, "max_new_tokens": 24, "batch_size": 6, "temperature": 1.0}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> str:
    rows = [
        {"id": number, "messages": says("user", question * (1 + number % 3))}
        for number, question in enumerate(questions(60))
    ]
    return write_lines(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows)


@pytest.fixture(scope="module")
def runs(new_run, side_by_side, prompts) -> dict[str, Run]:
    def stopped(number: int) -> Run:
        run = new_run("generate", data={"prompts": prompts}, **SETTINGS)
        run.stopped_when(lambda run: len(run.steps) >= 2, number)
        with (run.folder / "responses.jsonl").open("a") as file:
            file.write('{"prompt_id": 1, "sam')
        return run

    undisturbed = side_by_side.submit(new_run("generate", data={"prompts": prompts}, **SETTINGS).finish)
    killed = side_by_side.submit(stopped, signal.SIGKILL)
    return {"undisturbed": undisturbed.result(), "killed": killed.result().here()}


def test_every_prompt_gets_its_answers(runs):
    run = runs["undisturbed"]
    assert run.exit_code == 0
    rows = run.lines("responses.jsonl")
    assert sorted((row["prompt_id"], row["sample"]) for row in rows) == [(p, s) for p in range(60) for s in range(3)]
    assert all(row["text"] == row["text"].strip() for row in rows)
    assert all(row["tokens"] <= 24 for row in rows)
    assert all(row["tokens"] == 24 for row in rows if not row["finished"])
    assert any(row["finished"] for row in rows)
    assert len({row["text"] for row in rows}) > 90
    assert run.result["metrics"]["responses"] == 180
    assert [line["step"] for line in run.steps] == list(range(1, 31))


def test_a_run_that_was_killed_gives_the_same_answers(runs):
    assert runs["killed"].result["status"] == "ok"
    assert runs["killed"].lines("responses.jsonl") == runs["undisturbed"].lines("responses.jsonl")
    assert [line["step"] for line in runs["killed"].steps] == list(range(1, 31))


def test_greedy_answers_are_the_librarys_own(model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.recipes.sampling import Drawing, draw_answers

    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    encoded = [tokenizer(question * (1 + number))["input_ids"] for number, question in enumerate(questions(5))]
    ours = draw_answers(
        policy,
        encoded,
        each=1,
        longest=20,
        ends=[tokenizer.eos_token_id],
        pad=tokenizer.pad_token_id,
        drawing=Drawing(temperature=0, top_p=1, seed=0),
    )
    for ids, (answer,) in zip(encoded, ours, strict=True):
        whole = policy.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False)[0, len(ids) :].tolist()
        assert answer.tokens == [token for token in whole if token != tokenizer.eos_token_id]
        assert answer.finished == (tokenizer.eos_token_id in whole)


def test_an_answer_does_not_depend_on_when_the_others_end(model):
    """Finished answers leave the batch; drawn again with an end that nobody reaches, the start is the same."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.recipes.sampling import Drawing, draw_answers

    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    encoded = [tokenizer(question * (1 + number))["input_ids"] for number, question in enumerate(questions(5))]
    everything = {"each": 4, "longest": 20, "pad": 0, "drawing": Drawing(1.0, 0.9, seed=3)}
    some_end = list(range(3, 40))
    ending = draw_answers(policy, encoded, ends=some_end, **everything)
    endless = draw_answers(policy, encoded, ends=[], **everything)
    assert any(answer.finished for answers in ending for answer in answers)
    for answers, longer in zip(ending, endless, strict=True):
        for answer, other in zip(answers, longer, strict=True):
            assert answer.tokens == other.tokens[: len(answer.tokens)]
            assert not answer.finished or other.tokens[len(answer.tokens)] in some_end


def test_tokens_are_drawn_with_their_probability_and_only_from_the_nucleus():
    """p = 0.5, 0.25, 0.15, 0.1: with top-p 0.8 the last is never drawn, the others as 50 : 25 : 15."""
    import torch

    from training.recipes.sampling import Drawing, _draw

    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log().repeat(9000, 1)
    numbers = torch.rand(9000, generator=torch.Generator().manual_seed(1))
    drawn = torch.bincount(_draw(logits, numbers, Drawing(1.0, 0.8, 0)), minlength=4).tolist()
    assert drawn[3] == 0
    assert drawn[:3] == pytest.approx([5000, 2500, 1500], rel=0.05)
    everything = torch.bincount(_draw(logits, numbers, Drawing(1.0, 1.0, 0)), minlength=4).tolist()
    assert everything == pytest.approx([4500, 2250, 1350, 900], rel=0.1)
    sharper = torch.bincount(_draw(logits, numbers, Drawing(0.5, 1.0, 0)), minlength=4) / 9000
    assert sharper[0].item() == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0225 + 0.01), rel=0.05)


def test_a_flat_distribution_is_sorted_whole(monkeypatch):
    import torch

    from training.recipes import sampling

    logits = torch.zeros(2000, 50)
    numbers = torch.rand(2000, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(sampling, "NUCLEUS", 4)
    drawn = sampling._draw(logits, numbers, sampling.Drawing(1.0, 0.9, 0))
    assert len(drawn.unique()) == 45


def test_the_adapter_speaks(new_run, prompts, demonstrations):
    """Taught one answer, the model gives it."""
    from tests.training.recipes.runs import GOOD

    taught = new_run("sft", data={"train": demonstrations}, epochs=6, learning_rate=1e-2).here()
    run = new_run(
        "generate",
        data={"prompts": prompts},
        adapter=str(taught.folder / "model"),
        samples_per_prompt=1,
        temperature=0,
        max_new_tokens=40,
    ).here()
    rows = run.lines("responses.jsonl")
    assert sum(row["text"] == GOOD and row["finished"] for row in rows) > len(rows) / 2


def test_what_cannot_be_answered_is_said_first(new_run, tmp_path):
    long = [{"id": 1, "messages": says("user", "Why? " * 400)}]
    run = new_run("generate", data={"prompts": write_lines(tmp_path / "long.jsonl", long)}).here()
    assert run.result["reason"] == "bad_data"
    assert "room for an answer" in run.result["error"]
    twice = [{"id": 1, "messages": says("user", "Why?")}] * 2
    run = new_run("generate", data={"prompts": write_lines(tmp_path / "twice.jsonl", twice)}).here()
    assert "twice" in run.result["error"]
    run = new_run("generate", data={"prompts": write_lines(tmp_path / "none.jsonl", [])}).here()
    assert "no prompts" in run.result["error"]
    run = new_run("generate", data={"prompts": write_lines(tmp_path / "odd.jsonl", [{"id": 1}])}).here()
    assert "Line 1" in run.result["error"]


def test_an_answer_ends_where_the_chat_template_says(model):
    """A model whose own end of text is another token is still stopped at the end of its turn."""
    from transformers import AutoTokenizer

    from training.recipes.models import end_of_turn

    tokenizer = AutoTokenizer.from_pretrained(model)
    end = tokenizer.eos_token_id
    tokenizer.eos_token = "<|pad|>"
    assert end in end_of_turn(tokenizer)
