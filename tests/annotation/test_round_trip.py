"""What goes out comes in again, whatever people and models wrote: the same prompts, answers and labels, in every format
that can carry them; and out of these, the same rows. Through the readers alone; with the database between, see
test_there_and_back.py."""

import csv
import io
import json
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.exporting import table
from annotation.shapes import SHAPES as IN
from annotation.shapes import recognise, sheet
from annotation.shapes.files import open_file
from annotation.shapes.outgoing import SHAPES as OUT
from annotation.shapes.rows import BadLine, Row
from tests.annotation.written import ANSWERS, QUESTIONS, TEXTS, conversations, different

MANY = settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=60)


@st.composite
def learnable(draw):
    chosen, rejected = draw(different(2, 2))
    row = {"prompt": draw(conversations()), "chosen": chosen, "rejected": rejected, "completion": chosen}
    return {**row, "label": draw(st.booleans()), "margin": draw(st.integers(0, 4)) / 4}


@st.composite
def exported(draw):
    """A labelled item as it goes out."""
    kind = draw(st.sampled_from(["comparison", "demonstration"]))
    comparison = kind == "comparison"
    texts = draw(different(2, 5) if comparison else st.lists(ANSWERS, max_size=1))  # one may be written without a draft
    ids = draw(st.permutations(range(1, len(texts) + 1)))
    return {
        **{"item": draw(st.integers(1, 2**40)), "kind": kind, "purpose": "train", "split": "train"},
        "language": draw(st.sampled_from(["", "en", "zh-Hant"])),
        "tags": draw(st.lists(TEXTS.filter(lambda text: len(text) <= 64), max_size=2)),
        "metadata": draw(st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none(), max_size=2)),
        "prompt": draw(conversations()),
        "answers": [{"id": pk, "text": text, "origin": "import"} for pk, text in zip(ids, texts, strict=True)],
        "labels": draw(st.lists(comparisons(ids) if comparison else demonstrations(texts), min_size=1, max_size=3)),
    }


@st.composite
def labels(draw):
    moment = draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))).replace(tzinfo=UTC)
    return {
        **{"id": draw(st.integers(1, 2**40)), "person": draw(st.text("0123456789abcdef", min_size=12, max_size=12))},
        **{"simulated": draw(st.booleans()), "decision": draw(st.booleans()), "comment": draw(TEXTS), "criteria": {}},
        "flags": draw(st.lists(TEXTS, max_size=2)),
        "seconds": draw(st.none() | st.floats(0, 1e6)),
        "created_at": moment.isoformat(timespec="microseconds"),
        "text": None,
    }


@st.composite
def comparisons(draw, ids):
    places = draw(st.permutations(range(len(ids))))
    ranks = [1, *draw(st.lists(st.integers(1, len(ids)), min_size=len(ids) - 1, max_size=len(ids) - 1))]
    votes = [
        {"answer": pk, "position": place, "rank": rank, "unacceptable": draw(st.booleans())}
        for pk, place, rank in zip(ids, places, ranks, strict=True)
    ]
    best = ranks.count(1) == 1
    return {
        **draw(labels()),
        "text": draw(st.none() | ANSWERS) if best else None,
        "strength": draw(st.none() | st.integers(1, 4)) if best else None,
        "criteria": draw(st.dictionaries(QUESTIONS, st.sampled_from([0, *ids]), max_size=2)),
        "votes": sorted(votes, key=lambda vote: vote["position"]),
    }


@st.composite
def demonstrations(draw, drafts):
    verdict = draw(st.sampled_from(["accept", "edit", "reject"] if drafts else ["edit"]))
    text = {"accept": drafts[0] if drafts else None, "edit": draw(ANSWERS), "reject": None}[verdict]
    mended = {"prompt": draw(conversations())} if verdict == "edit" and draw(st.booleans()) else {}
    return {**draw(labels()), "text": text, "verdict": verdict, **mended}


# Rows to train on


@MANY
@given(row=learnable())
def test_rows_to_train_on_come_back_as_the_same_prompt_and_answers(row):
    for name, shape in OUT.items():
        if shape.line is None or (line := shape.line(row)) is None:
            continue
        record = json.loads(json.dumps(line, ensure_ascii=False))
        for found in (IN[name if name in IN else "trl-preference"], IN[recognise([record])]):
            read = found.understand(record)
            assert read.messages == row["prompt"], (name, found.name)
            assert read.answers == (
                [row["chosen"], row["rejected"]] if shape.of == "preferences" else [row["completion"]]
            )
            assert again(shape, read, row) == line, (name, found.name)


