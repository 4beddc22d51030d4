"""Whatever a record or a file holds, it becomes a row that can be stored, or a reason; never anything else."""

import copy
import json
import random
from contextlib import suppress
from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from annotation.shapes import SHAPES, BadLine, recognise
from annotation.shapes.columns import Columns
from annotation.shapes.files import BadFile, open_file
from annotation.shapes.native import ANSWERS, FIELDS
from annotation.shapes.records import record_of
from annotation.shapes.rows import COMPARISON, DEMONSTRATION, VERDICTS
from annotation.text import sha256, sha256_of_json, why_unstorable

FORMATS = Path(__file__).parent / "formats"
FILES = {file.name: [one.record for one in open_file(file).records()] for file in sorted(FORMATS.iterdir())}
EXPORTED = {
    "kind": "comparison",
    "prompt": [{"role": "user", "content": "?"}],
    "answers": [{"id": n, "text": str(n)} for n in range(3)],
    "labels": [
        {
            "person": "p",
            "text": "b",
            "criteria": {"tone": 1},
            "votes": [{"answer": n, "position": n, "rank": n + 1, "unacceptable": False} for n in range(3)],
        }
    ],
}
DRAFTED = {**EXPORTED, "kind": "demonstration", "answers": [], "labels": [{"verdict": "edit", "text": "b"}]}
RECORDS = {"touchstone": [EXPORTED, DRAFTED, {"prompt": "?", "responses": ["a", "b"], "gold": {"ranks": [1, 2]}}]}
for records in FILES.values():
    RECORDS.setdefault(recognise(records), []).extend(records)
NAMES = sorted(
    {name.split(".")[-1] for shape in SHAPES.values() for names in shape.names.values() for name in names}
    | {
        "fields",
        "data",
        "annotations",
        "result",
        "value",
        "type",
        "selected",
        "ranker",
        "user_id",
        "status",
        "responses",
    }
    | {"role", "from", "content", "id", "kind", "labels", "votes", "rank", "answer", "verdict", "x.responses", "input"}
    | {*FIELDS, *ANSWERS, "body", "criteria", "person", "weight", "completed_by", "choices", "fields.prompt"}
)
WORDS = [
    *("user", "assistant", "system", "a", "b", "response_1", "accept", "edit", "pairwise", "left", "true", "[]", "{}"),
    *("\0", "\ud800", "\n\nHuman: ?\n\nAssistant: a", "comparison", "demonstration", '["a", "b"]', "tie", "submitted"),
]
TEXTS = st.text(max_size=8) | st.sampled_from(WORDS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
KEYS = st.sampled_from(NAMES) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
MAPPINGS = st.dictionaries(
    st.sampled_from(["prompt", "completion", "chosen", "rejected", "answer_1", "x"]), KEYS | TEXTS
)
CHANCES = st.integers(0, 2**32).map(random.Random)
LENIENT = settings(max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(LENIENT, max_examples=40)


def changed(chance, names=tuple(RECORDS)):
    """A record of one of these shapes, some of whose values are others now, or gone, or under another name."""
    record = copy.deepcopy(chance.choice([one for name in names for one in RECORDS[name]]))
    for _ in range(chance.randrange(4)):
        here = record
        while isinstance(here, dict | list) and here:
            key = chance.choice(list(here) if isinstance(here, dict) else range(len(here)))
            if isinstance(here[key], dict | list) and here[key] and chance.random() < 0.75:
                here = here[key]
                continue
            match chance.randrange(8) if isinstance(here, dict) else 7:
                case 0:
                    del here[key]
                case 1:
                    here[chance.choice(NAMES)] = here.pop(key)
                case 2:
                    here[chance.choice(NAMES)] = anything(chance)
                case _:
                    here[key] = anything(chance)
            break
    return record


def anything(chance, depth=0):
    kind = chance.random()
    if depth == 4 or kind < 0.6:
        return chance.choice([None, True, False, 0, 1, 2, -1, 3.5, nan, inf, 10**30, "", " ", "1", *WORDS])
    if kind < 0.8:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES): anything(chance, depth + 1) for _ in range(chance.randrange(5))}


