"""Lines of a file for fine-tuning, understood: the two shapes that hosted services take.

    supervised  {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}, …]}
    dpo         {"input": {"messages": […]}, "preferred_output": [{…}], "non_preferred_output": [{…}]}

Every answer of the assistant in `messages` is learnt from, unless its `weight` is 0: each makes a row of its own, with
what stands before it as the prompt. Imports no Django.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from annotation.shapes.records import why_no_json
from annotation.text import sha256, why_unstorable

LONGEST_LINE = 5_000_000  # bytes
MOST_PROBLEMS = 20  # that are kept; one is enough to refuse a file
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
TOOLS = ("tools", "functions", "tool_calls", "function_call")

Message = dict[str, str]
Row = dict[str, Any]


class BadLine(ValueError):
    """A line that cannot be learnt from; the message says why."""


@dataclass
class Read:
    """What is in a file: the rows of each line that could be understood, and what is wrong with others."""

    lines: int = 0
    rows: list[list[Row]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read(lines: Iterable[bytes], method: str) -> Read:
    """All lines of a file for `supervised` or `dpo`; reading ends after so many problems."""
    understand = {"supervised": demonstrations, "dpo": preference}[method]
    found = Read()
    for number, line in enumerate(lines, start=1):
        if not line.strip(b"\xef\xbb\xbf \t\r\n"):
            continue
        found.lines += 1
        try:
            found.rows.append(understand(_object(line)))
        except BadLine as error:
            found.problems.append((number, str(error)))
            if len(found.problems) == MOST_PROBLEMS:
                break
    return found


def demonstrations(data: dict[str, Any]) -> list[Row]:
    """A row for each answer.

    >>> ask, say = {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}
    >>> [(len(row["prompt"]), row["completion"]) for row in demonstrations({"messages": [ask, say, ask, say]})]
    [(1, [{'role': 'assistant', 'content': '2'}]), (3, [{'role': 'assistant', 'content': '2'}])]
    """
    _without_tools(data)
    given = data.get("messages")
    messages = _messages(given, "messages")
    if messages[-1]["role"] != "assistant":
        raise BadLine('the last of "messages" must be by the assistant')
    rows = []
    for place, (message, said) in enumerate(zip(messages, given or [], strict=True)):
        weight = said.get("weight", 1)
        if weight not in (0, 1):
            raise BadLine(f'message {place + 1}: "weight" is 0 or 1')
        if message["role"] != "assistant" or not weight:
            continue
        if not place or messages[place - 1]["role"] != "user":
            raise BadLine(f"message {place + 1}: an answer stands after what the user says")
        rows.append({**_prompt(messages[:place]), "completion": [_answer(message, f"message {place + 1}")]})
    if not rows:
        raise BadLine("no answer is left to learn from: every weight is 0")
    return rows


def preference(data: dict[str, Any]) -> list[Row]:
    """One row: of two answers the one that is preferred."""
    asked = data.get("input")
    if not isinstance(asked, dict):
        raise BadLine('needs "input" with "messages"')
    _without_tools(data)
    _without_tools(asked)
    messages = _messages(asked.get("messages"), "input.messages")
    if messages[-1]["role"] != "user":
        raise BadLine('the last of "input.messages" must be by the user')
    chosen, rejected = (_output(data.get(name), name) for name in ("preferred_output", "non_preferred_output"))
    if chosen["content"] == rejected["content"]:
        raise BadLine("both answers are the same")
    return [{**_prompt(messages), "chosen": [chosen], "rejected": [rejected], "margin": 1.0, "agreement": 1.0}]


def prompts_of(rows: list[Row]) -> set[str]:
    """The hashes of the conversations that one line's answers follow."""
    return {row["prompt_sha256"] for row in rows}


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise BadLine(f"longer than {LONGEST_LINE:,} bytes")
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadLine("not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise BadLine(why_no_json(error)) from None
    if not isinstance(data, dict):
        raise BadLine("not a JSON object")
    return data


def _without_tools(data: dict[str, Any]) -> None:
    if named := next((name for name in TOOLS if data.get(name)), ""):
        raise BadLine(f'"{named}": tools are not learnt here')


def _messages(value: Any, name: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise BadLine(f'"{name}" must be a list of messages')
    return [_message(message, place) for place, message in enumerate(value)]


def _message(message: Any, place: int) -> Message:
    name = f"message {place + 1}"
    if not isinstance(message, dict) or not isinstance(message.get("role"), str) or message["role"] not in ROLES:
        raise BadLine(f'{name}: "role" must be system, user or assistant')
    _without_tools(message)
    role = ROLES[message["role"]]
    if role == "system" and place:
        raise BadLine(f"{name}: a system message may only come first")
    return {"role": role, "content": _text(message.get("content"), name)}


def _text(content: Any, name: str) -> str:
    """A text, or a list of parts that are all texts."""
    if isinstance(content, list) and content:
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            raise BadLine(f"{name}: only text can be learnt here")
        content = "".join(part["text"] if isinstance(part.get("text"), str) else "\0" for part in content)
    if not isinstance(content, str):
        raise BadLine(f'{name}: "content" must be a text')
    if reason := why_unstorable(content):
        raise BadLine(f"{name} {reason}")
    return content


def _answer(message: Message, name: str) -> Message:
    if not message["content"].strip():
        raise BadLine(f"{name}: the answer is empty")
    return message


def _output(value: Any, name: str) -> Message:
    if not isinstance(value, list) or len(value) != 1:
        raise BadLine(f'"{name}" must be a list of one message')
    message = _message(value[0], 1)
    if message["role"] != "assistant":
        raise BadLine(f'"{name}" must be by the assistant')
    return _answer(message, f'"{name}"')


def _prompt(messages: list[Message]) -> Row:
    return {"prompt": messages, "prompt_sha256": sha256(messages), "language": "", "tags": []}