def again(shape, read: Row, row) -> dict:
    """What goes out once that is stored: of a preference what was preferred, of an answer what was said of it."""
    made = {"prompt": read.messages, "margin": row["margin"]}
    if shape.of == "preferences":
        (said,) = read.said
        ranked = sorted(zip(said.ranks, read.answers, strict=True))
        return shape.line({**made, "chosen": ranked[0][1], "rejected": ranked[1][1]})
    made["completion"] = read.answers[0]
    if shape.of == "unpaired":
        made["label"] = read.said[0].verdict == "accept"
    return shape.line(made)


@MANY
@given(row=learnable())
def test_alpaca_carries_a_conversation_exactly_when_turns_alternate(row):
    said = [one["role"] for one in row["prompt"] if one["role"] != "system"]
    alternate = all(role == ("user", "assistant")[place % 2] for place, role in enumerate(said))
    assert (OUT["alpaca"].line(row) is not None) == alternate


# Everything


def read_file(path, name: str) -> list[Row]:
    rows = []
    for one in open_file(path).records():
        assert not isinstance(one.record, BadLine), one.record
        assert recognise([one.record]) == name
        rows.append(IN[name].understand(one.record))
    return rows


def as_it_was(row: Row, source: dict) -> None:
    """Nothing of the item is lost, and nothing of its labels."""
    assert (row.messages, row.kind, row.language) == (source["prompt"], source["kind"], source["language"])
    assert (row.tags, row.metadata) == (source["tags"], source["metadata"])
    assert row.answers == [one["text"] for one in source["answers"]]
    ids = [one["id"] for one in source["answers"]]
    for said, label in zip(row.said, source["labels"], strict=True):
        assert (said.rater, said.comment, said.flags) == (label["person"], label["comment"], label["flags"])
        assert (said.simulated, said.decision, said.seconds) == (
            label["simulated"],
            label["decision"],
            label["seconds"],
        )
        assert said.created_at == datetime.fromisoformat(label["created_at"])
        if source["kind"] == "demonstration":
            assert (said.verdict, said.messages) == (label["verdict"], label.get("prompt"))
            assert said.text == (label["text"] if label["verdict"] == "edit" else None)
            continue
        by_answer = {vote["answer"]: vote for vote in label["votes"]}
        assert said.ranks == [by_answer[pk]["rank"] for pk in ids]
        assert said.unacceptable == [by_answer[pk]["unacceptable"] for pk in ids]
        assert said.positions == [by_answer[pk]["position"] for pk in ids]
        assert (said.strength, said.text) == (label["strength"], label["text"])
        assert said.criteria == {name: ids.index(pk) if pk else None for name, pk in label["criteria"].items()}


@FEW
@given(sources=st.lists(exported(), min_size=1, max_size=3))
def test_json_lines_come_back(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "desk.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in sources), "utf-8", newline="")
    for row, source in zip(read_file(path, "touchstone"), sources, strict=True):
        as_it_was(row, source)


@FEW
@given(sources=st.lists(exported(), min_size=1, max_size=3))
def test_parquet_comes_back(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "desk.parquet"
    copies = json.loads(json.dumps(sources))
    assert table.write_parquet(path, table.for_parquet(iter(copies)), table.items_schema()) == len(sources)
    for row, source in zip(read_file(path, "touchstone"), sources, strict=True):
        as_it_was(row, source)


@FEW
@given(sources=st.lists(exported(), min_size=1, max_size=3))
def test_csv_comes_back_a_label_at_a_time(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "desk.csv"
    path.write_text("".join(table.csv_lines(iter(sources))), "utf-8", newline="")
    labelled = [{**source, "labels": [label]} for source in sources for label in source["labels"]]
    for row, source in zip(read_file(path, "touchstone-csv"), labelled, strict=True):
        as_it_was(row, source)


@MANY
@given(text=TEXTS)
def test_no_cell_is_run_by_a_spreadsheet_and_each_can_be_undone(text):
    made = sheet.cell(text)
    assert not made.lstrip(sheet.SPACES).startswith(sheet.FORMULA)
    assert sheet.text_of(made) == text
    (cells,) = csv.reader(io.StringIO("".join(table.csv_lines(iter(())))[1:], newline=""))
    assert cells == list(sheet.COLUMNS)
