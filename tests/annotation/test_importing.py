"""Bringing data in: what each kind of line becomes, and that no line can spoil the others."""

import io
import json
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db.models import F

from annotation import exporting, importing, labelling
from annotation.asking import ask
from annotation.importing import Summary, import_lines
from annotation.labelling import Said
from annotation.models import Event, Item, Prompt, Response
from annotation.shapes.records import LONGEST_LINE
from annotation.text import is_heldout, sha256
from tests.annotation.making import all_at_once, lease

USER = {"role": "user", "content": "Where is my parcel?"}
SYSTEM = {"role": "system", "content": "Be kind."}
ANSWER = {"role": "assistant", "content": "On its way."}


def line(**data):
    return json.dumps(data)


def rows():
    """Everything an import can make, in an order that does not hang on ids."""
    return {
        "prompts": sorted(Prompt.objects.values_list("sha256", "split")),
        "responses": sorted(Response.objects.values_list("prompt__sha256", "text", "origin")),
        "items": sorted(Item.objects.values_list("fingerprint", "kind", "prompt__sha256", "wanted")),
        "answers": sorted(Item.objects.values_list("fingerprint", "answers__response__text", "answers__order")),
    }


def some_of_everything(count=40):
    for number in range(count):
        prompt = f"Question {number}?"
        yield line(prompt=prompt)
        yield line(prompt=prompt, completion=f"Draft {number}.")
        yield line(prompt=prompt, responses=[f"One {number}.", f"Two {number}.", f"Three {number}."])
        yield line(messages=[SYSTEM, {"role": "user", "content": prompt}, ANSWER])


# What lines become


def test_messages_become_a_prompt_and_a_demonstration(project):
    earlier = [SYSTEM, USER, ANSWER, {"role": "user", "content": "Thanks. When?"}]
    summary = import_lines(project=project, lines=[line(messages=[*earlier, {**ANSWER, "content": " Soon.\n"}])])
    prompt, item = Prompt.objects.get(), Item.objects.get()
    assert prompt.messages == earlier
    assert (item.prompt, item.kind, item.purpose, item.wanted) == (prompt, "demonstration", "train", 1)
    assert [(answer.text, answer.origin) for answer in item.responses.all()] == [("Soon.", "import")]
    assert (summary.added, summary.prompts, summary.responses, summary.demonstrations) == (1, 1, 1, 1)


def test_messages_that_end_with_the_user_are_a_prompt_alone(project):
    import_lines(project=project, lines=[line(messages=[SYSTEM, USER])])
    assert Prompt.objects.get().messages == [SYSTEM, USER]
    assert not Item.objects.exists()


@pytest.mark.parametrize("prompt", ["Where is my parcel?", [USER]])
@pytest.mark.parametrize("completion", ["On its way.", [ANSWER]])
def test_prompt_and_completion_become_a_demonstration(project, prompt, completion):
    import_lines(project=project, lines=[line(prompt=prompt, completion=completion)])
    item = Item.objects.get()
    assert item.kind == "demonstration"
    assert item.prompt.messages == [USER]
    assert item.responses.get().text == "On its way."


@pytest.mark.parametrize("responses", [["a", "b"], [{"text": "a"}, {"text": "b"}], [[{"content": "a"}], "b"]])
def test_prompt_and_responses_become_a_comparison(project, responses):
    project.labels_per_item = 3
    project.save()
    import_lines(project=project, lines=[line(prompt=[SYSTEM, USER], responses=responses)])
    item = Item.objects.get()
    assert (item.kind, item.wanted, item.prompt.messages) == ("comparison", 3, [SYSTEM, USER])
    assert [(answer.order, answer.response.text) for answer in item.answers.all()] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("number", "sizes"),
    [(2, [2]), (3, [3]), (8, [8]), (9, [5, 5]), (12, [6, 7]), (15, [8, 8]), (16, [6, 6, 6]), (40, [7, 8, 7, 8, 7, 8])],
)
def test_up_to_eight_responses_are_ranked_at_once_and_more_in_groups_that_overlap(project, number, sizes):
    texts = [f"answer {number}" for number in range(number)]
    summary = import_lines(project=project, lines=[line(prompt="?", responses=texts)])
    assert (summary.added, summary.comparisons, summary.responses) == (1, len(sizes), number)
    groups = [list(item.answers.values_list("response__text", flat=True)) for item in Item.objects.order_by("id")]
    assert [len(group) for group in groups] == sizes
    assert all(one[-1] == following[0] for one, following in pairwise(groups))
    assert [text for place, group in enumerate(groups) for text in group[bool(place) :]] == texts


