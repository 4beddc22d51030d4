"""A classifier over tags: the model stays as it is; what is plain is learned, what is chance is not, and it says so."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.tiny_model import build
from tests.training.recipes.runs import QUESTIONS, questions, says, weights, write_lines

TRAIN, HELDOUT, UNTAGGED = 80, 20, 12


def tags_of(number: int) -> list[str]:
    """ "rivers" by what is asked, "coin" by nothing that can be read."""
    planted = ["rivers"] if number % len(QUESTIONS) == 1 else ["other"]
    return planted + (["coin"] if number * 7919 % 97 % 3 == 0 else [])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    rows = [
        {
            "id": number,
            "messages": says("user", question),
            "tags": tags_of(number),
            "split": "train" if number < TRAIN else "heldout",
        }
        for number, question in enumerate(questions(TRAIN + HELDOUT))
    ]
    asked = [{"id": 1000 + n, "messages": says("user", q)} for n, q in enumerate(questions(UNTAGGED))]
    return {
        "prompts": write_lines(folder / "prompts.jsonl", rows),
        "untagged": write_lines(folder / "untagged.jsonl", asked),
    }


@pytest.fixture(scope="module")
def classified(new_run, data):
    return new_run("classify", data=data, depth=0.5).here()


def bytes_of(folder: str) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).iterdir()}


def test_a_tag_that_can_be_read_is_learned_and_one_by_chance_is_not(classified):
    assert classified.result["status"] == "ok", classified.result
    metrics = classified.result["metrics"]
    assert (metrics["prompts"], metrics["heldout"], metrics["tags"], metrics["learned"]) == (TRAIN, HELDOUT, 3, 2)
    table = {line["tag"]: line for line in metrics["by_tag"]}
    assert (table["rivers"]["prompts"], table["rivers"]["share"]) == (20, 0.25)
    assert table["rivers"]["f1"] == 1.0
    assert table["rivers"]["heldout"]["prompts"] == table["rivers"]["heldout"]["right"] == 5
    assert not table["coin"]["learned"]
    assert table["coin"]["average_precision"] < 0.6


def test_tags_are_suggested_where_they_fit_and_none_that_is_chance(classified):
    lines = classified.lines("suggestions.jsonl")
    assert {(line["id"], line["tag"]) for line in lines} == {
        (1000 + n, "rivers" if n % len(QUESTIONS) == 1 else "other") for n in range(UNTAGGED)
    }
    assert all(0.5 < line["confidence"] <= 1 for line in lines)


def test_the_model_itself_is_not_touched(new_run, data, model):
    before = bytes_of(model)
    run = new_run("classify", data=data, tags="rivers, other").here()
    assert bytes_of(model) == before
    assert {path.name for path in (run.folder / "model").iterdir()} == {"head.json", "head.safetensors"}
    assert weights(run.folder / "model")["weight"].shape == (2, 64)
    assert [line["tag"] for line in run.result["metrics"]["by_tag"]] == ["other", "rivers"]


def test_asked_later_it_suggests_the_same(classified, new_run, data):
    later = new_run("suggest", data={"untagged": data["untagged"]}, adapter=str(classified.folder / "model")).here()
    assert later.result["status"] == "ok", later.result
    assert later.lines("suggestions.jsonl") == classified.lines("suggestions.jsonl")
    assert later.result["metrics"] == {"looked_at": UNTAGGED, "suggestions": UNTAGGED}


def test_what_cannot_be_learned_or_was_not_is_refused(new_run, data, tmp_path):
    too_few = new_run("classify", data=data, fewest=90).here().result
    assert (too_few["reason"], "No tag is on enough" in too_few["error"]) == ("bad_data", True)
    alike = new_run("classify", data=data, tags="other").here().result
    assert "Nearly all" in alike["error"]
    stranger = new_run("suggest", data={"untagged": data["untagged"]}).here().result
    assert "knows no tags" in stranger["error"]
    nothing = {"untagged": write_lines(tmp_path / "none.jsonl", [])}
    broken = {"untagged": write_lines(tmp_path / "broken.jsonl", [{"id": 1}])}
    assert "knows no tags" in new_run("suggest", data=nothing).here().result["error"]
    assert "Line 1" in new_run("classify", data={**data, **broken}).here().result["error"]


def test_what_the_chat_template_refuses_is_read_by_its_words(new_run, data, tmp_path):
    strict = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    base = build(tmp_path / "base", chat_template=strict + "{{ m['content'] }}{% endfor %}")
    rows = [json.loads(line) for line in Path(data["prompts"]).read_text().splitlines()]
    for row in rows[::2]:
        row["messages"] = says("system", "Be brief.") + row["messages"]
    given = {**data, "prompts": write_lines(tmp_path / "prompts.jsonl", rows)}
    run = new_run("classify", data=given, base=base).here()
    assert run.result["status"] == "ok", run.result
    assert run.result["rows"]["kept"] == TRAIN + HELDOUT
