"""Files that data comes in, packed, in any encoding, damaged or hostile: each record is found, or the reason said."""

import csv
import functools
import gzip
import io
import json
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from annotation.shapes import SHAPES, BadLine, recognise, streams
from annotation.shapes.files import BadFile, open_file, sample
from annotation.shapes.records import LONGEST_LINE

ROWS = [{"prompt": f"{n}?", "completion": f"Zoë {n} 😀"} for n in range(1, 8)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


@pytest.fixture
def put(tmp_path):
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write


def told(path, **place):
    """The records of a file, or in words why they are none."""
    return [
        str(one.record) if isinstance(one.record, BadLine) else one.record for one in open_file(path).records(**place)
    ]


def table_of(rows):
    return pyarrow.Table.from_pylist(rows)


def parquet(rows, **options):
    out = io.BytesIO()
    pyarrow.parquet.write_table(table_of(rows), out, **options)
    return out.getvalue()


def arrow(rows):
    out = io.BytesIO()
    table = table_of(rows)
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return out.getvalue()


def table(rows, **options):
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


KINDS = {
    "a.jsonl": LINES,
    "a.json": json.dumps(ROWS).encode(),
    "pretty.json": json.dumps(ROWS, indent=2).encode(),
    "several.json": "\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
    "lines.json": LINES,
    "a.csv": table(ROWS),
    "a.tsv": table(ROWS, delimiter="\t"),
    "semicolon.csv": table(ROWS, delimiter=";"),
    "a.parquet": parquet(ROWS, row_group_size=2),
    "a.arrow": arrow(ROWS),
    "mark.jsonl": b"\xef\xbb\xbf" + LINES,
    "mark.json": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
    "mark.csv": b"\xef\xbb\xbf" + table(ROWS),
    "ends.jsonl": LINES.replace(b"\n", b"\r\n"),
    "unended.jsonl": LINES.rstrip(),
    "empty_lines.jsonl": LINES.replace(b"\n", b"\n \t\r\n\n"),
    "wide.jsonl": LINES.decode().encode("utf-16"),
    "wide_be.jsonl": b"\xfe\xff" + LINES.decode().encode("utf-16-be"),
    "wide.csv": table(ROWS).decode().encode("utf-16"),
    "a.jsonl.gz": gzip.compress(LINES),
    "a.csv.gz": gzip.compress(table(ROWS)),
    "two.jsonl.gz": gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]),
    "a.parquet.gz": gzip.compress(parquet(ROWS)),
    "jsonl.zip": zipped({"a.jsonl": LINES}),
    "parts.zip": zipped(
        {"b/1.csv": table(ROWS[:2]), "b/2.parquet": parquet(ROWS[2:4]), "b/3.json": json.dumps(ROWS[4:])}
    ),
    "stored.zip": zipped({"a.jsonl": LINES}, zipfile.ZIP_STORED),
    "ndjson.zip": zipped({"a.ndjson": LINES}),
    "no_ending": LINES,
    "no_ending_table": table(ROWS),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_read(put, name):
    assert told(put(name, KINDS[name])) == ROWS


@pytest.mark.parametrize("name", KINDS)
def test_reading_goes_on_where_it_ended(put, name):
    path = put(name, KINDS[name])
    found = list(open_file(path).records())
    for place, one in enumerate(found):
        rest = list(open_file(path).records(number=one.number, offset=one.offset))
        assert [(later.number, later.record, later.offset) for later in rest] == [
            (later.number, later.record, later.offset) for later in found[place + 1 :]
        ]
    numbers = [one.number for one in found]
    assert numbers == sorted(set(numbers))


def test_how_much_was_read_grows_to_all(put):
    for name, data in KINDS.items():
        source = open_file(put(name, data))
        shares = [source.done for _ in source.records()]
        assert shares == sorted(shares)
        assert source.done == 1


def test_a_sample_is_the_first_records(put):
    found = sample(open_file(put("a.jsonl", LINES)), 3)
    assert [one.record for one in found] == ROWS[:3]
    assert recognise([one.record for one in found]) == "touchstone"