@pytest.mark.parametrize(
    "responses",
    [["a", "b ", "a", "b"], ["a", "b", "b\u200b"], ["a", "\u200ea", "b"], ["a", "b", "\ufeffb \n"]],
)
def test_responses_that_look_the_same_are_one(project, responses):
    import_lines(project=project, lines=[line(prompt="?", responses=responses)])
    assert list(Item.objects.get().answers.values_list("response__text", flat=True)) == ["a", "b"]


def test_an_export_can_be_imported_again(project, bob, charlie):
    from annotation.models import Project

    sent = [line(prompt="?", responses=list("abcd")), line(prompt=[SYSTEM, USER], completion="A draft.", tags=["x"])]
    import_lines(project=project, lines=sent)
    labelling.submit(assignment=lease(bob), said=Said(ranks=(1, 2, 2, 4), text="better than all"))
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="reject"))
    rows_out = [json.dumps(row) for row in exporting.labelled_rows(project=project)]
    assert import_lines(project=project, lines=rows_out).known == 2
    other = Project.objects.create(slug="other", name="Other", heldout_share=project.heldout_share)
    summary = import_lines(project=other, lines=rows_out)
    assert (summary.added, summary.rejected, Item.objects.filter(project=other).count()) == (2, [], 2)
    for mine, theirs in zip(
        *(Item.objects.filter(project=one).order_by("id") for one in (project, other)), strict=True
    ):
        assert mine.fingerprint == theirs.fingerprint


def test_a_prompt_alone_becomes_nothing_to_label(project):
    summary = import_lines(project=project, lines=[line(prompt="Where is my parcel?")])
    assert Prompt.objects.get().messages == [USER]
    assert not Item.objects.exists()
    assert (summary.added, summary.prompts) == (1, 1)


def test_language_tags_and_metadata_come_along(project):
    metadata = {"nested": [None, {"deep": [[None]]}], "number": 1.5, r"\u0000 as it is written": True}
    import_lines(project=project, lines=[line(prompt="?", language="en", tags=["post", "x" * 99], metadata=metadata)])
    prompt = Prompt.objects.get()
    assert (prompt.language, prompt.tags, prompt.metadata) == ("en", ["post", "x" * 64], metadata)


def test_nulls_are_the_same_as_nothing(project):
    nothing = dict.fromkeys(("messages", "completion", "responses", "language", "tags", "metadata"))
    import_lines(project=project, lines=[line(prompt="?", **nothing)])
    prompt = Prompt.objects.get()
    assert (prompt.language, prompt.tags, prompt.metadata) == ("", [], {})


def test_all_of_unicode_that_can_be_stored_is_kept_as_it_is(project):
    text = "Zoë 😀 \u202e\u2028 e\u0301 \ufeff\x01\x7f 漢字"
    import_lines(project=project, lines=[line(prompt="?", completion=text)])
    assert Response.objects.get().text == text


def test_items_come_in_the_order_of_the_file(project):
    import_lines(project=project, lines=[line(prompt=f"{number}?", completion="a") for number in range(30)])
    asked = [item.prompt.last_turn for item in Item.objects.order_by("id")]
    assert asked == [f"{number}?" for number in range(30)]


# Once is enough


def test_the_same_file_twice_adds_nothing(project):
    lines = list(some_of_everything())
    first = import_lines(project=project, lines=lines)
    before = rows()
    again = import_lines(project=project, lines=lines)
    assert rows() == before
    assert (first.added, first.known, again.added, again.known) == (160, 0, 0, 160)
    assert (again.prompts, again.responses, again.demonstrations, again.comparisons) == (0, 0, 0, 0)


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_size_of_batches_makes_no_difference(project, monkeypatch, batch):
    monkeypatch.setattr(importing, "BATCH", batch)
    lines = [*some_of_everything(20), *some_of_everything(10)]
    summary = import_lines(project=project, lines=lines)
    assert (summary.added, summary.known) == (80, 40)
    assert (summary.prompts, summary.responses) == (Prompt.objects.count(), Response.objects.count()) == (40, 100)
    assert (summary.demonstrations, summary.comparisons) == (40, 20)
    assert Item.objects.count() == 60


def test_the_three_spellings_of_a_demonstration_are_one(project):
    lines = [
        line(prompt=USER["content"], completion="On its way."),
        line(messages=[USER, ANSWER]),
        line(completion=[ANSWER], prompt=[USER], metadata={"other": "metadata"}),
        line(messages=[USER, {**ANSWER, "content": "On its way. "}]),
    ]
    summary = import_lines(project=project, lines=lines)
    assert (summary.added, summary.known, Item.objects.count(), Prompt.objects.count()) == (1, 3, 1, 1)


