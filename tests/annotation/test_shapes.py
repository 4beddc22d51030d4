"""Files of every shape that people bring, written to the tool's own definition: what each record becomes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotation.shapes import SHAPES, BadLine, Row, recognise
from annotation.shapes.files import open_file
from annotation.shapes.rows import Said, ranked

FORMATS = Path(__file__).parent / "formats"
SHAPE_OF = {
    "openai-chat.jsonl": "openai-chat",
    "openai-preference.jsonl": "openai-preference",
    "sharegpt.json": "sharegpt",
    "alpaca.json": "alpaca",
    "trl-preference.jsonl": "trl-preference",
    "trl-unpaired.jsonl": "trl-unpaired",
    "trl-completion.jsonl": "trl-completion",
    "hh.jsonl": "hh",
    "label-studio-pairwise.json": "label-studio",
    "label-studio-ranker.json": "label-studio",
    "label-studio-textarea.json": "label-studio",
    "argilla.json": "argilla",
    "argilla-flat.jsonl": "argilla",
    "argilla-feedback.jsonl": "argilla",
    "doccano.jsonl": "doccano",
    "alpaca-eval.json": "alpaca-eval",
    "alpaca-eval-annotations.json": "alpaca-eval",
    "columns.csv": "columns",
    "touchstone.csv": "touchstone-csv",
}


def rows_of(name, mapping=None):
    """What each record becomes, or why it becomes nothing."""
    shape = SHAPES[SHAPE_OF[name]]
    return [understood(shape, one.record, one.number, mapping) for one in open_file(FORMATS / name).records()]


def understood(shape, record, number=1, mapping=None):
    try:
        return shape.understand(record, number, mapping)
    except BadLine as error:
        return str(error)


def user(text):
    return [{"role": "user", "content": text}]


def brief(row: Row):
    """The last turn, the answers, and of each label who ranked them how, or what became of the draft."""
    said = [(one.rater, one.ranks or one.verdict, *([one.text] if one.text else [])) for one in row.said]
    return row.messages[-1]["content"], row.answers, said


@pytest.mark.parametrize("name", SHAPE_OF)
def test_the_shape_of_a_file_is_found(name):
    records = [one.record for one in open_file(FORMATS / name).records()]
    assert recognise(records) == SHAPE_OF[name]


def test_a_line_of_our_own_table_is_an_item_with_one_label():
    first, second, third = rows_of("touchstone.csv")
    asked = "Do you post to Ireland?"
    assert brief(first) == (asked, ["Yes, for £6.", "=HYPERLINK(1)"], [("5f0c6d1b2a33", [1, 2])])
    assert (first.tags, first.metadata, first.language) == (["post"], {"channel": "mail"}, "en")
    assert (first.said[0].comment, first.said[0].positions) == ("-1 for the second", [1, 0])
    assert first.said[0].criteria == {"helpful": 0, "harmless": None}
    assert brief(second)[2] == [("9e8d7c6b5a44", [1, 1])]
    mended = "@home or in the shop,\nwithin 30 days."
    assert brief(third) == ("May I return it?", ["+1 for asking."], [("5f0c6d1b2a33", "edit", mended)])
    record = next(iter(open_file(FORMATS / "touchstone.csv").records())).record
    assert understood(SHAPES["touchstone-csv"], {**record, "votes": "[{"}) == '"votes" must be as it was exported: JSON'


def test_every_shape_has_a_file_and_every_file_a_shape():
    assert {*SHAPE_OF.values(), "touchstone"} == set(SHAPES)
    assert {file.name for file in FORMATS.iterdir()} == set(SHAPE_OF)


@pytest.mark.parametrize(
    "records",
    [
        [{"prompt": "?"}],
        [{"prompt": "?", "completion": "a"}],
        [{"prompt": user("?"), "responses": ["a", "b"], "tags": ["x"]}],
        [{"messages": user("?")}],
        [{"messages": user("?"), "language": "en"}],
        [
            {
                "item": 1,
                "kind": "comparison",
                "prompt": user("?"),
                "answers": [{"text": "a"}, {"text": "b"}],
                "labels": [],
            }
        ],
        [{"messages": user("?")}, {"prompt": "?", "responses": ["a", "b"]}],
    ],
)
def test_what_this_product_reads_itself_is_read_by_itself(records):
    assert recognise(records) == "touchstone"


@pytest.mark.parametrize("records", [[], [{}], [{"question_id": 7}], [{"prompt": None}], [{"data": 1}]])
def test_nothing_known_is_found_to_be_nothing(records):
    assert recognise(records) == ""


def test_a_table_with_a_prompt_by_another_name_is_left_to_be_mapped():
    records = [{"question": "?", "reply": "a"}]
    assert recognise(records) == "columns"
    mapping = SHAPES["columns"].mapping_of(records)
    assert (mapping["prompt"], mapping["completion"], mapping["chosen"]) == ("question", "reply", "")


# Chats


def test_openai_chat():
    first, second, third, tools, picture = rows_of("openai-chat.jsonl")
    assert first.messages == [{"role": "system", "content": "Be kind."}, *user("Where is my parcel?")]
    assert (first.kind, first.answers, first.said) == ("demonstration", ["On its way."], [])
    assert second.messages == first.messages
    assert second.answers == ["In Lyon."]
    assert (third.messages, third.answers) == (user("Hello."), ["Good day."])  # the last answer that has a weight
    assert tools == "message 2: what tools are asked and answer cannot be kept"
    assert picture == "message 1: pictures, sound and files cannot be kept, only text"


def test_openai_preference():
    row, same = rows_of("openai-preference.jsonl")
    assert row.messages == [{"role": "system", "content": "Be kind."}, *user("How cold is it today?")]
    assert (row.kind, row.answers) == ("comparison", ["Four degrees. Take a coat.", "Cold."])
    assert row.said == [Said(rater="", ranks=[1, 2])]
    assert same == "a comparison needs at least two different responses"


def test_sharegpt():
    first, second, third, tools = rows_of("sharegpt.json")
    assert [message["role"] for message in first.messages] == ["user", "assistant", "user"]
    assert (first.answers, first.metadata) == (["By people."], {"id": "identity_0"})
    assert second.messages == [{"role": "system", "content": "Be kind."}, *user("Hello.")]
    assert brief(third) == ("A colour?", ["Blue.", "There are many colours."], [("", [1, 2])])
    assert tools == "message 2: what tools are asked and answer cannot be kept"


def test_alpaca():
    first, history, preference, unpaired, alone = rows_of("alpaca.json")
    assert (first.messages, first.answers, first.metadata) == (
        user("Translate into French.\nGood day."),
        ["Bonjour."],
        {},
    )
    assert [message["content"] for message in history.messages] == [
        "Be brief.",
        "Name a fruit.",
        "Apple.",
        "Name a colour.",
    ]
    assert brief(preference) == ("Name a river.", ["The Rhine.", "Water."], [("", [1, 2])])
    assert brief(unpaired) == ("Name a town.", ["Lyon"], [("", "reject")])
    assert (alone.kind, alone.answers) == ("", [])


# TRL


def test_trl_preference():
    explicit, implicit, chat, implicit_chat, whole, apart = rows_of("trl-preference.jsonl")
    sky = ("The sky is", ["blue.", "green."], [("", [1, 2])])
    assert brief(explicit) == brief(implicit) == sky
    assert brief(chat) == ("What colour is the sky?", ["It is blue.", "It is green."], [("", [1, 2])])
    assert brief(implicit_chat) == ("What colour is the sky?", ["Blue.", "Green."], [("", [1, 2])])
    assert (whole.messages, whole.answers) == (user("What colour is grass?"), ["Green.", "Red."])
    assert whole.metadata == {"score_chosen": 8.5, "score_rejected": 2.0}
    assert apart == '"chosen" and "rejected" must be the same conversation up to the last answer'


def test_trl_unpaired():
    good, bad, named, unknown = rows_of("trl-unpaired.jsonl")
    assert brief(good) == ("The sky is", ["blue."], [("", "accept")])
    assert brief(bad) == ("What colour is the sky?", ["It is green."], [("", "reject")])
    assert brief(named) == ("Grass is", ["green."], [("bea", "accept")])
    assert unknown == '"label" must be true or false'


def test_trl_completion_is_not_judged_by_anybody():
    rows = rows_of("trl-completion.jsonl")
    assert [brief(row) for row in rows] == [
        ("The sky is", ["blue."], []),
        ("What colour is the sky?", ["It is blue."], []),
        ("Bye.", ["Farewell."], []),
    ]


def test_hh():
    row, apart, empty = rows_of("hh.jsonl")
    assert [message["content"] for message in row.messages] == ["What is a good pet?", "Do you like cats?", "Yes."]
    assert (row.answers, row.said[0].ranks) == (["Then a cat.\n\nTwo would be company.", "A dog."], [1, 2])
    assert apart == '"chosen" and "rejected" must be the same conversation up to the last answer'
    assert empty == '"chosen": an answer is empty'


# Other labelling tools


def test_label_studio_pairwise():
    row, unlabelled, no_prompt = rows_of("label-studio-pairwise.json")
    assert brief(row) == (
        "Where is my parcel?",
        ["On its way.", "Lost."],
        [("bob@example.com", [2, 1]), ("7", [1, 2])],  # who skipped it and what a model predicted are left out
    )
    bob = row.said[0]
    assert (bob.comment, bob.seconds) == ("sure: 4; why: Too short.", 4.288)
    assert bob.created_at == datetime(2026, 3, 9, 22, 16, 8, 728353, tzinfo=UTC)
    assert row.metadata == {"source": "desk"}
    assert (unlabelled.kind, unlabelled.said) == ("comparison", [])
    assert no_prompt == 'choose the column of "data" that is the prompt'


def test_label_studio_without_a_prompt_can_be_mapped():
    rows = rows_of(
        "label-studio-pairwise.json", {"prompt": "data.text1", "answer_1": "data.text2", "answer_2": "data.text2"}
    )
    assert rows[2] == "a comparison needs at least two different responses"
    assert rows[0] == 'choose the column of "data" that is the prompt'


def test_label_studio_ranker():
    (row,) = rows_of("label-studio-ranker.json")
    assert row.answers == ["A shorter way.", "A compact alternative to a function.", "A bolt."]
    assert [(one.rater, one.ranks) for one in row.said] == [("1", [2, 1, 3]), ("2", [3, 2, 1]), ("3", [2, 1, 2])]
    assert (row.said[0].seconds, row.said[1].seconds) == (12.5, None)


def test_label_studio_textarea():
    edited, written, rejected, alone = rows_of("label-studio-textarea.json")
    assert edited.answers == ["On it's way."]
    assert brief(edited)[2] == [("bob@example.com", "edit", "On its way."), ("bea@example.com", "accept")]
    assert edited.said[0].comment == "tone: polite, short"
    assert (written.kind, brief(written)) == ("demonstration", ("Thanks?", [], [("1", "edit", "You are welcome.")]))
    assert brief(rejected) == ("Bye?", ["Go away."], [("1", "reject")])
    assert (alone.kind, alone.said) == ("", [])


def test_argilla():
    ranking, label, text, verdict, chat = rows_of("argilla.json")
    first, second = (f"5d1b7c1e-0000-4000-8000-00000000000{n}" for n in (1, 2))
    assert brief(ranking) == ("Where is my parcel?", ["On its way.", "Lost."], [(first, [2, 1]), (second, [1, 1])])
    assert [one.comment for one in ranking.said] == ["why: Too long.", "quality: 4"]
    assert ranking.metadata == {"source": "desk"}
    assert brief(label)[2] == [("u1", [1, 2]), ("u2", [1, 1])]
    assert brief(text) == ("Say hello.", ["Helo."], [("u1", "edit", "Hello."), ("u2", "accept")])
    assert text.said[0].comment == "topic: greeting, short"
    assert brief(verdict) == ("Say bye.", ["Go."], [("u1", "reject")])
    assert (chat.messages, chat.answers, chat.said) == (user("Who are you?"), ["A model."], [])


def test_argilla_flattened():
    (row,) = rows_of("argilla-flat.jsonl")
    assert brief(row) == ("Where is my parcel?", ["On its way.", "Lost."], [("u1", [2, 1])])  # u2 discarded it
    assert row.metadata == {"source": "desk"}


def test_argilla_feedback():
    (row,) = rows_of("argilla-feedback.jsonl")
    assert row.answers == ["On its way.", "Lost.", "Ask again."]
    assert [(one.rater, one.ranks) for one in row.said] == [("u1", [2, 1, 2])]
    assert row.metadata == {"source": "desk"}


def test_doccano():
    one, two, alone, spans = rows_of("doccano.jsonl")
    assert (one.kind, brief(one)) == ("demonstration", ("Where is my parcel?", [], [("", "edit", "On its way.")]))
    assert (one.said[0].comment, one.metadata) == ("Checked.", {"id": 1})
    assert brief(two)[2] == [("", "edit", "You are welcome."), ("no. 2", "edit", "Not at all.")]
    assert (alone.kind, alone.said) == ("", [])
    assert spans == "only texts that people wrote can be kept, not classes, spans or relations"


def test_alpaca_eval_outputs_are_not_judged():
    rows = rows_of("alpaca-eval.json")
    assert [brief(row) for row in rows] == [("Name a colour.", ["Blue."], []), ("Name a river.", ["The Rhine."], [])]
    assert rows[0].metadata == {"dataset": "helpful_base", "generator": "model_a", "datasplit": "eval"}


def test_alpaca_eval_annotations():
    second, first, tie, nothing, wrong = rows_of("alpaca-eval-annotations.json")
    assert brief(second) == ("Name a colour.", ["Colours are many.", "Blue."], [("weighted_judge", [2, 1])])
    assert (brief(first)[2], brief(tie)[2], nothing.said) == ([("3", [1, 2])], [("weighted_judge", [1, 1])], [])
    assert wrong == '"preference" must be from 1, the first output, to 2, the second, or 0 for a tie'


# Columns


def test_columns_of_a_table():
    second, tie, nothing, unknown = rows_of("columns.csv")
    assert second.messages == [{"role": "system", "content": "Be kind."}, *user("Where is my parcel?")]
    assert (second.answers, second.tags, second.metadata) == (
        ["On its way.\nToday.", "Lost."],
        ["post", "late"],
        {"topic": "desk"},
    )
    assert brief(second)[2] == [("bob", [2, 1])]
    assert (brief(tie)[2], nothing.said) == ([("bea", [1, 1])], [])
    assert unknown == '"c" names none of the answers'


def test_columns_by_a_mapping():
    columns = SHAPES["columns"]
    record = {"q": "?", "meta": {"best": "a", "rest": "b"}, "who": 7, "score": 3}
    row = columns.understand(record, 5, {"prompt": "q", "chosen": "meta.best", "rejected": "meta.rest", "rater": "who"})
    assert (row.line, brief(row), row.metadata) == (5, ("?", ["a", "b"], [("7", [1, 2])]), {"score": 3})
    assert understood(columns, record) == "choose the column that is the prompt"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"prompt": "?", "responses": '["a", "b", "c"]', "winner": "2"}, ("?", ["a", "b", "c"], [("", [2, 1, 2])])),
        (
            {"prompt": "?", "response_1": "a", "response_2": "b", "winner": "response_2"},
            ("?", ["a", "b"], [("", [2, 1])]),
        ),
        ({"prompt": "?", "output_1": "a", "output_2": "b", "winner": 1.0}, ("?", ["a", "b"], [("", [1, 2])])),
        ({"prompt": "?", "answer": "a", "edited": "b"}, ("?", ["a"], [("", "edit", "b")])),
        ({"prompt": "?", "answer": "a", "edited": "a "}, ("?", ["a"], [("", "accept")])),
        ({"prompt": "?", "answer": "a", "label": "bad"}, ("?", ["a"], [("", "reject")])),
        ({"prompt": "?", "written": "b"}, ("?", [], [("", "edit", "b")])),
        ({"prompt": '[{"role": "user", "content": "?"}]', "output": "a"}, ("?", ["a"], [])),
        ({"messages": [*user("?"), {"role": "assistant", "content": "a"}]}, ("?", ["a"], [])),
    ],
)
def test_columns_say_all_that_a_label_can(record, expected):
    assert brief(SHAPES["columns"].understand(record)) == expected


# This product's own export


def exported(**changes):
    label = {
        "id": 9,
        "person": "p1",
        "simulated": False,
        "decision": True,
        "comment": "Good.",
        "criteria": {"tone": 12, "truth": 0},
        "flags": ["personal"],
        "seconds": 3.5,
        "created_at": "2026-11-29T10:00:00+00:00",
        "text": "B!",
        "strength": 2,
        "votes": [
            {"answer": 12, "position": 0, "rank": 1, "unacceptable": False},
            {"answer": 11, "position": 1, "rank": 2, "unacceptable": True},
        ],
    }
    answers = [{"id": 11, "text": "a", "origin": "import"}, {"id": 12, "text": "b", "origin": "model"}]
    row = {"item": 1, "kind": "comparison", "prompt": user("?"), "answers": answers, "labels": [{**label, **changes}]}
    return json.loads(json.dumps(row))


def test_labels_of_an_export_come_along():
    row = SHAPES["touchstone"].understand(exported())
    assert row.said == [
        Said(
            rater="p1",
            ranks=[2, 1],
            unacceptable=[True, False],
            strength=2,
            text="B!",
            comment="Good.",
            flags=["personal"],
            criteria={"tone": 1, "truth": None},
            seconds=3.5,
            created_at=datetime(2026, 11, 29, 10, tzinfo=UTC),
            positions=[1, 0],
            decision=True,
        )
    ]


def test_verdicts_of_an_export_come_along():
    label = {"person": "p1", "verdict": "edit", "text": "b", "prompt": user("Mended?")}
    record = {"kind": "demonstration", "prompt": user("?"), "answers": [{"id": 1, "text": "a"}], "labels": [label]}
    row = SHAPES["touchstone"].understand(record)
    assert (brief(row), row.said[0].messages) == (("?", ["a"], [("p1", "edit", "b")]), user("Mended?"))
    row = SHAPES["touchstone"].understand({**record, "answers": []})
    assert (row.kind, brief(row)) == ("demonstration", ("?", [], [("p1", "edit", "b")]))
    row = SHAPES["touchstone"].understand({**record, "answers": [], "labels": [{"person": "p1", "verdict": "reject"}]})
    assert brief(row) == ("?", [], [("p1", "reject")])
    accepted = {**record, "answers": [], "labels": [{"person": "p1", "verdict": "accept"}]}
    assert understood(SHAPES["touchstone"], accepted) == "label 1: there is no answer to accept"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"votes": []}, 'label 1: "votes" must have one vote on each answer'),
        ({"votes": None}, 'label 1: "votes" must be a list'),
        ({"votes": [{"answer": 99}]}, "label 1: speaks of an answer that the row does not have"),
        ({"votes": [{"answer": 11, "rank": "1"}, {"answer": 12, "rank": 2}]}, 'label 1: "rank" must be a whole number'),
        ({"criteria": {"tone": 99}}, "label 1: speaks of an answer that the row does not have"),
        ({"comment": "\0"}, 'label 1: "comment" contains a NUL character'),
        ({"flags": "personal"}, 'label 1: "flags" must be a list'),
    ],
)
def test_a_label_that_does_not_fit_is_reported(changes, reason):
    assert understood(SHAPES["touchstone"], exported(**changes)) == reason


def test_answers_that_look_the_same_are_one_and_stand_as_high_as_the_best_of_them():
    record = {"prompt": "?", "responses": ["a", "b", "a ", "c"], "winner": "3"}
    row = SHAPES["columns"].understand(record)
    assert (row.answers, row.said[0].ranks) == (["a", "b", "c"], [1, 2, 2])


# What was said of some of the answers


def test_what_was_said_of_some_of_the_answers():
    said = Said(
        ranks=[3, 1, 2, 3],
        unacceptable=[True, False, False, True],
        strength=2,
        text="B!",
        criteria={"tone": 1, "truth": 3, "kind": None},
        positions=[3, 0, 1, 2],
    )
    assert said.among(range(4)) is said
    some = said.among([0, 2, 3])
    assert (some.ranks, some.unacceptable, some.positions) == ([2, 1, 2], [True, False, True], [2, 0, 1])
    assert (some.strength, some.text, some.criteria) == (None, None, {"truth": 2, "kind": None})
    assert said.among([1, 2]).text == "B!"


def test_ranks_leave_room_for_ties():
    assert (ranked([3, 1, 1]), ranked([]), ranked([2.5, 2.5])) == ([3, 1, 1], [], [1, 1])