def test_a_saved_dataset_is_read(put, tmp_path):
    for split, rows in (("test", ROWS[:3]), ("train", ROWS[3:])):
        put(f"saved/{split}/data-00000-of-00001.arrow", arrow(rows))
        put(f"saved/{split}/state.json", b'{"_data_files": [{"filename": "../../../secret.arrow"}]}')
        put(f"saved/{split}/dataset_info.json", b"{}")
    put("saved/dataset_dict.json", b'{"splits": ["train", "test"]}')
    put("saved/README.md", b"# About")
    put("saved/.cache/old.jsonl", b'{"prompt": "old"}')
    source = open_file(tmp_path / "saved")
    assert [one.record for one in source.records()] == ROWS
    assert "README.md" in source.left_out
    (tmp_path / "saved" / "link.jsonl").symlink_to(put("elsewhere.jsonl", LINES))
    assert told(tmp_path / "saved") == ROWS


def test_what_datasets_saves_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "dict")
    assert told(tmp_path / "one") == told(tmp_path / "dict") == ROWS


def test_a_table_is_read_as_json_has_it(put):
    rows = [{"prompt": "?", "messages": [{"role": "user", "content": "?"}], "at": None, "raw": b"a", "n": 1.5}]
    assert told(put("a.parquet", parquet(rows))) == [{**rows[0], "raw": None}]


# Lines that are wrong spoil no other


def test_lines_that_are_wrong_are_said_with_their_number(put):
    bad = {
        2: b"{",
        4: b'{"prompt": "caf\xe9"}',  # Latin-1
        5: b"[1]",
        6: b'{"prompt": "' + b"x" * 5_000_000 + b'"}',
        7: b'{"prompt": "\xed\xa0\xbd"}',
        8: b"y" * 9_000_000,
        9: b"[" * 3000 + b"]" * 3000,
    }
    lines = [bad.get(number, b'{"prompt": "%d?"}' % number) for number in range(1, 12)]
    found = list(open_file(put("a.jsonl", b"\n".join(lines))).records())
    wrong = {one.number: str(one.record) for one in found if isinstance(one.record, BadLine)}
    assert sorted(wrong) == sorted(bad)
    assert (wrong[4], wrong[5], wrong[7]) == ("not UTF-8 text", "not a JSON object", "not UTF-8 text")
    assert wrong[6] == wrong[8] == f"longer than {LONGEST_LINE:,} characters"
    assert [one.record["prompt"] for one in found if one.number not in bad] == ["1?", "3?", "10?", "11?"]
    raw = {one.number: one.raw for one in found}
    assert (raw[1], raw[2], raw[4]) == ('{"prompt": "1?"}', "{", '{"prompt": "caf\\xe9"}')
    assert len(raw[8]) == 10_000


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"a": 1}, 2, {"b": "}]"}, [3], "x", {"c": 1}]', [{"a": 1}, "bad", {"b": "}]"}, "bad", "bad", {"c": 1}]),
        (b'[{"a": 1} {"b": 2}, {"c": tru}, {"d": "\\"}"}]', [{"a": 1}, {"b": 2}, "bad", {"d": '"}'}]),
        (b"[]", []),
        (b"[ \n ]\n", []),
        (b'[{"a": {"b": [{"c": "\\\\"}]}}]', [{"a": {"b": [{"c": "\\"}]}}]),
        (b'[{"a": 1}]garbage', [{"a": 1}, "bad"]),
        (b'[{"a": "' + b"x" * 9_000_000 + b'"}, {"b": 1}]', ["bad", {"b": 1}]),
        (b'[{"a": "' + b"\\n" * 900_000 + b'"}, {"b": 1}]', [{"a": "\n" * 900_000}, {"b": 1}]),
        (b"[" + b"1," * 5_000_000 + b'{"b": 1}]', ["bad", {"b": 1}]),
    ],
)
def test_values_of_a_list_that_are_wrong_spoil_no_other(put, data, expected):
    found = list(open_file(put("a.json", data)).records())
    assert ["bad" if isinstance(one.record, BadLine) else one.record for one in found] == expected
    assert [one.number for one in found] == list(range(1, len(expected) + 1))


def test_a_list_in_small_pieces_is_the_same(put, monkeypatch):
    rows = [{"a": f'"\\{n}', "b": ["}", "[", {"c": "\\\\"}]} for n in range(20)]
    path = put("a.json", json.dumps(rows, indent=1).encode())
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(streams, "PART", size)
        assert told(path) == rows


def test_lines_in_small_pieces_are_the_same(put, monkeypatch):
    for name in ("ends.jsonl", "wide.jsonl", "mark.csv", "a.jsonl.gz", "stored.zip"):
        path = put(name, KINDS[name])
        source = open_file(path)
        monkeypatch.setattr(streams, "PART", 3)
        assert [one.record for one in source.records()] == ROWS
        monkeypatch.undo()