def test_the_same_responses_in_another_order_are_the_same_comparison(project):
    lines = [line(prompt="?", responses=["a", "b"]), line(prompt="?", responses=["b", "a"])]
    assert import_lines(project=project, lines=lines).known == 1
    assert Item.objects.count() == 1


def test_what_was_asked_otherwise_is_known_to_an_import(project):
    import_lines(project=project, lines=[line(prompt="?", responses=["a", "b", "c"])])
    prompt = Prompt.objects.get()
    a, c = (prompt.responses.get(text=text) for text in "ac")
    _, new = ask(project=project, prompt=prompt, kind="comparison", responses=[c, a])
    assert new
    assert import_lines(project=project, lines=[line(prompt="?", responses=["a", "c"])]).known == 1


def test_an_import_adds_what_is_missing_to_what_is_known(project):
    import_lines(project=project, lines=[line(prompt="?")])
    summary = import_lines(project=project, lines=[line(prompt="?", completion="a")])
    assert (summary.added, summary.prompts, summary.demonstrations) == (1, 0, 1)
    summary = import_lines(project=project, lines=[line(prompt="?", responses=["a", "b"])])
    assert (summary.added, summary.responses, summary.comparisons) == (1, 1, 1)


def test_projects_share_nothing(project, charlie):
    from annotation.models import Project

    other = Project.objects.create(slug="other", name="Other")
    for one in (project, other):
        assert import_lines(project=one, lines=list(some_of_everything(3))).added == 12
    assert Item.objects.filter(project=other).count() == Item.objects.filter(project=project).count() == 9
    assert not Item.objects.exclude(prompt__project=F("project")).exists()


def test_an_import_is_on_record(project, alice):
    import_lines(project=project, lines=[line(prompt="?"), "{"], actor=alice.person)
    event = Event.objects.get(verb="data imported")
    assert (event.actor, event.data) == (alice.person, {"added": 1, "known": 0, "rejected": 1})


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_file_at_once_do_what_one_does(project, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 20)
    lines = list(some_of_everything(25))
    back = [*lines[60:], *lines[:60]]
    summaries = all_at_once(
        partial(import_lines, project=project, lines=lines),
        partial(import_lines, project=project, lines=lines),
        partial(import_lines, project=project, lines=back),
        partial(import_lines, project=project, lines=lines[::-1]),
    )
    together = rows()
    assert [summary.added + summary.known for summary in summaries] == [len(lines)] * 4
    assert sum(summary.prompts for summary in summaries) == len(together["prompts"])
    assert sum(summary.responses for summary in summaries) == len(together["responses"])
    assert sum(summary.demonstrations + summary.comparisons for summary in summaries) == len(together["items"])
    Item.objects.all().delete(), Prompt.objects.all().delete()
    import_lines(project=project, lines=lines)
    alone = rows()
    assert [(print_, text) for print_, text, _ in together.pop("answers")] == [
        (print_, text) for print_, text, _ in alone.pop("answers")
    ]
    assert together == alone


# Held out


def test_the_split_is_decided_by_the_prompt_alone(project):
    import_lines(project=project, lines=list(some_of_everything(100)))
    for prompt in Prompt.objects.all():
        assert prompt.sha256 == sha256(prompt.messages)
        assert (prompt.split == "heldout") is is_heldout(prompt.sha256, 0.2)
    splits = Counter(Prompt.objects.values_list("split", flat=True))
    assert 20 <= splits["heldout"] <= 60
    assert not Item.objects.exclude(prompt__split__in=["train", "heldout"]).exists()


def test_the_split_of_a_prompt_is_fixed_when_it_comes(project):
    lines = list(some_of_everything(20))
    import_lines(project=project, lines=lines)
    before = rows()["prompts"]
    project.heldout_share = 0.9
    project.save()
    import_lines(project=project, lines=lines)
    assert rows()["prompts"] == before


def test_nothing_is_held_out_of_a_project_that_holds_nothing_out(project):
    project.heldout_share = 0
    project.save()
    import_lines(project=project, lines=list(some_of_everything(20)))
    assert not Prompt.objects.heldout().exists()


# Bad lines

