"""What becomes a row; that it is frozen; that it is the same each time."""

import hashlib
import json

import pytest

from annotation import labelling
from annotation.labelling import Said
from annotation.models import Event, Prompt
from annotation.text import sha256
from tests.annotation.making import a_prompt, all_at_once
from tests.training.making import a_preference, an_edit, compares, demonstrates, says
from tests.training.rows import A_BETTER, B_BETTER, BOTH_BAD, TALK, TIE, a_talk, answers, rows_of, votes
from training import snapshots
from training.models import Snapshot
from training.snapshots import NoRows, Rule, freeze

pytestmark = pytest.mark.django_db


# Demonstrations


def test_an_answer_is_a_row_of_the_conversation_it_was_kept_in(project, bob):
    label = says(bob, a_talk(project), verdict="edit", text="Four euros.", turns={1: "We do."})
    (row,) = rows_of(project, "demonstrations")
    assert [turn["content"] for turn in row["prompt"]] == ["Do you sell tea?", "We do.", "How much?"]
    assert (row["prompt_sha256"], row["labels"]) == (label.response.prompt.sha256, [label.pk])


def test_an_edit_in_a_mended_conversation_is_no_preference(project, bob, bea):
    """The two answers answer different conversations."""
    item = a_talk(project)
    type(item).objects.filter(pk=item.pk).update(wanted=2)
    says(bob, item, verdict="edit", text="Four euros.", turns={1: "We do."})
    assert rows_of(project) == []
    says(bea, item, verdict="edit", text="Four euros.")
    (row,) = rows_of(project)
    assert [turn["content"] for turn in row["prompt"]] == ["Do you sell tea?", "No idea.", "How much?"]


def test_a_held_out_conversation_stays_out_however_it_is_mended(project, bob):
    says(bob, a_talk(project, split="heldout"), verdict="edit", text="Four euros.", turns={1: "We do."})
    assert rows_of(project, "demonstrations") == []
    assert rows_of(project) == []


def test_a_conversation_that_is_held_out_is_not_trained_on_by_mending_another_into_it(project, bob):
    held = [TALK[0], {"role": "assistant", "content": "We do."}, TALK[2]]
    Prompt.objects.create(project=project, messages=held, sha256=sha256(held), split="heldout")
    says(bob, a_talk(project), verdict="edit", text="Four euros.", turns={1: "We do."})
    assert rows_of(project, "demonstrations") == []


def test_accepted_edited_and_written_answers_are_rows(project, bob):
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Open on Sunday?"}]
    prompt = a_prompt(project, language="en", tags=["tea", "hours"])
    prompt.messages = system
    prompt.save()
    label = says(bob, demonstrates(prompt, "Yes, from ten."), verdict="accept")
    says(bob, demonstrates(a_prompt(project), "yes 10"), verdict="edit", text="Yes.")
    says(bob, demonstrates(a_prompt(project), None), verdict="edit", text="From scratch.")
    says(bob, demonstrates(a_prompt(project), "Rude."), verdict="reject")

    rows = rows_of(project, "demonstrations")
    assert answers(rows) == ["From scratch.", "Yes, from ten.", "Yes."]
    assert next(row for row in rows if row["labels"] == [label.pk]) == {
        "prompt": system,
        "prompt_sha256": prompt.sha256,
        "language": "en",
        "tags": ["hours", "tea"],
        "completion": [{"role": "assistant", "content": "Yes, from ten."}],
        "labels": [label.pk],
    }


def test_the_same_text_from_two_people_is_one_row_with_both_labels(project, bob, bea):
    item = demonstrates(a_prompt(project), "A draft.")
    labels = [says(bob, item, verdict="accept"), says(bea, item, verdict="accept")]
    (row,) = rows_of(project, "demonstrations")
    assert row["labels"] == [label.pk for label in labels]


def test_two_good_texts_for_one_prompt_are_two_rows(project, bob, bea):
    item = demonstrates(a_prompt(project), "A draft.")
    says(bob, item, verdict="accept")
    says(bea, item, verdict="edit", text="Better.")
    assert answers(rows_of(project, "demonstrations")) == ["A draft.", "Better."]


# Preferences


