"""Argilla's exports: records of version 2 as `to_json` writes them and as `to_datasets` flattens them, and feedback
records of version 1. Imports no Django.

Rankings, and labels that name an answer, become what was said of a comparison; a text what was written or edited. What
else was answered is kept in words, as the comment. Suggestions are no person's word, and are left out.
"""

import re
from collections import defaultdict
from typing import Any

from annotation.shapes.chats import chat_of
from annotation.shapes.columns import Columns, at, plain
from annotation.shapes.making import comparison, demonstration, metadata_in, name_of, written
from annotation.shapes.reading import answer_of, number_of, text_of, truth_of
from annotation.shapes.rows import ACCEPT, REJECT, BadLine, Row, Said, ranked

NAMES = {
    "language": (),
    "tags": (),
    "metadata": (),
    "prompt": ("fields.prompt", "fields.instruction", "fields.question", "fields.input", "fields.query", "fields.chat",
               "fields.conversation", "fields.text"),
    "system": ("fields.system", "fields.system_prompt"),
    "written": (),  # the question whose answer is a text
}  # fmt: skip
ANSWER = re.compile(
    r"(response|reply|answer|completion|output|generation|candidate|option|text|assistant|model)s?[-_ ]?(\d+|[a-h])?",
    re.IGNORECASE,
)
WRITING = re.compile(r"response|reply|answer|completion|output|correct|edit|rewrit|written|text|improve", re.IGNORECASE)
RESPONSES = ".responses"
OWN = ("id", "status", "external_id", "_server_id", "inserted_at", "updated_at", "score")
TIES = {"tie", "equal", "same", "draw", "both", "neither", "none"}


def fits(record: dict[str, Any]) -> bool:
    if isinstance(record.get("fields"), dict):
        return isinstance(record.get("responses"), dict | list)
    return any(name.endswith(RESPONSES) for name in record) or any(map(_is_feedback, record.values()))


def read(columns: Columns, number: int) -> Row:
    fields, answered, metadata = _parts(columns.record)
    here = Columns({"fields": fields}, columns.names)
    prompt = next((name for name in columns.names["prompt"] if at(here.record, name) is not None), "")
    if not prompt:
        raise BadLine("choose the field that is the prompt")
    value = here["prompt"]
    messages = chat_of(value, "prompt", here["system"])
    others = {name: value for name, value in fields.items() if f"fields.{name}" != prompt}
    names = [name for name, value in others.items() if ANSWER.fullmatch(name) and _is_text(value)]
    answers = [answer_of(fields[name], name) for name in names]
    extra = {
        **plain({name: value for name, value in others.items() if name not in names}),
        **plain(metadata),
    }
    people: dict[str, dict[str, Any]] = defaultdict(dict)  # what each answered, by question
    for question, responses in answered.items():
        for person, said in responses:
            people[person][question] = said
    draft = answers[0] if len(answers) == 1 else None
    wanted = columns.names["written"]
    said = [
        one
        for person, told in people.items()
        if (one := _ranking(person, told, names) if len(answers) > 1 else _writing(person, told, draft, wanted))
    ]
    if len(answers) > 1:
        return comparison(here, number, messages, answers, said, extra)
    return demonstration(here, number, messages, draft, said, extra)


def _parts(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[tuple[str, Any]]], dict[str, Any]]:
    """The fields of a record, by question what each person answered, and the metadata."""
    fields, responses = record.get("fields"), record.get("responses")
    metadata = record.get("metadata")
    metadata = metadata_in(metadata) if isinstance(metadata, str | dict) else {}
    if isinstance(fields, dict):
        if isinstance(responses, list):
            return fields, _by_person(responses), metadata
        return (
            fields,
            {
                question: _answers(told)
                for question, told in (responses if isinstance(responses, dict) else {}).items()
                if isinstance(told, list)
            },
            metadata,
        )
    fields, answered = {}, {}
    questions = {name.removesuffix(RESPONSES) for name in record if name.endswith(RESPONSES)}
    for name, value in record.items():
        if name.endswith(RESPONSES) and isinstance(value, list):
            users = record.get(f"{name}.users")
            status = record.get(f"{name}.status")
            answered[name.removesuffix(RESPONSES)] = [
                (name_of(_nth(users, place)), one)
                for place, one in enumerate(value)
                if _nth(status, place) in (None, "submitted")
            ]
        elif _is_feedback(value):
            answered[name] = _answers(value)
        elif name not in OWN and name != "metadata" and not any(name.startswith(f"{one}.") for one in questions):
            fields[name] = value
    return fields, answered, metadata


