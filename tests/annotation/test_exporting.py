"""What goes out: which items, which labels, in which shape; the same data gives the same bytes."""

import csv
import io
import json

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from annotation import labelling
from annotation.asking import ask
from annotation.exporting import files, items, labelled_rows, lines
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.labelling import Said
from annotation.models import Event, Item, Label, Membership, Prompt
from annotation.shapes.outgoing import SHAPES
from annotation.text import sha256
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer, first_is_better, lease, prefers
from training import snapshots


def out(project, shape="touchstone", tally=None, **wanted) -> list:
    text = b"".join(
        lines.chunks(project=project, shape=shape, wanted=Wanted(**wanted), tally=tally or Tally())
    ).decode()
    if shape == "csv":
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.fixture
def shared(project, bob, bea):
    """Of four prompts: a preference with a strength, a draft mended, one rejected, and three answers with a tie."""
    project.labels_per_item = 2
    project.save()
    prompt = a_prompt(project, "Do you post to Ireland?", language="en", tags=["post", "abroad"])
    pair = ask(
        project=project,
        prompt=prompt,
        kind="comparison",
        responses=[an_answer(prompt, "Yes, for £6."), an_answer(prompt, "=HYPERLINK(1)")],
    )[0]
    best = pair.answers.get(order=0).response_id
    prefers(bob, pair, best, strength=4, criteria={"helpful": 0}, flags=["tone"], comment="One\ntwo")
    prefers(bea, pair, best, strength=2)
    a_demonstration(project, "A draft.")
    a_demonstration(project, "Another draft.")
    three = a_comparison(project, ("one", "two", "three"))
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="edit", text="Mended."))
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="reject"))
    assignment = lease(bob)
    assert assignment.item == three
    labelling.submit(assignment=assignment, said=Said(ranks=(1, 1, 2), unacceptable=(False, False, True)))
    return pair


def test_each_shape_has_its_rows(shared, project):
    counted = {shape: len(out(project, shape)) for shape in SHAPES if SHAPES[shape].streams}
    assert counted == {
        "touchstone": 4,
        "csv": 5,
        "trl-completion": 1,
        "trl-preference": 4,
        "trl-margin": 4,
        "trl-unpaired": 6,
        "openai-chat": 1,
        "openai-preference": 4,
        "sharegpt": 1,
        "alpaca": 1,
    }


