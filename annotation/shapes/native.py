"""This product's own rows: `messages`, `prompt` + `completion`, `prompt` + `responses`, `prompt` alone, and the rows of
its export. Imports no Django."""

from typing import Any

from annotation.shapes import golden
from annotation.shapes.exported import labels_of
from annotation.shapes.making import distinct
from annotation.shapes.reading import (
    answer_of,
    answers_of,
    asks,
    different,
    language_of,
    messages_of,
    metadata_of,
    tags_of,
)
from annotation.shapes.rows import COMPARISON, DEMONSTRATION, BadLine, Row

FIELDS = ("messages", "prompt", "completion", "responses", "answers", "language", "tags", "metadata", "gold")
ANSWERS = {"completion": str | list, "responses": list, "answers": list}
OPTIONAL = {"language": str, "tags": list, "metadata": dict | str}


def fits(record: dict[str, Any]) -> float:
    """A prompt alone with columns of another name is less likely to be meant so."""
    if any(record.get(name) is not None and not isinstance(record[name], of) for name, of in OPTIONAL.items()):
        return 0.0
    if isinstance(record.get("messages"), list):
        return 1.0
    if not isinstance(record.get("prompt"), str | list):
        return 0.0
    said = [name for name in ANSWERS if record.get(name) is not None]
    if said:
        return float(isinstance(record[said[0]], ANSWERS[said[0]]))
    return 1.0 if record.keys() <= {*FIELDS, *ANSWERS} else 0.4


def understand(record: dict[str, Any], number: int = 1) -> Row:
    """Understand one record; raises BadLine with the reason if it cannot be.

    >>> understand({"prompt": "Hello?", "completion": "Good day."}).messages
    [{'role': 'user', 'content': 'Hello?'}]
    """
    messages = record.get("messages")
    answers: list[str] = []
    kind = ""
    if messages is not None:
        messages = messages_of(messages, "messages")
        if messages[-1]["role"] == "assistant":
            kind, answers, messages = DEMONSTRATION, [answer_of(messages[-1]["content"], "messages")], messages[:-1]
    elif "prompt" in record:
        prompt = record["prompt"]
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        messages = messages_of(prompt, "prompt")
        if record.get("completion") is not None:
            kind, answers = DEMONSTRATION, [answer_of(record["completion"], "completion")]
        elif record.get("responses") is not None:
            kind, answers = COMPARISON, different(answers_of(record["responses"], "responses"))
        elif record.get("answers"):  # a row of an export
            answers = answers_of(record["answers"], "answers")
            kind = DEMONSTRATION if len(answers) == 1 else COMPARISON
            answers = different(answers) if kind == COMPARISON else answers
        elif record.get("kind") == DEMONSTRATION and record.get("labels"):  # of an export, written without a draft
            kind = DEMONSTRATION
    else:
        raise BadLine('needs "messages" or "prompt"')
    row = Row(
        line=number,
        messages=asks(messages),
        kind=kind,
        answers=answers,
        language=language_of(record.get("language")),
        tags=tags_of(record.get("tags")),
        metadata=metadata_of(record.get("metadata")),
    )
    if record.get("labels"):
        of = record.get("answers") or []
        row.said = labels_of(record["labels"], kind, of, distinct(answers_of(of, "answers"))[1])
    if record.get("gold") is not None:
        try:
            row.gold = golden.understand(record["gold"], kind, answers, row.groups(), record.get("responses"))
        except ValueError as error:
            raise BadLine(f'"gold" {error}') from None
    return row
