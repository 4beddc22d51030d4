"""Earlier turns of the assistant are mended: the answer then belongs to a conversation of its own, on the same side."""

import pytest
from django.core.exceptions import ValidationError

from annotation import labelling
from annotation.asking import ask
from annotation.exporting import labelled_rows
from annotation.importing import import_lines
from annotation.labelling import Said
from annotation.mending import mended_prompt
from annotation.models import Label, Prompt, Response
from annotation.text import is_heldout, sha256
from tests.annotation.making import an_answer, lease

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Do you sell tea?"},
    {"role": "assistant", "content": "No idea, [NAME]."},
    {"role": "user", "content": "Green tea?"},
    {"role": "assistant", "content": "Perhaps."},
    {"role": "user", "content": "How much?"},
]


def a_talk(project, answer: str | None = "Cheap.", **more):
    more = {"split": "train", "language": "en", "tags": ["tea"], **more}
    prompt = Prompt.objects.create(project=project, messages=TALK, sha256=sha256(TALK), **more)
    responses = [an_answer(prompt, answer)] if answer else []
    return ask(project=project, prompt=prompt, kind="demonstration", responses=responses)[0]


def edit(member, text="Four euros.", **turns):
    turns = {int(place.removeprefix("turn_")): words for place, words in turns.items()}
    said = Said(verdict="edit", text=text, turns=turns)
    return labelling.submit(assignment=lease(member, "demonstration"), said=said)


def test_the_answer_belongs_to_the_mended_conversation(project, bob):
    item = a_talk(project)
    label = edit(bob, turn_2=" We do, Anna. ")
    prompt = label.response.prompt
    assert prompt != item.prompt
    assert [message["content"] for message in prompt.messages] == [
        "Be brief.", "Do you sell tea?", "We do, Anna.", "Green tea?", "Perhaps.", "How much?"
    ]  # fmt: skip
    assert (prompt.edited_from, prompt.project, prompt.language, prompt.tags) == (item.prompt, project, "en", ["tea"])
    assert prompt.sha256 == sha256(prompt.messages)
    item.prompt.refresh_from_db()
    assert item.prompt.messages == TALK, "what was asked stays as it was"
    assert label.response.edited_from == item.responses.get()


def test_an_answer_that_needs_no_edit_is_kept_in_the_mended_conversation(project, bob):
    item = a_talk(project)
    label = edit(bob, text="Cheap.", turn_4="Yes.")
    assert (label.response.text, label.response.prompt.edited_from) == ("Cheap.", item.prompt)
    assert label.response != item.responses.get()


def test_a_new_answer_may_come_with_mended_turns(project, bob):
    item = a_talk(project, answer=None)
    label = edit(bob, turn_4="Yes.")
    assert (label.response.origin, label.response.prompt.edited_from) == ("human", item.prompt)


def test_turns_that_say_the_same_change_nothing(project, bob):
    item = a_talk(project)
    label = edit(bob, turn_2="No idea, [NAME].", turn_4=" Perhaps.\n")
    assert label.response.prompt == item.prompt
    assert Prompt.objects.count() == 1


@pytest.mark.parametrize("verdict", ["accept", "reject"])
def test_turns_go_with_an_edit_and_are_left_out_otherwise(project, bob, verdict):
    item = a_talk(project)
    said = Said(verdict=verdict, turns={2: "We do."})
    label = labelling.submit(assignment=lease(bob, "demonstration"), said=said)
    assert label.response == (item.responses.get() if verdict == "accept" else None)
    assert Prompt.objects.count() == 1


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ({1: "Have you tea?"}, "Only what the assistant said"),
        ({0: "Be long."}, "Only what the assistant said"),
        ({6: "More"}, "Only what the assistant said"),
        ({-2: "More"}, "Only what the assistant said"),
        ({2: "  "}, "is empty"),
        ({2: "a\0b"}, "NUL"),
        ({2: "No idea, [NAME]."}, "Nothing was changed"),
    ],
)
def test_turns_that_do_not_fit_are_refused(project, bob, turns, reason):
    a_talk(project)
    assignment = lease(bob, "demonstration")
    with pytest.raises(ValidationError, match=reason):
        labelling.submit(assignment=assignment, said=Said(verdict="edit", text="Cheap.", turns=turns))
    assert (Prompt.objects.count(), Response.objects.count(), Label.objects.count()) == (1, 1, 0)


