"""Lines of files for fine-tuning: what they come to, and which are refused in words."""

import json

import pytest

from annotation.text import sha256
from training import filerows

ASK = {"role": "user", "content": "Where is my parcel?"}
SAY = {"role": "assistant", "content": "On its way."}
BAD = {"role": "assistant", "content": "No idea."}
SYSTEM = {"role": "system", "content": "Be kind."}


def understood(method: str, *lines: object) -> filerows.Read:
    return filerows.read([json.dumps(line).encode() + b"\n" for line in lines], method)


def test_each_answer_that_counts_is_a_row():
    asks_again = {"role": "user", "content": "And the other?"}
    messages = [SYSTEM, ASK, {**BAD, "weight": 0}, asks_again, {**SAY, "weight": 1}]
    found = understood("supervised", {"messages": messages})
    ((row,),) = found.rows
    assert row["prompt"] == [SYSTEM, ASK, BAD, asks_again]
    assert row["completion"] == [SAY]
    assert row["prompt_sha256"] == sha256(row["prompt"])


def test_parts_of_text_are_one_text_and_a_developer_is_the_system():
    parts = [{"type": "text", "text": "Where is "}, {"type": "text", "text": "my parcel?"}]
    found = understood(
        "supervised", {"messages": [{**SYSTEM, "role": "developer"}, {"role": "user", "content": parts}, SAY]}
    )
    assert found.rows[0][0]["prompt"] == [SYSTEM, ASK]


def test_a_preference_is_a_pair():
    line = {"input": {"messages": [ASK], "tools": []}, "preferred_output": [SAY], "non_preferred_output": [BAD]}
    ((row,),) = understood("dpo", line).rows
    assert (row["chosen"], row["rejected"], row["margin"]) == ([SAY], [BAD], 1.0)


def test_a_byte_order_mark_and_empty_lines_are_no_lines():
    line = json.dumps({"messages": [ASK, SAY]}).encode()
    found = filerows.read([b"\xef\xbb\xbf" + line + b"\r\n", b"\n", b" \r\n", line], "supervised")
    assert (found.lines, len(found.rows), found.problems) == (2, 2, [])


@pytest.mark.parametrize(
    ("method", "line", "why"),
    [
        ("supervised", [ASK], "not a JSON object"),
        ("supervised", {"prompt": "a", "completion": "b"}, '"messages" must be a list'),
        ("supervised", {"messages": [ASK]}, "must be by the assistant"),
        ("supervised", {"messages": [SAY]}, "stands after what the user says"),
        ("supervised", {"messages": [ASK, {**SAY, "weight": 0.5}]}, '"weight" is 0 or 1'),
        ("supervised", {"messages": [ASK, {**SAY, "weight": 0}]}, "every weight is 0"),
        ("supervised", {"messages": [ASK, {**SAY, "content": " "}]}, "the answer is empty"),
        ("supervised", {"messages": [ASK, {**SAY, "content": "a\0b"}]}, "NUL"),
        ("supervised", {"messages": [ASK, {"role": "tool", "content": "5"}, SAY]}, '"role" must be'),
        ("supervised", {"messages": [ASK, SYSTEM, SAY]}, "may only come first"),
        ("supervised", {"messages": [ASK, SAY], "tools": [{}]}, "tools are not learnt"),
        ("supervised", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, SAY]}, "only text"),
        ("dpo", {"messages": [ASK, SAY]}, 'needs "input"'),
        ("dpo", {"input": {"messages": [ASK, SAY]}}, "must be by the user"),
        ("dpo", {"input": {"messages": [ASK]}, "preferred_output": [SAY]}, '"non_preferred_output" must be a list'),
        (
            "dpo",
            {"input": {"messages": [ASK]}, "preferred_output": [SAY], "non_preferred_output": [SAY]},
            "both answers are the same",
        ),
    ],
)
def test_what_cannot_be_learnt_is_named(method, line, why):
    found = understood(method, {"messages": [ASK, SAY]} if method == "supervised" else line, line)
    number, said = found.problems[-1]
    assert number == 2
    assert why in said


@pytest.mark.parametrize(("raw", "why"), [(b"{", "not JSON"), (b'"\xff"', "not UTF-8"), (b"[" * 9000, "not JSON")])
def test_what_is_no_json_is_named(raw, why):
    assert why in filerows.read([raw], "supervised").problems[0][1]


def test_reading_ends_where_nothing_fits():
    found = filerows.read([b"{}\n"] * 1000, "supervised")
    assert len(found.problems) == filerows.MOST_PROBLEMS
    assert found.lines == filerows.MOST_PROBLEMS
