"""The dataset types of TRL, each as plain texts and as conversations: prompt-completion, preference (with the prompt
said, or shared by both answers) and unpaired preference; and Anthropic's dialogues. Imports no Django."""

from typing import Any

from annotation.shapes.chats import Chat, chat_of, split
from annotation.shapes.columns import Columns
from annotation.shapes.making import COMMON, WHO, comparison, demonstration, preferred, said_by
from annotation.shapes.reading import answer_of, text_of, truth_of
from annotation.shapes.rows import ACCEPT, REJECT, BadLine, Row

NAMES = {
    **COMMON,
    **WHO,
    "prompt": ("prompt",),
    "system": ("system",),
    "completion": ("completion",),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "label": ("label",),
}


def fits_completion(record: dict[str, Any]) -> bool:
    return isinstance(record.get("prompt"), str | list) and isinstance(record.get("completion"), str | list)


def needs_completion(record: dict[str, Any]) -> bool:
    """Whether the completion is several messages, or the prompt says more than a conversation does."""
    completion = record.get("completion")
    return fits_completion(record) and isinstance(completion, list) and len(completion) > 1


def read_completion(columns: Columns, number: int) -> Row:
    return demonstration(columns, number, *_completed(columns))


def fits_unpaired(record: dict[str, Any]) -> bool:
    return fits_completion(record) and "label" in record


def needs_unpaired(record: dict[str, Any]) -> bool:
    """Whether there is a label."""
    return truth_of(record.get("label")) is not None


def read_unpaired(columns: Columns, number: int) -> Row:
    """What was found good is accepted, what was found bad rejected."""
    label = truth_of(columns["label"])
    if label is None:
        raise BadLine('"label" must be true or false')
    messages, answer = _completed(columns)
    if answer is None:
        raise BadLine('"completion" must be a text')
    return demonstration(columns, number, messages, answer, [said_by(columns, verdict=ACCEPT if label else REJECT)])


def fits_preference(record: dict[str, Any]) -> bool:
    return all(isinstance(record.get(part), str | list) for part in ("chosen", "rejected"))


def read_preference(columns: Columns, number: int) -> Row:
    """Where both answers are whole conversations, what they share is the prompt, whatever "prompt" says."""
    prompt, chosen, rejected = (columns[part] for part in ("prompt", "chosen", "rejected"))
    if prompt is None or _is_whole(chosen) or _is_whole(rejected):
        messages, answers = shared(chosen, rejected)
    else:
        messages = chat_of(prompt, "prompt", columns["system"])
        answers = [answer_of(chosen, "chosen"), answer_of(rejected, "rejected")]
    return comparison(columns, number, messages, answers, [preferred(columns, 0)])


def shared(chosen: Any, rejected: Any) -> tuple[Chat, list[str]]:
    """The prompt that two answers share, and the answers.

    >>> shared("The sky is blue.", "The sky is green.")
    ([{'role': 'user', 'content': 'The sky is'}], ['blue.', 'green.'])
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        return _shared_text(chosen, rejected)
    one, other = chat_of(chosen, "chosen"), chat_of(rejected, "rejected")
    if one[:-1] != other[:-1]:
        raise BadLine('"chosen" and "rejected" must be the same conversation up to the last answer')
    if any(chat[-1]["role"] != "assistant" for chat in (one, other)):
        raise BadLine('"chosen" and "rejected" must end with the assistant')
    return one[:-1], [answer_of(one[-1]["content"], "chosen"), answer_of(other[-1]["content"], "rejected")]


def _shared_text(chosen: str, rejected: str) -> tuple[Chat, list[str]]:
    end = next((place for place, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    if end is None:
        end = min(len(chosen), len(rejected))
    end = max(chosen.rfind(mark, 0, end) for mark in " \n") + 1  # never within a word
    if not chosen[:end].strip():
        raise BadLine('needs "prompt": "chosen" and "rejected" do not begin with the same words')
    prompt = [{"role": "user", "content": text_of(chosen[:end].strip(), "chosen")}]
    return prompt, [answer_of(chosen[end:], "chosen"), answer_of(rejected[end:], "rejected")]


def _is_whole(value: Any) -> bool:
    """Whether this is a conversation with its prompt, and not an answer alone."""
    return isinstance(value, list) and len(value) > 1


def _completed(columns: Columns) -> tuple[Chat, str | None]:
    """The conversation before the last answer, and that answer; a completion may go on for several turns."""
    messages = chat_of(columns["prompt"], "prompt", columns["system"])
    completion = columns["completion"]
    if not _is_whole(completion):
        return messages, answer_of(completion, "completion")
    return split(messages + chat_of(completion, "completion"), "completion")


# Anthropic's helpful and harmless dialogues

SPEAKERS = {"Human": "user", "Assistant": "assistant"}
DIALOGUE_NAMES = {**COMMON, **WHO, "chosen": ("chosen",), "rejected": ("rejected",)}


def fits_dialogue(record: dict[str, Any]) -> bool:
    said = [record.get(part) for part in ("chosen", "rejected")]
    return all(isinstance(one, str) and one.startswith("\n\nHuman:") for one in said)


def read_dialogue(columns: Columns, number: int) -> Row:
    messages, answers = shared(dialogue(columns["chosen"], "chosen"), dialogue(columns["rejected"], "rejected"))
    return comparison(columns, number, messages, answers, [preferred(columns, 0)])


def dialogue(value: Any, name: str) -> Chat:
    r"""The messages of a dialogue in one text.

    >>> dialogue("\n\nHuman: Hello?\n\nAssistant: Good day.", "chosen")
    [{'role': 'user', 'content': 'Hello?'}, {'role': 'assistant', 'content': 'Good day.'}]
    """
    text = text_of(value, name)
    messages: Chat = []
    for part in ("\n\n" + text.lstrip()).split("\n\n"):
        speaker, colon, words = part.partition(":")
        if colon and speaker in SPEAKERS:
            messages.append({"role": SPEAKERS[speaker], "content": words.strip()})
        elif messages:
            messages[-1]["content"] += "\n\n" + part
        elif part:
            raise BadLine(f'"{name}" must begin with "Human:"')
    return [{**message, "content": message["content"].strip()} for message in messages]
