"""Conversations as other tools write them, and rows of chats: OpenAI's two fine-tuning shapes, and ShareGPT.
Imports no Django."""

from typing import Any

from annotation.shapes.columns import Columns
from annotation.shapes.making import COMMON, WHO, comparison, demonstration, preferred
from annotation.shapes.reading import answer_of, text_of
from annotation.shapes.rows import BadLine, Row

ROLE_OF = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model", "bot"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
TOOLS = ("tool", "function", "function_call", "observation", "tool_call", "tool_response")
Chat = list[dict[str, str]]


def chat_of(value: Any, name: str, system: Any = None) -> Chat:
    """A conversation: a text that the user says, or messages with `role` and `content`, or `from` and `value`."""
    messages: Chat = []
    if isinstance(system, str) and system.strip():
        messages.append({"role": "system", "content": text_of(system, "system")})
    if isinstance(value, str):
        return [*messages, {"role": "user", "content": text_of(value, name)}]
    if not isinstance(value, list) or not value:
        raise BadLine(f'"{name}" must be a list of messages, or a text')
    for place, message in enumerate(value, start=1):
        messages.append(message_of(message, f"message {place}"))
    for place, message in enumerate(messages):
        if message["role"] == "system" and place:
            raise BadLine(f'"{name}": a system message may only come first')
    return messages


def message_of(message: Any, name: str) -> dict[str, str]:
    """One message; raises BadLine for those of tools, which nobody could judge here."""
    if not isinstance(message, dict):
        raise BadLine(f"{name} must be an object")
    role = message["role"] if "role" in message else message.get("from")
    if not isinstance(role, str) or role.lower() not in ROLE_OF:
        if role in TOOLS:
            raise BadLine(f"{name}: what tools are asked and answer cannot be kept")
        raise BadLine(f"{name}: the role must be system, user or assistant")
    content = message["content"] if "content" in message else message.get("value", message.get("text"))
    if message.get("tool_calls") or message.get("function_call"):
        raise BadLine(f"{name}: what tools are asked and answer cannot be kept")
    if isinstance(content, list):
        content = _of_parts(content, name)
    return {"role": ROLE_OF[role.lower()], "content": text_of(content, name)}


def _of_parts(parts: list[Any], name: str) -> str:
    """The text of a message that is written in parts."""
    texts = []
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise BadLine(f"{name}: pictures, sound and files cannot be kept, only text")
        texts.append(part["text"])
    return "".join(texts)


def split(messages: Chat, name: str) -> tuple[Chat, str | None]:
    """A conversation up to its last answer, and that answer; None if the user has the last word."""
    if messages and messages[-1]["role"] == "assistant":
        return messages[:-1], answer_of(messages[-1]["content"], name)
    return messages, None


# OpenAI chat

CHAT_NAMES = {**COMMON, "messages": ("messages",)}
CHAT_KEYS = {"messages", "tools", "functions", "function_call", "parallel_tool_calls", "tool_choice"}


def fits_chat(record: dict[str, Any]) -> bool:
    return isinstance(record.get("messages"), list) and record.keys() <= CHAT_KEYS


def needs_chat(record: dict[str, Any]) -> bool:
    """Whether it says what only this shape understands."""
    messages = record.get("messages")
    if not isinstance(messages, list):
        return False
    marks = {"weight", "name", "tool_calls", "function_call"}
    return len(record) > 1 or any(
        marks & one.keys() or one.get("role") == "developer" or isinstance(one.get("content"), list)
        for one in messages
        if isinstance(one, dict)
    )


def read_chat(columns: Columns, number: int) -> Row:
    """The last answer with a weight is the one to clean; what comes after it is left out."""
    value = columns["messages"]
    messages = chat_of(value, "messages")
    answers = [place for place, one in enumerate(messages) if one["role"] == "assistant"]
    meant = [place for place in answers if value[place].get("weight") != 0]
    if answers and answers[-1] == len(messages) - 1 and answers != meant:
        messages = messages[: meant[-1] + 1 if meant else answers[-1]]
    return demonstration(columns, number, *split(messages, "messages"))


# OpenAI preference

PREFERENCE_NAMES = {
    **COMMON,
    **WHO,
    "prompt": ("input.messages", "input"),
    "chosen": ("preferred_output",),
    "rejected": ("non_preferred_output",),
}


def fits_preference(record: dict[str, Any]) -> bool:
    return "preferred_output" in record and "non_preferred_output" in record


def read_preference(columns: Columns, number: int) -> Row:
    messages = chat_of(columns["prompt"], "input")
    answers = [_output(columns["chosen"], "preferred_output"), _output(columns["rejected"], "non_preferred_output")]
    return comparison(columns, number, messages, answers, [preferred(columns, 0)])


def _output(value: Any, name: str) -> str:
    if isinstance(value, str):
        return answer_of(value, name)
    if not isinstance(value, list) or len(value) != 1:
        raise BadLine(f'"{name}" must be a list with one message')
    return answer_of(message_of(value[0], name)["content"], name)


# ShareGPT

SHAREGPT_NAMES = {
    **COMMON,
    **WHO,
    "conversations": ("conversations", "conversation"),
    "system": ("system", "system_prompt"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "tools": ("tools",),
}


def fits_sharegpt(record: dict[str, Any]) -> bool:
    value = record.get("conversations", record.get("conversation"))
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def read_sharegpt(columns: Columns, number: int) -> Row:
    messages = chat_of(columns["conversations"], "conversations")
    system = columns["system"]
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": text_of(system, "system")})
    if columns["chosen"] is None and columns["rejected"] is None:
        return demonstration(columns, number, *split(messages, "conversations"))
    answers = [
        answer_of(message_of(value, part)["content"] if isinstance(value, dict) else value, part)
        for part, value in (("chosen", columns["chosen"]), ("rejected", columns["rejected"]))
    ]
    return comparison(columns, number, messages, answers, [preferred(columns, 0)])