def test_the_majority_is_preferred(project, bob, bea, alice):
    (row,) = votes(project, [bob, bea, alice], A_BETTER, B_BETTER, A_BETTER)
    assert (answers([row], "chosen"), answers([row], "rejected")) == (["A"], ["B"])
    assert row["agreement"] == round(2 / 3, 6)
    assert len(row["labels"]) == 3  # the one who was outvoted is behind the row too


@pytest.mark.parametrize(
    "said",
    [
        (TIE,),
        (A_BETTER, B_BETTER),
        (A_BETTER, B_BETTER, TIE),
        (BOTH_BAD, BOTH_BAD),
        (A_BETTER, TIE, TIE),  # one voice in three is below half
    ],
    ids=["tie", "as many either way", "as many and a tie", "both unacceptable", "few voices"],
)
def test_without_a_majority_there_is_no_row(project, bob, bea, alice, said):
    assert votes(project, [bob, bea, alice][: len(said)], *said) == []


def test_both_unacceptable_is_no_voice(project, bob, bea):
    (row,) = votes(project, [bob, bea], BOTH_BAD, B_BETTER)
    assert (answers([row], "chosen"), row["agreement"]) == (["B"], 1.0)
    assert len(row["labels"]) == 1


def test_one_unacceptable_answer_still_loses(project, bob):
    (row,) = votes(project, [bob], {**A_BETTER, "unacceptable": (False, True)})
    assert answers([row], "chosen") == ["A"]


@pytest.mark.parametrize(
    ("strengths", "margin"),
    [
        ((4, None, None), 1.0),  # of four levels, one judge
        ((1, None, None), 0.25),
        ((4, 2, None), (4 / 4 + 2 / 4) / 2),
        ((3, 1, -4), 0.0),  # two for A, weakly; one for B, and how: nothing is left of it
        ((4, 3, -1), round((1 + 3 / 4 - 1 / 4) / 3, 6)),
        ((2, 2, 0), round((2 / 4 + 2 / 4) / 3, 6)),  # a tie adds nothing and counts as a voice
    ],
)
def test_the_margin_is_the_mean_strength(project, bob, bea, alice, strengths, margin):
    said = [
        TIE if strength == 0 else {"ranks": (1, 2) if strength > 0 else (2, 1), "strength": abs(strength)}
        for strength in strengths
        if strength is not None
    ]
    (row,) = votes(project, [bob, bea, alice][: len(said)], *said)
    assert answers([row], "chosen") == ["A"]
    assert row["margin"] == margin


@pytest.mark.parametrize(("minimum", "kept"), [(0.5, 1), (0.66, 1), (0.67, 0), (1.0, 0)])
def test_the_minimum_agreement_is_of_all_voices(project, bob, bea, alice, minimum, kept):
    assert len(votes(project, [bob, bea, alice], A_BETTER, A_BETTER, TIE, minimum_agreement=minimum)) == kept


def test_a_ranking_of_three_is_three_pairs(project, bob):
    says(bob, compares(a_prompt(project), "best", "worst", "middle"), ranks=(1, 3, 2))
    pairs = {(answers([row], "chosen")[0], answers([row], "rejected")[0]) for row in rows_of(project)}
    assert pairs == {("best", "middle"), ("best", "worst"), ("middle", "worst")}


def test_pairs_of_different_items_share_their_votes(project, bob, bea, alice):
    prompt = a_prompt(project)
    says(bob, compares(prompt, "A", "B"), **A_BETTER)
    says(bea, compares(prompt, "B", "A", "C"), ranks=(2, 1, 3))
    says(alice, compares(prompt, "A", "B", "D"), ranks=(2, 1, 3))
    found = {(answers([row], "chosen")[0], answers([row], "rejected")[0]): row["agreement"] for row in rows_of(project)}
    assert found["A", "B"] == round(2 / 3, 6)
    assert ("B", "A") not in found


def test_an_edit_is_preferred_over_what_was_edited(project, bob):
    label = says(bob, demonstrates(a_prompt(project), "yes 10"), verdict="edit", text="Yes, from ten.")
    (row,) = rows_of(project)
    assert (answers([row], "chosen"), answers([row], "rejected")) == (["Yes, from ten."], ["yes 10"])
    assert (row["margin"], row["labels"]) == (1.0, [label.pk])
    assert rows_of(project, edits_as_preferences=False) == []