def test_rows_to_train_on_are_as_their_readers_want_them(shared, project):
    prompt = [{"role": "user", "content": "Do you post to Ireland?"}]
    chosen, rejected = (
        [{"role": "assistant", "content": "Yes, for £6."}],
        [{"role": "assistant", "content": "=HYPERLINK(1)"}],
    )
    assert out(project, "trl-preference")[0] == {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    assert out(project, "trl-margin")[0]["margin"] == 0.75
    assert out(project, "openai-preference")[0] == {
        "input": {"messages": prompt},
        "preferred_output": chosen,
        "non_preferred_output": rejected,
    }
    (mended,) = out(project, "trl-completion")
    assert mended["completion"] == [{"role": "assistant", "content": "Mended."}]
    question = mended["prompt"][0]["content"]
    assert out(project, "openai-chat") == [{"messages": [*mended["prompt"], *mended["completion"]]}]
    assert out(project, "sharegpt") == [
        {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": "Mended."}]}
    ]
    assert out(project, "alpaca") == [{"instruction": question, "input": "", "output": "Mended."}]
    assert {"completion": rejected, "label": True} not in [
        {name: row[name] for name in ("completion", "label")} for row in out(project, "trl-unpaired")
    ]


def as_rows(rows, texts) -> set[str]:
    """Rows of a snapshot as this room makes them."""
    kept = {"prompt", "prompt_sha256", "language", "tags", "margin", "agreement", "label", *texts}
    made = []
    for row in rows:
        row = {name: value for name, value in row.items() if name in kept}
        made.append({**row, **{name: row[name][0]["content"] for name in texts}})
    return {json.dumps(row, sort_keys=True) for row in made}


@pytest.mark.parametrize(
    ("kind", "texts"),
    [("demonstrations", ["completion"]), ("preferences", ["chosen", "rejected"]), ("unpaired", ["completion"])],
)
def test_rows_to_train_on_are_those_of_a_snapshot(project, bob, bea, member, shared, kind, texts):
    """Whatever was said: ties, both bad, edits, mended turns, people excluded and simulated, held-out prompts."""
    everything_that_may_be_said(project, bob, bea, member)
    rule = snapshots.Rule()
    frozen = snapshots.collect(project=project, kind=kind, rule=rule)
    found = [dict(row) for row in lines.ROWS[kind](project, Wanted(), Tally())]
    assert {json.dumps(row, sort_keys=True) for row in found} == as_rows(frozen, texts)
    assert len(found) == len(frozen) > 0


def everything_that_may_be_said(project, bob, bea, member):
    conversation = [
        {"role": "system", "content": "You work in a shop."},
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "What?"},
        {"role": "user", "content": "My parcel."},
    ]
    long = Prompt.objects.create(project=project, messages=conversation, sha256=sha256(conversation), split="train")
    ask(project=project, prompt=long, kind="demonstration", responses=[an_answer(long, "Lost.")])
    labelling.submit(
        assignment=lease(bob, "demonstration"),
        said=Said(verdict="edit", text="On its way.", turns={2: "What do you miss?"}),
    )
    both = [an_answer(long, "Lost."), an_answer(long, "Found.")]
    ask(project=project, prompt=long, kind="comparison", responses=both, priority=9)
    labelling.submit(assignment=lease(bob), said=first_is_better(text="Better than either."))
    labelling.submit(assignment=lease(bea), said=Said(ranks=(1, 1), unacceptable=(True, True)))
    held_out = a_prompt(project, split="heldout")
    ask(project=project, prompt=held_out, kind="comparison", responses=[an_answer(held_out, t) for t in ("A", "B")])
    labelling.submit(assignment=lease(bob), said=first_is_better())
    robot, excluded = member("robot", simulated=True), member("eve")
    for who in (robot, excluded):
        a_comparison(project, (f"{who.person} says one", "two"))
        while True:
            assignment = labelling.leasing.next_assignment(membership=who, kind="comparison")
            if assignment is None:
                break
            labelling.submit(
                assignment=assignment, said=Said(ranks=tuple(range(1, len(assignment.order) + 1)), strength=1)
            )
    Membership.objects.filter(pk=excluded.pk).update(excluded_at=timezone.now())


def test_held_out_prompts_are_never_among_rows_to_train_on_unless_they_are_asked_for_alone(project, bob):
    for split in ("train", "heldout"):
        prompt = a_prompt(project, split, split=split)
        ask(project=project, prompt=prompt, kind="comparison", responses=[an_answer(prompt, t) for t in ("A", "B")])
        labelling.submit(assignment=lease(bob), said=first_is_better())
    assert len(out(project)) == 2
    assert [row["prompt"][0]["content"] for row in out(project, "trl-preference")] == ["train"]
    assert [row["prompt"][0]["content"] for row in out(project, "trl-preference", split="heldout")] == ["heldout"]
    assert [row["split"] for row in out(project, split="heldout")] == ["heldout"]


def test_a_part_can_be_asked_for(shared, project, member):
    assert len(out(project, kind="demonstration")) == 2
    assert [row["tags"] for row in out(project, tags=["abroad", "nothing"])] == [["post", "abroad"]]
    assert out(project, tags=["nothing"]) == []
    assert len(out(project, languages=["en"])) == len(out(project, "trl-preference", languages=["en"])) == 1
    assert out(project, "trl-preference", languages=["de"]) == out(project, decisions="only") == []
    assert len(out(project, decisions="none")) == 4
    Item.objects.filter(pk=shared.pk).update(wanted=3, priority=9)
    best = Label.objects.filter(item=shared).first().judgements.get(rank=1).response_id
    prefers(member("ben"), shared, shared.answers.exclude(response=best).get().response_id)
    assert len(out(project, "trl-preference", minimum_agreement=0.6)) == 4
    assert len(out(project, "trl-preference", minimum_agreement=0.9)) == 3


def test_simulated_labels_are_marked_among_everything_and_train_nothing_unless_asked(project, member):
    a_comparison(project)
    labelling.submit(assignment=lease(member("robot", simulated=True)), said=first_is_better())
    assert [label["simulated"] for row in out(project) for label in row["labels"]] == [True]
    assert out(project, simulated=False) == []
    assert out(project, "trl-preference") == []
    assert len(out(project, "trl-preference", simulated=True)) == 1


def test_people_are_named_only_when_that_is_asked_for(shared, project):
    text = json.dumps(out(project))
    assert "bob" not in text
    assert "bea" not in text
    named = {label["person"] for row in out(project, names=True) for label in row["labels"]}
    assert named == {"bob", "bea"}
    with pytest.raises(ValidationError, match="name nobody"):
        files.check(shape="trl-preference", wanted=Wanted(names=True))


def test_an_export_is_put_on_record(shared, project, alice):
    list(lines.take_out(project=project, shape="csv", wanted=Wanted(names=True), actor=alice.person))
    event = Event.objects.get(verb="data exported")
    assert (event.actor, event.data) == (alice.person, {"shape": "csv", "wanted": {"names": True}})


def test_the_same_data_gives_the_same_bytes(shared, project):
    for shape in SHAPES:
        if SHAPES[shape].streams:
            asked = {"project": project, "shape": shape, "wanted": Wanted()}
            first, second = (b"".join(lines.chunks(**asked, tally=Tally())) for _ in range(2))
            assert first == second


def test_a_line_is_a_line_whatever_people_write(project, bob):
    answers = ("a\nb\r\nc\u2028d", 'say "\\n" \t\x0b\x7f \U0001f600 שלום')
    a_comparison(project, answers)
    labelling.submit(assignment=lease(bob), said=first_is_better(comment="\x85\u2029\\"))
    chunks = b"".join(lines.chunks(project=project, shape="touchstone", wanted=Wanted(), tally=Tally()))
    assert chunks.count(b"\n") == 1
    (row,) = [json.loads(line) for line in chunks.decode().split("\n") if line]
    assert [one["text"] for one in row["answers"]] == list(answers)
    assert row["labels"][0]["comment"] == "\x85\u2029\\"


def test_a_label_reads_as_the_one_in_its_author_s_own_work(shared, project, bob):
    """PostgreSQL writes one, Python the other."""
    from annotation import work_done

    own = {one["label"]: one for one in work_done._rows(work_done.by(bob.person, project), project, "")}
    for row in labelled_rows(project=project):
        for label in row["labels"]:
            if label["id"] in own:
                assert {**own[label["id"]], "id": label["id"]}.items() >= {
                    name: value for name, value in label.items() if name != "prompt"
                }.items()


def test_a_spreadsheet_runs_nothing_of_it(shared, project, bob):
    a_demonstration(project, "+44 20 1234")
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="accept", comment="'quoted'"))
    rows = out(project, "csv")
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert (rows[-1]["text"], rows[-1]["comment"]) == ("'+44 20 1234", "''quoted'")
    assert json.loads(rows[0]["answers"])[1]["text"] == "=HYPERLINK(1)"
    assert rows[0]["comment"] == "One\ntwo"


