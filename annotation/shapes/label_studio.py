"""Label Studio's JSON export: a task with its `data`, and an annotation of each person. Imports no Django.

Pairwise choices and rankings become what was said of a comparison, a text area what was written or edited. What else
was answered (choices, ratings) is kept in words, as the comment. Predictions are no person's word, and are left out.
"""

from collections.abc import Iterator
from typing import Any

from annotation.shapes.chats import chat_of
from annotation.shapes.columns import Columns, plain, spellings
from annotation.shapes.making import comparison, demonstration, name_of, written
from annotation.shapes.reading import answer_of, moment_of, seconds_of, text_of, truth_of
from annotation.shapes.rows import ACCEPT, REJECT, BadLine, Row, Said, ranked

NAMES = {
    "language": ("data.language",),
    "tags": ("data.tags",),
    "metadata": (),
    "prompt": ("data.prompt", "data.instruction", "data.question", "data.messages", "data.dialogue", "data.text"),
    "system": ("data.system",),
    "items": ("data.items", "data.responses", "data.answers"),
    "answer_1": (*(f"data.{name}" for name in spellings(1)), "data.text1", "data.left"),
    "answer_2": (*(f"data.{name}" for name in spellings(2)), "data.text2", "data.right"),
    "completion": ("data.completion", "data.response", "data.answer", "data.output"),
}
KINDS = ("pairwise", "ranker", "textarea", "choices", "rating", "number")
SIDES = {"left": 0, "right": 1}


def fits(record: dict[str, Any]) -> bool:
    return isinstance(record.get("data"), dict) and ("annotations" in record or "completions" in record)


def read(columns: Columns, number: int) -> Row:
    if not isinstance(columns.record.get("data"), dict):
        raise BadLine('"data" must be an object')
    said_of = columns.record
    columns = Columns({"data": said_of["data"]}, columns.names)
    if columns["prompt"] is None:
        raise BadLine('choose the column of "data" that is the prompt')
    messages = chat_of(columns["prompt"], "prompt", columns["system"])
    answers, ids = _answers(columns)
    said = list(_said(said_of, answers, ids, columns["completion"]))
    if len(answers) > 1:
        return comparison(columns, number, messages, answers, said, _others(columns))
    draft = None if columns["completion"] is None else answer_of(columns["completion"], "completion")
    return demonstration(columns, number, messages, draft, said, _others(columns))


def _others(columns: Columns) -> dict[str, Any]:
    used = {name.removeprefix("data.") for names in columns.names.values() for name in names}
    return plain({name: value for name, value in columns.record["data"].items() if name not in used})


def _answers(columns: Columns) -> tuple[list[str], dict[str, int]]:
    """The answers that were compared, and the place of each by what the annotations call it."""
    items = columns["items"]
    if isinstance(items, list) and items:
        texts, ids = [], {}
        for place, item in enumerate(items):
            if isinstance(item, dict):
                text = next((item[key] for key in ("body", "text", "html", "title") if item.get(key)), None)
                ids[str(item.get("id"))] = place
            else:
                text, ids[str(place)] = item, place
            texts.append(answer_of(text, "items"))
        return texts, ids
    if columns["answer_1"] is None or columns["answer_2"] is None:
        return [], {}
    return [answer_of(columns[part], part) for part in ("answer_1", "answer_2")], SIDES


def _said(record: dict[str, Any], answers: list[str], ids: dict[str, int], draft: Any) -> Iterator[Said]:
    """What each person said who did not skip the task."""
    annotations = record.get("annotations") or record.get("completions") or []
    if not isinstance(annotations, list):
        raise BadLine('"annotations" must be a list')
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        results = annotation.get("result")
        results = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
        what = _ranking(results, answers, ids) if len(answers) > 1 else _writing(results, draft)
        if what is None:
            continue
        yield Said(
            rater=_rater(annotation.get("completed_by")),
            comment=_besides(results, what),
            seconds=seconds_of(annotation.get("lead_time")),
            created_at=moment_of(annotation.get("created_at")),
            **{key: value for key, value in what.items() if key != "from"},
        )


def _rater(value: Any) -> str:
    """Who it was: by address where the file has it, else by number."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    return name_of(value)


def _values(results: list[dict[str, Any]], kind: str) -> Iterator[Any]:
    for result in results:
        value = result.get("value")
        if isinstance(value, dict) and (result.get("type") == kind or kind in value):
            yield value


def _ranking(results: list[dict[str, Any]], answers: list[str], ids: dict[str, int]) -> dict[str, Any] | None:
    for value in _values(results, "pairwise"):
        side = value.get("selected")
        if side in ("left", "right") and len(answers) == 2:
            return {"ranks": [1, 2] if side == "left" else [2, 1], "from": "pairwise"}
    for value in _values(results, "ranker"):
        order = value.get("ranker")
        if isinstance(order, dict):  # by bucket; what was left where it was is under "_"
            buckets = [ids_ for name, ids_ in order.items() if name != "_"]
            order = buckets[0] if len(buckets) == 1 else order.get("_") if not buckets else None
        if not isinstance(order, list):
            continue
        places = [ids[str(one)] for one in order if str(one) in ids]
        if places and len(set(places)) == len(places):
            last = len(places)
            return {
                "ranks": ranked([places.index(place) if place in places else last for place in range(len(answers))]),
                "from": "ranker",
            }
    return None


def _writing(results: list[dict[str, Any]], draft: Any) -> dict[str, Any] | None:
    for value in _values(results, "textarea"):
        text = value.get("text")
        text = text[0] if isinstance(text, list) and text else text
        if isinstance(text, str) and text.strip():
            return {**written(text_of(text, "text"), draft if isinstance(draft, str) else None), "from": "textarea"}
    for value in _values(results, "choices"):
        choices = value.get("choices")
        if draft is not None and isinstance(choices, list) and len(choices) == 1:
            good = truth_of(choices[0])
            if good is not None:
                return {"verdict": ACCEPT if good else REJECT, "from": "choices"}
    return None


def _besides(results: list[dict[str, Any]], what: dict[str, Any]) -> str:
    """What else a person answered, in words."""
    words = []
    for result in results:
        value, kind = result.get("value"), result.get("type")
        if not isinstance(value, dict) or kind == what["from"] or kind not in KINDS:
            continue
        said = value.get("text" if kind == "textarea" else kind)
        said = ", ".join(str(one) for one in said) if isinstance(said, list) else said
        if isinstance(said, str | int | float):
            words.append(f"{result.get('from_name', kind)}: {said}")
    return text_of("; ".join(words), "annotations")