def test_who_writes_the_same_edit_prefers_it_over_their_own_draft(project, bob, bea):
    prompt = a_prompt(project)
    first = says(bob, demonstrates(prompt, "bob's draft"), verdict="edit", text="The one good answer.")
    second = says(bea, demonstrates(prompt, "bea's draft"), verdict="edit", text="The one good answer.")
    assert first.response == second.response
    rows = {answers([row], "rejected")[0]: row["labels"] for row in rows_of(project)}
    assert rows == {"bob's draft": [first.pk], "bea's draft": [second.pk]}


def test_the_edit_of_a_best_answer_is_a_row_and_is_preferred_over_its_original(project, bob, bea):
    prompt = a_prompt(project)
    label = says(bob, compares(prompt, "good", "bad", "middling"), ranks=(1, 3, 2), strength=2, text="perfect")
    (row,) = rows_of(project, "demonstrations")
    assert (answers([row]), row["labels"]) == (["perfect"], [label.pk])
    pairs = {(answers([row], "chosen")[0], answers([row], "rejected")[0]): row["margin"] for row in rows_of(project)}
    among = {("good", "middling"): 0.5, ("good", "bad"): 0.5, ("middling", "bad"): 0.5}
    assert pairs == {("perfect", "good"): 1.0, **among}
    assert len(rows_of(project, edits_as_preferences=False)) == 3
    # Another person writes the same text out of another answer: it is preferred over that one.
    says(bea, compares(prompt, "bad", "worse"), **A_BETTER, text="perfect")
    pairs = {(answers([row], "chosen")[0], answers([row], "rejected")[0]) for row in rows_of(project)}
    assert pairs == {("perfect", "good"), ("perfect", "bad"), ("bad", "worse"), *among}


# Frozen


def test_the_hash_is_of_the_rows_in_their_order(project, bob):
    labels = [an_edit(bob), an_edit(bob)]
    rows = []
    for label in labels:
        prompt = label.item.prompt
        message = {"role": "assistant", "content": label.response.text}
        rows.append(
            {
                "completion": [message],
                "labels": [label.pk],
                "language": "",
                "prompt": prompt.messages,
                "prompt_sha256": prompt.sha256,
                "tags": [],
            }
        )
    rows.sort(key=lambda row: row["prompt_sha256"])
    text = "".join(json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in rows)
    snapshot = freeze(project=project, kind="demonstrations")
    assert snapshot.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert snapshots.read(snapshot) == rows


def test_the_same_labels_and_rule_are_the_same_snapshot(project, bob, alice):
    an_edit(bob)
    first = freeze(project=project, kind="demonstrations", actor=alice.person)
    assert freeze(project=project, kind="demonstrations") == first
    assert Snapshot.objects.count() == 1
    assert Event.objects.filter(verb="snapshot frozen").count() == 1
    assert first.created_by == alice.person
    an_edit(bob)
    second = freeze(project=project, kind="demonstrations")
    assert second.sha256 != first.sha256
    assert second.path != first.path


def test_another_rule_that_gives_the_same_rows_is_put_on_record_beside_the_first(project, bob, alice):
    a_preference(bob)
    first = freeze(project=project, kind="preferences")
    strict = Rule(minimum_agreement=0.9)
    for _ in range(2):
        found = freeze(project=project, kind="preferences", rule=strict, actor=alice.person)
        assert (found, found.rule) == (first, Rule().model_dump())
        assert found.other_rules == [strict.model_dump()]
    event = Event.objects.get(verb="snapshot found by another rule")
    assert (event.actor, event.data["rule"]["minimum_agreement"]) == (alice.person, 0.9)
    assert snapshots.in_words(found) == "1 rows."
    assert "another rule gave before" in snapshots.in_words(found, strict)
    assert freeze(project=project, kind="preferences").other_rules == [strict.model_dump()]


