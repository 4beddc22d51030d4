"""Any table, once it is said which column is what: CSV, Parquet and whatever no other shape understands.
Imports no Django."""

from typing import Any

from annotation.shapes.chats import Chat, chat_of, split
from annotation.shapes.columns import Columns, at, spellings
from annotation.shapes.making import COMMON, WHO, comparison, demonstration, json_in, preferred, said_by, written
from annotation.shapes.reading import answer_of, answers_of, text_of, truth_of
from annotation.shapes.rows import ACCEPT, MOST_ANSWERS, REJECT, BadLine, Row

PLACES = range(1, MOST_ANSWERS + 1)
NAMES = {
    **COMMON,
    **WHO,
    "prompt": ("prompt", "instruction", "question", "input", "query", "user", "messages", "conversation"),
    "system": ("system", "system_prompt"),
    "completion": ("completion", "response", "answer", "output", "reply", "assistant"),
    "responses": ("responses", "answers", "completions", "outputs"),
    **{f"answer_{place}": spellings(place) for place in PLACES},
    "preferred": ("preferred", "preference", "winner", "choice", "better", "best"),
    "chosen": ("chosen", "accepted_answer"),
    "rejected": ("rejected",),
    "label": ("label",),
    "written": ("edited", "corrected", "written"),
}
TIES = {"tie", "ties", "both", "neither", "equal", "draw", "0", "none", "same"}
FIRST, SECOND = {"left", "first"}, {"right", "second"}


def fits(record: dict[str, Any]) -> float:
    """Half sure, where there is a prompt: whatever knows more goes first."""
    columns = Columns(record, NAMES)
    return 0.5 if isinstance(columns["prompt"], str | list) else 0.0


def read(columns: Columns, number: int) -> Row:
    messages, last = _prompt(columns)
    if columns["chosen"] is not None and columns["rejected"] is not None:
        answers = [answer_of(_opened(columns[part]), part) for part in ("chosen", "rejected")]
        return comparison(columns, number, messages, answers, [preferred(columns, 0)])
    answers, names = _answers(columns)
    if len(answers) > 1:
        said = [preferred(columns, *place, count=len(answers))] if (place := _place(columns, answers, names)) else []
        return comparison(columns, number, messages, answers, said)
    completion = _opened(columns["completion"])
    answer = answer_of(completion, "completion") if completion is not None else answers[0] if answers else last
    text, label = columns["written"], truth_of(columns["label"])
    if text is not None:
        said = [said_by(columns, **written(text_of(text, "written"), answer))]
    elif label is not None and answer is not None:
        said = [said_by(columns, verdict=ACCEPT if label else REJECT)]
    else:
        said = []
    return demonstration(columns, number, messages, answer, said)


def _prompt(columns: Columns) -> tuple[Chat, str | None]:
    value = _opened(columns["prompt"])
    if value is None:
        raise BadLine("choose the column that is the prompt")
    messages = chat_of(value, "prompt", columns["system"])
    return split(messages, "prompt") if messages[-1]["role"] == "assistant" else (messages, None)


def _opened(value: Any) -> Any:
    """A list of messages or texts that stands in a table as a text."""
    listed = json_in(value) if isinstance(value, str) else None
    return listed if isinstance(listed, list) else value


def _answers(columns: Columns) -> tuple[list[str], list[str]]:
    """The answers to compare, and the columns they stand in."""
    several = _opened(columns["responses"])
    if isinstance(several, list):
        texts = answers_of(several, "responses")
        return texts, [str(place) for place in range(1, len(texts) + 1)]
    found = [place for place in PLACES if columns[f"answer_{place}"] is not None]
    names = [
        next(name for name in columns.names[f"answer_{place}"] if at(columns.record, name) is not None)
        for place in found
    ]
    return [answer_of(_opened(columns[f"answer_{place}"]), f"answer_{place}") for place in found], names


def _place(columns: Columns, answers: list[str], names: list[str]) -> tuple[int | None] | None:
    """The place of the better answer, which is named by its number, its letter, its column or its text; (None,) for a
    tie, None where nothing is said."""
    value = columns["preferred"]
    if value is None or isinstance(value, list | dict | bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    low = word.lower()
    if low in TIES:
        return (None,)
    for place, (answer, name) in enumerate(zip(answers, names, strict=True)):
        called = {str(place + 1), chr(97 + place), name.lower(), f"answer_{place + 1}"}
        called |= FIRST if place == 0 else SECOND if place == 1 else set()
        if low in called or word == answer:
            return (place,)
    raise BadLine(f'"{word[:50]}" names none of the answers')