def test_a_table_with_wrong_rows(put):
    data = b'prompt,completion,\r\n"a\r\n""b""",c,\r\nx\r\n1,2,3,4\r\n"open" x,2,\r\n\r\nlast,,\r\n'
    found = list(open_file(put("a.csv", data)).records())
    assert [(one.number, str(one.record)) for one in found if isinstance(one.record, BadLine)] == [
        (4, "has 1 cells where the first line has 3"),
        (5, "has 4 cells where the first line has 3"),
        (6, "not CSV: ',' expected after '\"'"),
    ]
    assert [one.record for one in found if not isinstance(one.record, BadLine)] == [
        {"prompt": 'a\r\n"b"', "completion": "c"},
        {"prompt": "last"},
    ]
    assert [one.raw for one in found][:3] == [
        '{"prompt":"a\\r\\n\\"b\\"","completion":"c"}',
        '{"prompt":"x"}',
        '{"prompt":"1","completion":"2"}',
    ]


def test_a_table_with_a_huge_cell_or_another_encoding(put):
    data = b"prompt,completion\n" + b"x" * 1_900_000 + b',a\ncaf\xe9,b\n"' + b"y" * 9_000_000 + b'",c\n?,d\n'
    found = list(open_file(put("a.csv", data)).records())
    reasons = [str(one.record) for one in found if isinstance(one.record, BadLine)]
    assert reasons == ["not UTF-8 text", f"not CSV: longer than {LONGEST_LINE:,} characters"]
    assert [one.record["completion"] for one in found if not isinstance(one.record, BadLine)] == ["a", "d"]


def test_a_quote_that_is_never_closed_is_said(put):
    found = list(open_file(put("a.csv", b'prompt,completion\n1,2\n"3,4\n5,6\n')).records())
    assert [str(one.record) for one in found] == [
        "{'prompt': '1', 'completion': '2'}",
        "not CSV: unexpected end of data",
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"prompt,prompt\n1,2\n", 'two columns have the name "prompt"'),
        (b"\n1,2\n", "the first line must name the columns"),
        (b"caf\xe9,b\n1,2\n", "in UTF-8"),
        (b",".join(b"c%d" % n for n in range(1001)) + b"\n", "at most 1,000"),
        (b"", "the first line must name the columns"),
    ],
)
def test_a_table_whose_columns_have_no_names_is_refused(put, data, reason):
    with pytest.raises(BadFile, match=reason):
        list(open_file(put("a.csv", data)).records())


def test_what_json_leaves_open(put):
    lines = (
        b'{"prompt": "1?", "prompt": "2?"}\n{"prompt": "?", "n": NaN}\n{"prompt": "?", "n": 123456789012345678901}\n'
    )
    twice, nan, big = (one.record for one in open_file(put("a.jsonl", lines)).records())
    assert twice == {"prompt": "2?"}  # the last one stands
    assert nan["n"] != nan["n"]
    assert big["n"] == 123456789012345678901
    with pytest.raises(BadLine, match="not finite"):
        SHAPES["touchstone"].understand({"prompt": "?", "metadata": nan})


# Files that are damaged or hostile


def cut(data, share=0.6):
    return data[: int(len(data) * share)]


@functools.cache
def many() -> bytes:
    """200,000 lines, compressed."""
    return gzip.compress("".join(f'{{"prompt": "{n * 7919 % 1000003}?"}}\n' for n in range(200_000)).encode())