def test_the_order_in_which_labels_were_made_is_in_their_ids_alone(project, bob, bea, alice):
    """Another project where the same was said in another order has the same rows, but for the labels' ids."""
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    work = [("Is it?", ("A", "B"), (1, 2)), ("How much?", ("C", "D", "E"), (2, 1, 3)), ("Why?", ("F", "G"), (2, 1))]
    cast = {one.project: one for one in (bob, Membership.objects.create(person=bob.person, project=other))}
    for place, order in ((project, 1), (other, -1)):
        for question, texts, ranks in work[::order]:
            item = compares(a_prompt(place, question), *texts[::order])
            says(cast[place], item, ranks=ranks[::order], strength=3)

    def without_ids(place):
        return snapshots.content_hash({**row, "labels": []} for row in rows_of(place))

    assert without_ids(project) == without_ids(other)
    assert freeze(project=project, kind="preferences").sha256 != freeze(project=other, kind="preferences").sha256


def test_later_labels_change_nothing_that_is_frozen(project, bob, alice):
    labels = [a_preference(bob) for _ in range(3)]
    snapshot = freeze(project=project, kind="preferences")
    before, bytes_before = snapshots.read(snapshot), (snapshot.path / "train.parquet").read_bytes()
    a_preference(bob)
    labelling.retract(label=labels[0], actor=alice)
    labelling.revise(label=labels[1], said=Said(ranks=(2, 1)))
    freeze(project=project, kind="preferences")
    assert snapshots.read(snapshot) == before
    assert (snapshot.path / "train.parquet").read_bytes() == bytes_before
    assert snapshots.is_intact(snapshot)
    assert set(snapshot.labels.all()) == set(labels)


@pytest.mark.parametrize("damage", ["byte", "row", "half", "gone", "replaced"])
def test_a_file_that_was_touched_is_noticed_and_written_again(project, bob, damage):
    import pyarrow.parquet

    for _ in range(3):
        a_preference(bob)
    snapshot = freeze(project=project, kind="preferences")
    assert snapshots.is_intact(snapshot)
    path = snapshot.path / "train.parquet"
    rows = snapshots.read(snapshot)
    if damage == "byte":
        data = bytearray(path.read_bytes())
        place = data.index(b"good")
        data[place] ^= 1
        path.write_bytes(bytes(data))
    elif damage == "row":
        rows[0]["chosen"], rows[0]["rejected"] = rows[0]["rejected"], rows[0]["chosen"]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    else:
        pyarrow.parquet.write_table(pyarrow.table({"labels": [b"\xff"]}), path)
    assert not snapshots.is_intact(snapshot)
    assert freeze(project=project, kind="preferences") == snapshot
    assert snapshots.is_intact(snapshot)


def test_a_manifest_says_what_was_frozen(project, bob):
    label = an_edit(bob, prompt=a_prompt(project, language="nl", tags=["tea"]))
    snapshot = freeze(project=project, kind="preferences", rule=Rule(minimum_agreement=0.75))
    counts = {"rows": 1, "prompts": 1, "labels": 1, "languages": {"nl": 1}, "tags": {"tea": 1}}
    assert json.loads((snapshot.path / "manifest.json").read_text()) == {
        "kind": "preferences",
        "rule": Rule(minimum_agreement=0.75).model_dump(),
        "counts": counts,
        "sha256": snapshot.sha256,
        "labels": [label.pk],
        "columns": [
            *("agreement", "chosen", "labels", "language", "margin", "prompt", "prompt_sha256", "rejected", "tags"),
        ],
    }
    assert snapshot.counts == counts
    assert sorted(path.name for path in snapshot.path.iterdir()) == ["manifest.json", "train.parquet"]
    assert [path.name for path in snapshot.path.parent.iterdir()] == [snapshot.path.name]  # nothing half-written


def test_it_loads_as_a_dataset(project, bob, tmp_path):
    import datasets

    texts = ["Plain.", "Zeile\u2028neu", "emoji 🦉, tabs\t, quotes \" and '", "{{ braces }}"]
    for text in texts:
        says(bob, demonstrates(a_prompt(project)), verdict="edit", text=text)
    snapshot = freeze(project=project, kind="demonstrations")
    assert snapshots.is_intact(snapshot)
    loaded = datasets.load_dataset(str(snapshot.path), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"].to_list() == snapshots.read(snapshot)
    assert answers(loaded["train"]) == sorted(texts)


@pytest.mark.parametrize(("kind", "words"), [("demonstrations", "demonstration"), ("preferences", "comparison")])
def test_nothing_to_freeze_is_said(project, bob, kind, words):
    says(bob, demonstrates(a_prompt(project)), verdict="reject")
    with pytest.raises(NoRows, match=f"No .*{words}.* on a training prompt"):
        freeze(project=project, kind=kind)
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("rule", [{"minimum_agreement": 0.4}, {"minimum_agreement": 1.1}, {"simulate": True}])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ValueError, match=next(iter(rule))):
        Rule(**rule)