def test_a_comparison_leaves_the_conversation_as_it_is(project, bob):
    prompt = Prompt.objects.create(project=project, messages=TALK, sha256=sha256(TALK), split="train")
    answers = [an_answer(prompt, text) for text in ("a", "b")]
    ask(project=project, prompt=prompt, kind="comparison", responses=answers)
    with pytest.raises(ValidationError, match="stays as it is"):
        labelling.submit(assignment=lease(bob), said=Said(ranks=(1, 2), turns={2: "We do."}))


def test_two_people_who_mend_alike_share_one_conversation(project, bob, bea):
    item = a_talk(project)
    type(item).objects.filter(pk=item.pk).update(wanted=2)
    first, second = edit(bob, turn_2="We do."), edit(bea, turn_2="We do.", text="Five.")
    assert first.response.prompt == second.response.prompt
    assert first.response != second.response


# Sides


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_the_mended_conversation_is_on_the_same_side_whatever_its_hash(project, split):
    prompt = a_talk(project, split=split).prompt
    made = [mended_prompt(prompt=prompt, turns={2: f"Answer {number}."}) for number in range(12)]
    assert {is_heldout(one.sha256, 0.2) for one in made} == {True, False}, "their own hashes would split them"
    assert {one.split for one in made} == {split}


def test_a_label_on_a_held_out_conversation_is_not_trained_on_however_it_was_mended(project, bob):
    a_talk(project, split="heldout")
    edit(bob, turn_2="We do.")
    assert not Label.objects.trainable().exists()


@pytest.mark.parametrize(("item_side", "other_side"), [("train", "heldout"), ("heldout", "train")])
def test_mending_into_a_conversation_of_the_other_side_trains_on_neither(project, bob, item_side, other_side):
    a_talk(project, split=item_side)
    there = [*TALK[:2], {"role": "assistant", "content": "We do."}, *TALK[3:]]
    Prompt.objects.create(project=project, messages=there, sha256=sha256(there), split=other_side)
    label = edit(bob, turn_2="We do.")
    assert (label.response.prompt.split, label.response.prompt.edited_from) == (other_side, None)
    assert not Label.objects.trainable().exists()


def test_a_label_with_an_answer_on_training_prompts_is_trained_on(project, bob):
    a_talk(project)
    label = edit(bob, turn_2="We do.")
    assert list(Label.objects.trainable()) == [label]


# Import and export


def test_importing_what_somebody_mended_already_keeps_it_and_its_side(project, bob):
    a_talk(project, split="heldout")
    mended = edit(bob, turn_2="We do.").response.prompt
    line = canonical_line(mended.messages, "Three euros.")
    summary = import_lines(project=project, lines=[line, line])
    assert (summary.rejected, summary.prompts, summary.demonstrations) == ([], 0, 1)
    mended.refresh_from_db()
    assert (mended.split, Prompt.objects.count()) == ("heldout", 2)


def canonical_line(messages, answer):
    import json

    return json.dumps({"messages": [*messages, {"role": "assistant", "content": answer}]})


def test_an_export_tells_the_conversation_that_was_kept(project, bob):
    a_talk(project)
    label = edit(bob, turn_2="We do.")
    (row,) = labelled_rows(project=project)
    assert row["prompt"] == TALK
    assert row["labels"][0]["prompt"] == label.response.prompt.messages


def test_an_export_of_an_answer_to_the_conversation_itself_says_it_once(project, bob):
    a_talk(project)
    edit(bob)
    (row,) = labelled_rows(project=project)
    assert "prompt" not in row["labels"][0]


# Taking it back


def test_what_was_mended_comes_back_to_be_edited_when_the_label_is_undone(project, bob):
    a_talk(project)
    said = Said(verdict="edit", text="Four euros.", turns={2: "We do."}, flags=["tone"])
    label = labelling.submit(assignment=lease(bob, "demonstration"), said=said)
    draft = labelling.undo(assignment=label.assignment).draft
    assert draft == {
        "verdict": "edit", "text": "Four euros.", "turn_2": "We do.", "flags": ["tone"], "comment": "",
    }  # fmt: skip