@pytest.mark.parametrize(
    ("name", "data", "reason", "least"),
    [
        ("a.jsonl.gz", lambda: cut(many()), "a.jsonl.gz ends in the middle", 50_000),
        ("b.jsonl.gz", lambda: many()[:-8] + b"\0" * 8, "b.jsonl.gz is damaged", 150_000),
        ("a.json", b'[{"a": 1}, {"b": "', "a.json ends in the middle", 1),
        ("wide.jsonl", LINES.decode().encode("utf-16")[:-1], "ends in the middle", 6),
        ("bad.parquet", cut(parquet(ROWS)), "is damaged", 0),
        ("bad.arrow", cut(arrow(ROWS)), "is damaged", 0),
    ],
)
def test_a_file_that_was_cut_or_damaged_is_read_as_far_as_it_goes(put, name, data, reason, least):
    path = put(name, data() if callable(data) else data)
    found = []
    with pytest.raises(BadFile, match=reason):
        found.extend(open_file(path).records())
    assert len(found) >= least


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("cut.zip", cut(zipped({"a.jsonl": LINES})), "is damaged"),
        ("none.zip", zipped({"a.exe": b"MZ"}), "holds no data"),
        ("empty.zip", zipped({}), "holds no data"),
        ("nested.zip", zipped({"a.jsonl": zipped({"a.jsonl": LINES})}), "is packed twice"),
        ("twice.zip", zipped({"a.jsonl.gz": gzip.compress(LINES)}), "is packed twice"),
        ("many.zip", zipped({f"{n}.jsonl": LINES[:100] for n in range(1001)}), "holds 1,001 files"),
        ("not.parquet", b"hello", "is damaged"),
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "is neither text in UTF-8 nor Parquet"),
        ("wide.csv", "prompt,response\n".encode("utf-16-le"), "text in UTF-8"),  # without its mark
    ],
)
def test_a_file_that_is_nothing_known_is_refused(put, name, data, reason):
    with pytest.raises(BadFile, match=reason):
        list(open_file(put(name, data)).records())


@pytest.mark.parametrize("name", KINDS)
def test_a_file_with_a_few_other_bytes_is_records_and_reasons(put, name):
    chance = random.Random(name)
    for _ in range(40):
        data = bytearray(KINDS[name])
        for _ in range(chance.choice([1, 2, 20])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with suppress(BadFile):
            assert all(isinstance(one.raw, str) for one in open_file(put(name, bytes(data))).records())


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadFile, match="cannot be opened"):
        open_file(tmp_path / "missing.jsonl")


def test_a_zip_with_a_password_is_refused(put):
    data = bytearray(zipped({"a.jsonl": LINES}, zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadFile, match="locked with a password"):
        open_file(put("locked.zip", bytes(data)))


def test_names_in_a_zip_lead_nowhere(put, tmp_path):
    names = ["../../up.jsonl", "/etc/absolute.jsonl", "c:\\windows\\odd.jsonl", "ok/../a.jsonl"]
    path = put(
        "deep/er/names.zip", zipped({**dict.fromkeys(names, LINES), "__MACOSX/._a.jsonl": b"junk", ".b.jsonl": b""})
    )
    before = sorted(tmp_path.rglob("*"))
    assert told(path) == ROWS * 4
    assert sorted(tmp_path.rglob("*")) == before


def test_a_reason_names_the_file_it_is_about(put):
    found = list(open_file(put("a.zip", zipped({"a.jsonl": LINES, "b.jsonl": b"{\n"}))).records())
    assert (found[-1].number, str(found[-1].record)[:18]) == (8, "b.jsonl: not JSON:")


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.zip"])
def test_a_bomb_goes_out_before_it_has_grown(put, monkeypatch, name):
    monkeypatch.setattr(streams, "ALWAYS_FINE", 8 << 20)
    bomb = b" " * (64 << 20)
    path = put(name, gzip.compress(bomb, 9) if name.endswith("gz") else zipped({"b.parquet": b"PAR1" + bomb}))
    with pytest.raises(BadFile, match="unpacks to more than 250 times its size"):
        list(open_file(path).records())


def test_there_is_an_end_to_what_is_unpacked(put, monkeypatch):
    monkeypatch.setattr(streams, "LARGEST", 1 << 30)
    path = put("a.jsonl.gz", many())
    assert sum(1 for _ in open_file(path).records()) == 200_000
    monkeypatch.setattr(streams, "LARGEST", 1 << 20)
    with pytest.raises(BadFile, match="unpacks to more than 0 GB"):
        list(open_file(path).records())


def test_memory_stays_flat(put):
    import tracemalloc

    row = json.dumps({"prompt": "?" * 200, "responses": ["a" * 400, "b" * 400]})
    for name, data in {
        "big.jsonl": (row + "\n").encode() * 20_000,
        "big.json": ("[" + ",".join([row] * 20_000) + "]").encode(),
        "big.jsonl.gz": gzip.compress((row + "\n").encode() * 20_000, 1),
        "big.csv": b"prompt,completion\n" + (b"?" * 200 + b"," + b"a" * 800 + b"\n") * 20_000,
        "big.parquet": parquet([json.loads(row)] * 20_000, row_group_size=5000),
    }.items():
        path = put(name, data)
        del data
        source = open_file(path)
        tracemalloc.start()
        assert sum(1 for _ in source.records()) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20, name