@pytest.mark.django_db(transaction=True)
def test_two_freezes_at_the_same_moment_are_one_snapshot(project, bob):
    for _ in range(20):
        a_preference(bob)
    found = all_at_once(*[lambda: freeze(project=project, kind="preferences")] * 6)
    assert {snapshot.pk for snapshot in found} == {Snapshot.objects.get().pk}
    assert snapshots.is_intact(found[0])
    assert [path.name for path in found[0].path.parent.iterdir()] == [found[0].path.name]


# Good and bad answers by themselves


def verdicts(rows) -> dict[str, bool]:
    return {row["completion"][0]["content"]: row["label"] for row in rows}


def test_answers_are_good_or_bad_by_themselves(project, bob):
    kept, rejected = demonstrates(a_prompt(project), "kept"), demonstrates(a_prompt(project), "rejected")
    label = says(bob, kept, verdict="accept")
    says(bob, rejected, verdict="reject")
    says(bob, demonstrates(a_prompt(project), "draft"), verdict="edit", text="mended")
    ranked = compares(a_prompt(project), "best", "middling", "awful")
    says(bob, ranked, ranks=(1, 2, 3), unacceptable=(False, False, True))
    says(bob, compares(a_prompt(project), "as good", "as well"), **TIE)
    says(bob, compares(a_prompt(project), "hopeless", "useless"), **BOTH_BAD)
    says(bob, compares(a_prompt(project), "nearly", "far off"), ranks=(1, 2), text="there")
    rows = rows_of(project, "unpaired")
    good = {"kept": True, "mended": True, "best": True, "there": True}
    assert verdicts(rows) == {**good, "rejected": False, "awful": False, "hopeless": False, "useless": False}
    assert next(row for row in rows if row["labels"] == [label.pk]) == {
        "prompt": kept.prompt.messages,
        "prompt_sha256": kept.prompt.sha256,
        "language": "",
        "tags": [],
        "completion": [{"role": "assistant", "content": "kept"}],
        "label": True,
        "agreement": 1.0,
        "labels": [label.pk],
    }


def test_the_majority_says_whether_an_answer_is_good(project, bob, bea, alice):
    item = compares(a_prompt(project), "A", "B")
    says(bob, item, **A_BETTER)
    says(bea, item, **BOTH_BAD)
    assert verdicts(rows_of(project, "unpaired")) == {"B": False}  # one voice each way about A
    says(alice, item, **A_BETTER)
    assert verdicts(rows_of(project, "unpaired")) == {"A": True, "B": False}
    assert verdicts(rows_of(project, "unpaired", minimum_agreement=0.7)) == {"B": False}


def test_good_and_bad_answers_freeze_and_what_may_not_enter_stays_out(project, bob, robot, alice):
    held = a_prompt(project, split="heldout")
    says(bob, compares(held, "A", "B", purpose="head_to_head"), **A_BETTER)
    says(bob, demonstrates(a_prompt(project), "gold", purpose="gold"), verdict="reject")
    says(robot, demonstrates(a_prompt(project), "simulated"), verdict="reject")
    labelling.retract(label=says(bob, demonstrates(a_prompt(project), "withdrawn"), verdict="reject"), actor=alice)
    with pytest.raises(NoRows, match="good or bad"):
        freeze(project=project, kind="unpaired")
    label = says(bob, demonstrates(a_prompt(project), "rude"), verdict="reject")
    snapshot = freeze(project=project, kind="unpaired")
    assert verdicts(snapshots.read(snapshot)) == {"rude": False}
    assert list(snapshot.labels.all()) == [label]
    assert snapshots.is_intact(snapshot)