DEEP = 100_000
BAD = {
    "not JSON": ("{", "not JSON"),
    "two objects": ('{"prompt": "a"} {"prompt": "b"}', "not JSON"),
    "a number too long to read": ('{"prompt": "?", "metadata": {"n": ' + "9" * 5000 + "}}", "not JSON"),
    "deep nesting": ("[" * DEEP + "]" * DEEP, "not JSON"),
    "metadata of deep nesting": ('{"prompt": "?", "metadata": {"a": ' + "[" * 300 + "]" * 300 + "}}", "nested"),
    "metadata of very deep nesting": ('{"prompt": "?", "metadata": {"a": ' + "[" * DEEP + "]" * DEEP + "}}", "JSON"),
    "a huge line": (line(prompt="x" * 2_000_001), "longer than 2,000,000 characters"),
    "a list": ("[]", "not a JSON object"),
    "a text": ('"prompt"', "not a JSON object"),
    "null": ("null", "not a JSON object"),
    "nothing known": (line(question="?"), 'needs "messages" or "prompt"'),
    "no prompt": (line(completion="a"), 'needs "messages" or "prompt"'),
    "prompt null": (line(prompt=None, completion="a"), '"prompt" must be a list of messages, or a text'),
    "prompt empty": (line(prompt="  ", completion="a"), "what the user says last is empty"),
    "prompt a number": (line(prompt=7), '"prompt" must be a list'),
    "messages empty": (line(messages=[]), '"messages" must be a list'),
    "messages a text": (line(messages="hello"), '"messages" must be a list'),
    "messages of texts": (line(messages=["hello"]), "message 1"),
    "no user": (line(messages=[ANSWER]), "must end with what the user says"),
    "only a system message": (line(messages=[SYSTEM]), "must end with what the user says"),
    "system and answer": (line(messages=[SYSTEM, ANSWER]), "must end with what the user says"),
    "system later": (line(messages=[USER, SYSTEM, USER]), "message 2: a system message may only come first"),
    "role unknown": (line(messages=[{"role": "robot", "content": "?"}]), 'message 1: "role" must be'),
    "role missing": (line(messages=[USER, {"content": "?"}]), 'message 2: "role" must be'),
    "role a list": (line(messages=[{"role": ["user"], "content": "?"}]), 'message 1: "role" must be'),
    "role an object": (line(messages=[{"role": {}, "content": "?"}]), 'message 1: "role" must be'),
    "content null": (line(messages=[{"role": "user", "content": None}]), "must be a text"),
    "content a list": (line(messages=[{"role": "user", "content": [{"text": "?"}]}]), "must be a text"),
    "answer empty": (line(messages=[USER, {"role": "assistant", "content": " \n"}]), "an answer is empty"),
    "completion empty": (line(prompt="?", completion=""), "an answer is empty"),
    "completion a number": (line(prompt="?", completion=7), '"completion" must be a text'),
    "completion two messages": (line(prompt="?", completion=[ANSWER, ANSWER]), '"completion" must be a text'),
    "prompt ends with an answer": (line(prompt=[USER, ANSWER], completion="a"), "must end with what the user says"),
    "responses empty": (line(prompt="?", responses=[]), "at least two different responses"),
    "responses false": (line(prompt="?", responses=False), '"responses" must be a list'),
    "responses a text": (line(prompt="?", responses="ab"), '"responses" must be a list'),
    "responses one": (line(prompt="?", responses=["a"]), "at least two different responses"),
    "responses the same": (line(prompt="?", responses=["a", " a"]), "at least two different responses"),
    "responses the same to the eye": (line(prompt="?", responses=["a b", "a\u00a0 b"]), "at least two different"),
    "answers of no list": (line(prompt="?", answers="ab"), '"answers" must be a list'),
    "responses with a blank": (line(prompt="?", responses=["a", " "]), "an answer is empty"),
    "responses with null": (line(prompt="?", responses=["a", None]), "must be a text"),
    "responses without text": (line(prompt="?", responses=["a", {"answer": "b"}]), "must be a text"),
    "NUL in the prompt": (line(prompt="a\0b"), "NUL"),
    "NUL in a message": (line(messages=[{"role": "user", "content": "\0?"}]), "NUL"),
    "NUL in an answer": (line(prompt="?", completion="\0a"), "NUL"),
    "NUL in a response": (line(prompt="?", responses=["a", "b\0"]), "NUL"),
    "NUL in a tag": (line(prompt="?", tags=["\0"]), "NUL"),
    "NUL in metadata": (line(prompt="?", metadata={"a": [{"b": "\0"}]}), "NUL"),
    "NUL in a key": (line(prompt="?", metadata={"a": {"\0": 1}}), "NUL"),
    "NUL in the language": (line(prompt="?", language="e\0n"), "NUL"),
    "half a pair in the prompt": (line(prompt="\ud83d"), "surrogate"),
    "half a pair in an answer": (line(prompt="?", completion="\ude00\ud83d"), "surrogate"),
    "half a pair in metadata": (line(prompt="?", metadata={"\ud83d": 1}), "surrogate"),
    "not a number": ('{"prompt": "?", "metadata": {"n": NaN}}', "not finite"),
    "infinite": ('{"prompt": "?", "metadata": {"n": [-Infinity]}}', "not finite"),
    "too great": ('{"prompt": "?", "metadata": {"n": 1e999}}', "not finite"),
    "metadata a list": (line(prompt="?", metadata=["a"]), '"metadata" must be an object'),
    "tags a text": (line(prompt="?", tags="a"), '"tags" must be a list'),
    "tags of numbers": (line(prompt="?", tags=[1]), '"tags" must be a text'),
    "language a number": (line(prompt="?", language=7), '"language" must be a text'),
    "not UTF-8": (b'{"prompt": "caf\xe9"}', "not UTF-8"),
    "UTF-16": ('{"prompt": "?"}'.encode("utf-16"), "not UTF-8"),
    "a surrogate in UTF-8": (b'{"prompt": "\xed\xa0\xbd"}', "not UTF-8"),
}