def _by_person(responses: list[Any]) -> dict[str, list[tuple[str, Any]]]:
    """As the server's own API gives them: of each person, the answers by question."""
    answered: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for response in responses:
        if isinstance(response, dict) and response.get("status") in (None, "submitted"):
            values = response.get("values")
            for question, told in (values if isinstance(values, dict) else {}).items():
                value = told.get("value") if isinstance(told, dict) else told
                answered[question].append((name_of(response.get("user_id")), value))
    return answered


def _answers(told: list[Any]) -> list[tuple[str, Any]]:
    return [
        (name_of(one.get("user_id")), one.get("value"))
        for one in told
        if isinstance(one, dict) and one.get("status") in (None, "submitted")
    ]


def _nth(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _is_feedback(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and "user_id" in one and "value" in one for one in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _ranking(person: str, told: dict[str, Any], names: list[str]) -> Said | None:
    for question, value in told.items():
        ranks = _ranks(value, names)
        if ranks is not None:
            return Said(rater=person, ranks=ranks, comment=_besides(told, question))
    return None


def _ranks(value: Any, names: list[str]) -> list[int] | None:
    """The rank of each answer: from a list in order, from values with their ranks, or from the name of the best."""
    if isinstance(value, str):
        if value.strip().lower() in TIES:
            return [1] * len(names)
        place = _place(value, names)
        return None if place is None else [1 if one == place else 2 for one in range(len(names))]
    if isinstance(value, dict) and isinstance(value.get("value"), list) and isinstance(value.get("rank"), list):
        value = [{"value": name, "rank": rank} for name, rank in zip(value["value"], value["rank"], strict=False)]
    if not isinstance(value, list) or len(value) < 2:
        return None
    given: dict[int, float] = {}
    for order, one in enumerate(value, start=1):
        name, rank = (one.get("value"), number_of(one.get("rank"))) if isinstance(one, dict) else (one, float(order))
        place = _place(name, names) if isinstance(name, str) else None
        if place is None or rank is None or place in given:
            return None
        given[place] = rank
    last = max(given.values()) + 1
    return ranked([given.get(place, last) for place in range(len(names))])


def _place(name: str, names: list[str]) -> int | None:
    """The field that an option means: of the same name but for its punctuation, or with the same number or letter."""
    for spell in (_spelled, _ending):
        places = [place for place, field in enumerate(names) if spell(field) and spell(field) == spell(name)]
        if len(places) == 1:
            return places[0]
    return None


def _spelled(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _ending(name: str) -> str:
    found = re.search(r"(?:^|[\W_]|(?<=\D))(\d+|[a-hA-H])$", name.strip())
    return found[1].lower() if found else ""


def _writing(person: str, told: dict[str, Any], draft: str | None, wanted: Any) -> Said | None:
    questions = [name for name in told if name in wanted] or [name for name in told if WRITING.search(name)]
    for question in questions:
        if _is_text(told[question]) and (question in wanted or truth_of(told[question]) is None):
            return Said(
                rater=person, comment=_besides(told, question), **written(text_of(told[question], question), draft)
            )
    for question, value in told.items():
        good = truth_of(value) if isinstance(value, str) else None
        if draft is not None and good is not None:
            return Said(rater=person, comment=_besides(told, question), verdict=ACCEPT if good else REJECT)
    return None


def _besides(told: dict[str, Any], used: str) -> str:
    """What else a person answered, in words."""
    words = []
    for question, value in told.items():
        value = ", ".join(map(str, value)) if isinstance(value, list) else value
        if question != used and isinstance(value, str | int | float):
            words.append(f"{question}: {value}")
    return text_of("; ".join(words), "responses")
