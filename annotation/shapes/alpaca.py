"""Instructions and outputs: Alpaca, and what AlpacaEval reads and writes. Imports no Django."""

from typing import Any

from annotation.shapes.chats import Chat
from annotation.shapes.columns import Columns
from annotation.shapes.making import COMMON, WHO, comparison, demonstration, preferred, said_by
from annotation.shapes.reading import answer_of, number_of, text_of, truth_of
from annotation.shapes.rows import ACCEPT, REJECT, BadLine, Row

NAMES = {
    **COMMON,
    **WHO,
    "instruction": ("instruction",),
    "input": ("input",),
    "output": ("output",),
    "system": ("system", "system_prompt"),
    "history": ("history",),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "label": ("kto_tag",),
    "text": ("text",),  # the three again, in words for a model to read: needed no more
}


def fits(record: dict[str, Any]) -> bool:
    return isinstance(record.get("instruction"), str) and any(
        name in record for name in ("output", "input", "chosen", "history")
    )


def read(columns: Columns, number: int) -> Row:
    """The input follows the instruction on a line of its own; `history` are the turns before."""
    messages = _history(columns["system"], columns["history"])
    asked = [text_of(columns[part], part) for part in ("instruction", "input") if columns[part] not in (None, "")]
    messages.append({"role": "user", "content": "\n".join(asked)})
    if columns["chosen"] is not None or columns["rejected"] is not None:
        answers = [answer_of(columns[part], part) for part in ("chosen", "rejected")]
        return comparison(columns, number, messages, answers, [preferred(columns, 0)])
    answer = None if columns["output"] in (None, "") else answer_of(columns["output"], "output")
    label = truth_of(columns["label"])
    if label is None or answer is None:
        return demonstration(columns, number, messages, answer)
    return demonstration(columns, number, messages, answer, [said_by(columns, verdict=ACCEPT if label else REJECT)])


def _history(system: Any, history: Any) -> Chat:
    messages = [{"role": "system", "content": text_of(system, "system")}] if system else []
    if history is None:
        return messages
    if not isinstance(history, list) or not all(isinstance(turn, list) and len(turn) == 2 for turn in history):
        raise BadLine('"history" must be a list of pairs: what the user said, and the answer')
    for said, answered in history:
        messages.append({"role": "user", "content": text_of(said, "history")})
        messages.append({"role": "assistant", "content": text_of(answered, "history")})
    return messages


# AlpacaEval

EVAL_NAMES = {
    **COMMON,
    "rater": ("annotator",),
    "instruction": ("instruction",),
    "input": ("input",),
    "output": ("output",),
    "output_1": ("output_1",),
    "output_2": ("output_2",),
    "preference": ("preference",),
}
TIE = 1.5


def fits_eval(record: dict[str, Any]) -> bool:
    """Outputs of a generator, or two outputs, perhaps compared."""
    return isinstance(record.get("instruction"), str) and (
        ("output" in record and "generator" in record) or ("output_1" in record and "output_2" in record)
    )


def read_eval(columns: Columns, number: int) -> Row:
    """A preference is 1 for the first output to 2 for the second; 0 and 1.5 are ties."""
    asked = [text_of(columns[part], part) for part in ("instruction", "input") if columns[part] not in (None, "")]
    messages = [{"role": "user", "content": "\n".join(asked)}]
    if columns["output_1"] is None and columns["output_2"] is None:
        answer = None if columns["output"] is None else answer_of(columns["output"], "output")
        return demonstration(columns, number, messages, answer)
    answers = [answer_of(columns[part], part) for part in ("output_1", "output_2")]
    preference = number_of(columns["preference"])
    if preference is None:
        return comparison(columns, number, messages, answers)
    if preference != 0 and not 1 <= preference <= 2:
        raise BadLine('"preference" must be from 1, the first output, to 2, the second, or 0 for a tie')
    place = None if preference in (0, TIE) else int(preference > TIE)
    return comparison(columns, number, messages, answers, [preferred(columns, place)])
