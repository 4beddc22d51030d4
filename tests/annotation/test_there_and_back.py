"""A file comes in, goes out in each format, and comes into another project: the rows there are the rows here, as far as
the format can carry them. Through the same verbs as the pages, with whatever people may have written."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from django.conf import settings as server
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation import imports, receiving
from annotation.exporting import files, lines
from annotation.exporting.items import pseudonym
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Item, Label, Project, Prompt, RejectedRow, Response
from annotation.models.imports import Stage
from annotation.shapes.outgoing import SHAPES
from annotation.text import as_seen, canonical
from tests.annotation.written import ANSWERS, TEXTS, conversations, different

FEW = settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
FLAGS = ["tone", "=SUM(A1)", 'x, "y"']
FILLED = [f"annotation_{name}" for name in ("prompt", "response", "item", "itemresponse", "label", "judgement")]
CRITERIA = ["helpful", "a;b", "'"]


@st.composite
def said_by(draw, rater):
    moment = draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))).replace(tzinfo=UTC)
    return {
        "person": rater,
        "simulated": draw(st.booleans()) and rater == "robot",
        "decision": rater == "reviewer",
        "comment": draw(TEXTS),
        "flags": draw(st.lists(st.sampled_from(FLAGS), max_size=2, unique=True)),
        "seconds": draw(st.none() | st.floats(0, 1e6)),
        "created_at": moment.isoformat(timespec="microseconds"),
    }


@st.composite
def rankings(draw, rater, texts):
    count = len(texts)
    ranks = draw(st.permutations([1, *(draw(st.integers(1, count)) for _ in range(count - 1))]))
    worst = draw(st.integers(1, count + 1))  # from this rank on an answer will not do
    votes = [
        {"answer": answer, "position": place, "rank": rank, "unacceptable": rank >= worst}
        for answer, (place, rank) in enumerate(zip(draw(st.permutations(range(count))), ranks, strict=True))
    ]
    said = {**draw(said_by(rater)), "votes": votes, "text": None, "strength": draw(st.none() | st.integers(1, 4))}
    said["criteria"] = draw(st.dictionaries(st.sampled_from(CRITERIA), st.sampled_from(range(count)), max_size=2))
    edited = draw(st.none() | ANSWERS.filter(as_seen))
    if edited is not None and list(ranks).count(1) == 1 and as_seen(edited) not in map(as_seen, texts):
        said["text"] = edited
    return said


@st.composite
def verdicts(draw, rater, prompt, texts):
    verdict = draw(st.sampled_from(["accept", "edit", "reject"])) if texts else "edit"
    said = {**draw(said_by(rater)), "verdict": verdict, "text": draw(ANSWERS) if verdict == "edit" else None}
    turns = [place for place, one in enumerate(prompt) if one["role"] == "assistant"]
    if verdict == "edit" and turns and draw(st.booleans()):
        said["prompt"] = [dict(one) for one in prompt]
        said["prompt"][draw(st.sampled_from(turns))]["content"] = draw(ANSWERS)
    return said


@st.composite
def items(draw):
    prompt = draw(conversations())
    ranked = draw(st.booleans())
    texts = draw(different(2, 4) if ranked else st.lists(ANSWERS, max_size=1))
    raters = draw(st.lists(st.sampled_from(["ann", "bo", "robot", "reviewer"]), min_size=1, max_size=3, unique=True))
    return {
        "kind": "comparison" if ranked else "demonstration",
        "language": draw(st.sampled_from(["", "en", "zh-Hant"])),
        "tags": draw(st.lists(TEXTS.filter(lambda text: len(text) <= 64), max_size=2)),
        "metadata": draw(st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none(), max_size=2)),
        "prompt": prompt,
        "answers": [{"id": place, "text": text} for place, text in enumerate(texts)],
        "labels": [draw(rankings(one, texts) if ranked else verdicts(one, prompt, texts)) for one in raters],
    }


FILES = st.lists(items(), min_size=1, max_size=4, unique_by=lambda one: canonical(one["prompt"]))


def bring(path: Path, heldout_share: float = 0.0) -> Project:
    """Import a file into a new project, by the job that a page starts; what it is it finds out by itself."""
    number = Project.objects.count()
    made = Project.objects.create(
        slug=f"p{number}", name=f"P{number}", flags=FLAGS, criteria=CRITERIA, heldout_share=heldout_share
    )
    with path.open("rb") as file:
        source = receiving.receive(project=made, name=path.name, chunks=iter(file))
    assert imports.bring_in(source=source, shape=source.shape)
    source.refresh_from_db()
    refused = list(RejectedRow.objects.filter(source=source).values_list("reason", flat=True))
    assert (source.status, source.error, refused) == (Stage.DONE, "", [])
    with connection.cursor() as cursor:  # else tables are taken for as empty as they were before the test
        cursor.execute(f"ANALYZE {', '.join(FILLED)}")
    return made


def take_out(project: Project, shape: str) -> Path:
    """The export as the file that people download; of a data set the table with everything."""
    export = files.ask(project=project, shape=shape, wanted=Wanted(), actor=None)
    assert export.status == "ready", export.error
    if shape != "dataset":
        return export.path
    folder = export.path.with_suffix("")
    with zipfile.ZipFile(export.path) as packed:
        packed.extract("items/train.parquet", folder)
    return folder / "items" / "train.parquet"


@contextmanager
def an_example(folder: Path, sources: list[dict]) -> Iterator[Path]:
    """A file with these rows, and a database that forgets what is done with them."""
    shutil.rmtree(server.ARTIFACTS, ignore_errors=True)
    path = folder / "desk.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in sources))
    with transaction.atomic():
        yield path
        transaction.set_rollback(True)


def everything(project: Project, name) -> dict[str, list]:
    """All rows that a file can bring, without the numbers that a database gives them; `name` says who a label is by."""
    fingerprints = dict(Item.objects.filter(project=project).values_list("pk", "fingerprint"))
    labels = Label.objects.filter(project=project).select_related("person", "response__prompt")
    found = {
        "prompts": [
            [one.messages, one.split, one.language, one.tags, one.metadata]
            for one in Prompt.objects.filter(project=project)
        ],
        "answers": [
            [one.prompt.messages, one.text]
            for one in Response.objects.filter(prompt__project=project).select_related("prompt")
        ],
        "items": [
            [
                one.fingerprint,
                one.kind,
                one.wanted,
                one.taken,
                [*one.answers.order_by("order").values_list("response__text", flat=True)],
            ]
            for one in Item.objects.filter(project=project)
        ],
        "labels": [
            [
                *(fingerprints[one.item_id], name(one), one.verdict, one.flags, one.strength, one.comment, one.seconds),
                *(one.simulated, one.decision, one.created_at.isoformat()),
                [one.response.text, one.response.prompt.messages] if one.response else None,
                {key: pk and Response.objects.get(pk=pk).text for key, pk in one.criteria.items()},
                sorted(one.judgements.values_list("position", "response__text", "rank", "unacceptable")),
            ]
            for one in labels
        ],
    }
    return {what: sorted(rows, key=canonical) for what, rows in found.items()}


def rows_of(project: Project, of: str) -> list[dict]:
    """Rows to train on, without what no such format says: language, tags, how sure people are."""
    kept = ("prompt", "chosen", "rejected", "completion", "label")
    rows = lines.ROWS[of](project, Wanted(), Tally())
    return sorted(({name: row[name] for name in kept if name in row} for row in rows), key=canonical)


@pytest.mark.django_db
@FEW
@given(sources=FILES)
def test_everything_comes_back(sources, tmp_path_factory):
    with an_example(tmp_path_factory.mktemp("in"), sources) as path:
        here = bring(path, heldout_share=0.3)
        rows = everything(here, lambda label: pseudonym(project=here, person_id=label.person_id))
        assert len(rows["labels"]) == sum(len(one["labels"]) for one in sources)
        trained_on = [row for row in rows["prompts"] if row[1] == "train"]
        for shape in ("touchstone", "csv", "parquet"):
            there = bring(take_out(here, shape), heldout_share=0.3)
            assert everything(there, lambda label: label.person.first_name) == rows, shape
        if any(canonical(one["prompt"]) in {canonical(row[0]) for row in trained_on} for one in sources):
            there = bring(take_out(here, "dataset"), heldout_share=0.3)
            assert everything(there, lambda label: label.person.first_name)["prompts"] == trained_on


@pytest.mark.django_db
@FEW
@given(sources=FILES)
def test_rows_to_train_on_come_back(sources, tmp_path_factory):
    with an_example(tmp_path_factory.mktemp("in"), sources) as path:
        here = bring(path)
        for name, shape in SHAPES.items():
            if shape.line is None:
                continue
            wanted = [row for row in rows_of(here, shape.of) if shape.line({**row, "margin": 0.0}) is not None]
            out = take_out(here, name)
            if not wanted:
                assert out.stat().st_size == 0
                continue
            there = bring(out)
            if shape.of == "demonstrations":
                asked = Item.objects.filter(project=there, kind="demonstration").select_related("prompt")
                found = [{"prompt": one.prompt.messages, "completion": one.responses.get().text} for one in asked]
                assert sorted(found, key=canonical) == wanted, name
            else:
                assert rows_of(there, shape.of) == wanted, name