def test_what_alpaca_cannot_carry_is_left_out_and_counted(project, bob):
    turns = [{"role": "user", "content": "Tea?"}, {"role": "user", "content": "Or coffee?"}]
    prompt = Prompt.objects.create(project=project, messages=turns, sha256=sha256(turns), split="train")
    ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, "Tea.")])
    a_demonstration(project)
    for _ in range(2):
        labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="accept"))
    tally = Tally()
    assert len(out(project, "alpaca", tally=tally)) == 1
    assert (tally.rows, tally.left_out, tally.done, tally.total) == (1, 1, 2, 2)


@pytest.mark.parametrize("shape", ["touchstone", "trl-preference", "trl-completion"])
def test_it_is_read_in_batches(shared, project, shape, monkeypatch, django_assert_max_num_queries):
    from annotation.exporting import learning

    expected = out(project, shape)
    monkeypatch.setattr(items, "BATCH", 1)
    monkeypatch.setattr(learning, "BATCH", 1)
    tally = Tally()
    assert out(project, shape, tally=tally) == expected
    assert tally.done == tally.total > 0


def test_other_projects_and_gold_stay_where_they_are(shared, project, bob):
    from annotation.gold import Right, mark
    from annotation.models import Project

    known = mark(item=a_demonstration(project, "Known."), right=Right(verdicts=["accept"]))
    Label.objects.create(
        project=project,
        item=known.item,
        assignment=_assignment(known.item, bob),
        person=bob.person,
        verdict="reject",
    )
    for shape in SHAPES:
        if SHAPES[shape].streams:
            assert "Known." not in json.dumps(out(project, shape))
    other = Project.objects.create(slug="other", name="Other")
    assert [out(other, shape) for shape in SHAPES if SHAPES[shape].streams] == [[]] * 10


def _assignment(item: Item, member):
    from tests.annotation.making import asked

    return asked(item.gold, member)


def test_a_cursor_over_ids_is_planned_for_all_of_them(project):
    from annotation.exporting import ids

    assert list(ids.read(Item.objects.values_list("pk", "prompt_id"))) == []
    with connection.cursor() as cursor:
        cursor.execute("SHOW cursor_tuple_fraction")
        assert float(cursor.fetchone()[0]) == 1  # within the test's own transaction