def is_sound(row):
    assert row.messages[-1]["role"] == "user"
    assert {message["role"] for message in row.messages} <= {"system", "user", "assistant"}
    assert row.sha256 == sha256(row.messages)
    assert not why_unstorable([row.messages, row.answers, row.tags, row.metadata, row.language])
    assert (row.kind == COMPARISON) == (len(row.answers) > 1)
    assert row.kind in (COMPARISON, DEMONSTRATION, "")
    assert all(text == text.strip() != "" for text in row.answers)
    for said in row.said:
        assert not why_unstorable([said.rater, said.comment, said.flags, said.text or "", list(said.criteria)])
        assert all(place is None or 0 <= place < len(row.answers) for place in said.criteria.values())
        if row.kind == COMPARISON:
            assert len(said.ranks) == len(row.answers)
            assert 1 in said.ranks
            assert all(1 <= rank <= len(row.answers) for rank in said.ranks)
            assert said.unacceptable is None or len(said.unacceptable) == len(row.answers)
            assert said.positions is None or sorted(said.positions) == list(range(len(row.answers)))
            assert [len(said.among(span).ranks) for span in row.spans()] == [len(span) for span in row.spans()]
        else:
            assert said.verdict in VERDICTS
            assert (said.verdict == "edit") == bool(said.text)
            assert said.verdict != "accept" or row.answers


@pytest.mark.parametrize("name", SHAPES)
@LENIENT
@given(CHANCES, st.just({}) | MAPPINGS)
def test_a_record_that_is_nearly_right_becomes_a_sound_row_or_a_reason(name, chance, mapping):
    record = changed(chance, [name] if chance.random() < 0.8 else tuple(RECORDS))
    becomes_a_sound_row_or_a_reason(name, record, mapping)


@settings(LENIENT, max_examples=150)  # each is tried as every shape: making them takes longer than reading them
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_record_becomes_a_sound_row_or_a_reason_in_every_shape(record):
    for name in SHAPES:
        note(name)
        becomes_a_sound_row_or_a_reason(name, record, {})


def becomes_a_sound_row_or_a_reason(name, record, mapping):
    try:
        row = SHAPES[name].understand(record, 3, mapping)
    except BadLine as error:
        row, reason = None, str(error)
    if row is None:
        assert 0 < len(reason) < 1000
    else:
        is_sound(row)
        assert row.line == 3


@LENIENT
@given(CHANCES, st.lists(st.dictionaries(KEYS, VALUES, max_size=8), max_size=2))
def test_a_shape_is_found_or_none(chance, records):
    records += [changed(chance) for _ in range(chance.randrange(3))]
    assert recognise(records) in {"", *SHAPES}
    for shape in SHAPES.values():
        assert 0 <= shape.looks_like(records) <= 1
        assert shape.mapping_of(records).keys() == shape.fields.keys()


@FEW
@given(st.text() | st.binary() | VALUES.map(json.dumps))
def test_a_line_is_a_record_or_a_reason(line):
    with suppress(BadLine):
        assert isinstance(record_of(line), dict)


@LENIENT
@given(
    st.binary(max_size=200), st.sampled_from([".jsonl", ".json", ".csv", ".parquet", ".arrow", ".zip", ".jsonl.gz", ""])
)
def test_a_file_is_records_and_reasons(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("any") / f"a{ending}"
    path.write_bytes(data)
    with suppress(BadFile):
        for one in open_file(path).records():
            assert isinstance(one.record, dict | BadLine)
            assert isinstance(one.raw, str)


@FEW
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=5), st.sampled_from([None, 1]))
def test_a_list_of_objects_is_found_as_json_has_it(tmp_path_factory, rows, indent):
    path = tmp_path_factory.mktemp("any") / "a.json"
    path.write_text(json.dumps(rows, indent=indent))
    found = [one.record for one in open_file(path).records()]
    assert json.dumps(found) == json.dumps(rows)


@given(st.lists(st.fixed_dictionaries({"role": st.text(), "content": st.text()})))
def test_the_quick_hash_is_the_same(messages):
    if not why_unstorable(messages):
        assert sha256_of_json(messages) == sha256(messages)


@given(VALUES, KEYS)
def test_columns_of_anything_can_be_stored(value, name):
    columns = Columns({name: value, "b": value}, {"part": (name, "a.b")})
    assert not why_unstorable(columns.others())
