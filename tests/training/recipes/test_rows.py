"""Which examples are learned from is known, counted and said before the run starts."""

import pytest

from tests.tiny_model import build
from tests.training.recipes.runs import BAD, GOOD, Run, says, write_lines, write_parquet


def bad_data(run: Run, reason: str = "bad_data") -> str:
    assert run.result["status"] == "failed"
    assert run.result["reason"] == reason
    assert run.result["error"].endswith(".")
    return run.result["error"]


def test_demonstrations_kept_dropped_and_cut(new_run, tmp_path):
    rows = [
        {"prompt": says("user", "Why?"), "completion": says("assistant", GOOD)},
        {"prompt": says("user", "Why?"), "completion": says("assistant", GOOD * 9)},
        {"prompt": says("user", "Why? " * 60), "completion": says("assistant", GOOD)},
        {"prompt": says("user", "Why?"), "completion": says("assistant", "  \n")},
        {"prompt": [], "completion": says("assistant", GOOD)},
    ]
    data = {"train": write_parquet(tmp_path / "rows.parquet", rows)}
    run = new_run("sft", data=data, max_length=100, epochs=1).here()
    counts = run.result["rows"]
    assert run.event("rows") == {"event": "rows", **counts}
    assert (counts["read"], counts["kept"], counts["dropped"], counts["cut"]) == (5, 2, 3, 1)
    assert counts["why_dropped"] == {"prompt too long": 1, "empty answer": 1, "not a conversation": 1}
    assert counts["longest_tokens"] > 100


def test_pairs_that_say_nothing_are_dropped(new_run, tmp_path):
    rows = [
        {"prompt": says("user", "Why?"), "chosen": says("assistant", chosen), "rejected": says("assistant", rejected)}
        for chosen, rejected in ((GOOD, BAD), (GOOD, GOOD + " "), ("", BAD), (GOOD, " "))
    ]
    data = {"train": write_parquet(tmp_path / "rows.parquet", rows)}
    counts = new_run("dpo", data=data, epochs=1).here().result["rows"]
    assert (counts["read"], counts["kept"], counts["dropped"]) == (4, 1, 3)
    assert counts["why_dropped"] == {"same answer twice": 1, "empty answer": 2}


def test_no_examples_at_all(new_run, tmp_path):
    import pyarrow

    message = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    empty = pyarrow.schema([("prompt", message), ("completion", message)]).empty_table()
    pyarrow.parquet.write_table(empty, tmp_path / "empty.parquet")
    run = new_run("sft", data={"train": str(tmp_path / "empty.parquet")}).here()
    assert "There are no examples" in bad_data(run)
    assert run.event("rows")["kept"] == 0


def test_no_example_that_can_be_used(new_run, tmp_path):
    rows = [{"prompt": says("user", "Why?"), "chosen": says("assistant", GOOD), "rejected": says("assistant", GOOD)}]
    run = new_run("reward", data={"train": write_parquet(tmp_path / "rows.parquet", rows)}).here()
    assert "1 same answer twice" in bad_data(run)


def test_the_wrong_kind_of_snapshot(new_run, demonstrations):
    assert "no column chosen, rejected" in bad_data(new_run("dpo", data={"train": demonstrations}).here())


@pytest.mark.parametrize("margin", [None, float("nan")])
def test_a_missing_margin(new_run, tmp_path, margin):
    row = {"prompt": says("user", "Why?"), "chosen": says("assistant", GOOD), "rejected": says("assistant", BAD)}
    rows = [{**row, "margin": 1.0}, {**row, "margin": margin}]
    run = new_run("reward", data={"train": write_parquet(tmp_path / "rows.parquet", rows)}, use_margin=True).here()
    assert "Example 2 has no margin" in bad_data(run)


def test_a_file_that_is_gone_or_no_parquet(new_run, tmp_path):
    assert "not there any more" in bad_data(new_run("sft", data={"train": str(tmp_path / "gone")}).here())
    (tmp_path / "text.parquet").write_text("no parquet")
    assert "cannot be read" in bad_data(new_run("sft", data={"train": str(tmp_path / "text.parquet")}).here())
    assert '"train"' in bad_data(new_run("sft", data={}).here())


def test_a_model_without_a_chat_template(new_run, demonstrations, tmp_path):
    base = build(tmp_path / "base", chat_template=None)
    assert "no chat template" in bad_data(new_run("sft", data={"train": demonstrations}, base=base).here())


def test_a_model_that_is_gone(new_run, demonstrations, tmp_path):
    run = new_run("sft", data={"train": demonstrations}, base=str(tmp_path)).here()
    assert "base model" in bad_data(run, "missing_base")
    run = new_run("sft", data={"train": demonstrations}, adapter=str(tmp_path)).here()
    assert "adapter" in bad_data(run, "missing_base")


def test_rows_the_chat_template_refuses(new_run, demonstrations, tmp_path):
    strict = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('a system message first') }}{% endif %}x"
    base = build(tmp_path / "base", chat_template=strict)
    run = new_run("sft", data={"train": demonstrations}, base=base).here()
    assert "40 refused by the chat template" in bad_data(run)


def test_prompts_for_answers_without_a_model(new_run, tmp_path):
    prompts = write_lines(tmp_path / "prompts.jsonl", [{"id": 1, "messages": says("user", "Why?")}])
    run = new_run("generate", data={"prompts": prompts}, base="/nowhere").here()
    assert "base model" in bad_data(run, "missing_base")