def test_a_bad_line_is_reported_with_its_number_and_reason_and_stops_nothing(project):
    lines = [good_or_bad for bad, _ in BAD.values() for good_or_bad in (line(prompt=f"{len(bad)}?"), bad)]
    good = set(lines[::2])
    summary = import_lines(project=project, lines=lines)
    assert [number for number, _ in summary.rejected] == list(range(2, len(lines) + 1, 2))
    said = dict(zip(BAD, (reason for _, reason in summary.rejected), strict=True))
    assert {name: said[name] for name, (_, reason) in BAD.items() if reason not in said[name]} == {}
    assert {name: reason for name, reason in said.items() if len(reason) > 300} == {}
    assert summary.added == Prompt.objects.count() == len(good)


def test_a_file_of_bad_lines_adds_nothing(project):
    summary = import_lines(project=project, lines=[bad for bad, _ in BAD.values()])
    assert (summary.added, summary.known, len(summary.rejected)) == (0, 0, len(BAD))
    assert not Prompt.objects.exists()


def test_a_prompt_of_the_longest_line_is_stored(project):
    text = "x" * (LONGEST_LINE - 20)
    assert import_lines(project=project, lines=[line(prompt=text)]).added == 1
    assert Prompt.objects.get().messages[0]["content"] == text


@pytest.mark.parametrize("read", [lambda data: io.BytesIO(data), lambda data: SimpleUploadedFile("a.jsonl", data)])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_mark_line_ends_and_empty_lines_do_no_harm(project, read, end):
    one, two = (line(prompt=f"{n}?", completion="Zoë").encode() for n in (1, 2))
    data = b"\xef\xbb\xbf" + end.join([one, b"", b"  \t", b"{", two])
    summary = import_lines(project=project, lines=read(data))
    assert (summary.added, [number for number, _ in summary.rejected]) == (2, [4])
    assert sorted(prompt.last_turn for prompt in Prompt.objects.all()) == ["1?", "2?"]


def test_texts_are_read_as_bytes_are(project):
    summary = import_lines(project=project, lines=["\ufeff" + line(prompt="1?") + "\r\n", "\n", line(prompt="2?")])
    assert (summary.added, summary.rejected) == (2, [])


def test_an_empty_file_is_no_error(project):
    assert import_lines(project=project, lines=[]) == Summary()


# The command


def test_the_command_says_what_was_added_known_and_rejected(project, tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join([line(prompt="?", responses=["a", "b"]), "{", line(prompt="?", responses=["b", "a"])]))
    out, err = io.StringIO(), io.StringIO()
    call_command("import_data", "desk", str(file), stdout=out, stderr=err)
    assert "1 added, 1 known already, 1 rejected: 1 new prompts, 0 demonstrations and 1 comparisons" in out.getvalue()
    assert f"{file}:2: not JSON" in err.getvalue()


def test_the_command_refuses_an_unknown_project_or_file(project, tmp_path):
    with pytest.raises(CommandError, match="no project 'desc'"):
        call_command("import_data", "desc", str(tmp_path))
    with pytest.raises(CommandError, match=r"missing\.jsonl: No such file"):
        call_command("import_data", "desk", str(tmp_path / "missing.jsonl"))
