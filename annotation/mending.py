"""Mending what the assistant said earlier in a conversation, before its answer is judged.

The mended conversation is a prompt of its own, and stays on the side of the one it came from: what is held out is never
trained on, however it is reworded.
"""

from collections.abc import Mapping, Sequence

from annotation.models import Prompt
from annotation.text import sha256

Messages = Sequence[Mapping[str, str]]


def mendable(messages: Messages) -> list[int]:
    """The places of the turns that can be mended: the assistant's.

    >>> mendable([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    [1]
    """
    return [place for place, message in enumerate(messages) if message["role"] == "assistant"]


def changed(messages: Messages, turns: Mapping[int, str]) -> dict[int, str]:
    """Those of the turns that say something else than before, leaving out the space around them."""
    return {place: text.strip() for place, text in turns.items() if text.strip() != messages[place]["content"].strip()}


def mended(messages: Messages, turns: Mapping[int, str]) -> list[dict[str, str]]:
    """The conversation with these turns in place of what stood there."""
    new = changed(messages, turns)
    return [{**message, "content": new.get(place, message["content"])} for place, message in enumerate(messages)]


def differences(before: Messages, after: Messages) -> dict[int, str]:
    """The turns that one conversation has in other words than the one it was mended from, as they stand there now."""
    pairs = enumerate(zip(before, after, strict=True))
    return {place: new["content"] for place, (old, new) in pairs if new["content"] != old["content"]}


def problem_of(messages: Messages, turns: Mapping[int, str]) -> str:
    """Why these turns cannot be put in, in a sentence; empty if they can."""
    if set(turns) - set(mendable(messages)):
        return "Only what the assistant said earlier can be mended."
    if not all(text.strip() for text in turns.values()):
        return "An earlier turn of the assistant is empty: write one, or leave it as it was."
    return ""


def mended_prompt(*, prompt: Prompt, turns: Mapping[int, str]) -> Prompt:
    """The prompt with these turns, stored once; the prompt itself if they change nothing."""
    if not changed(prompt.messages, turns):
        return prompt
    messages = mended(prompt.messages, turns)
    found, _ = Prompt.objects.get_or_create(
        project_id=prompt.project_id,
        sha256=sha256(messages),
        defaults={
            "messages": messages,
            "split": prompt.split,
            "language": prompt.language,
            "tags": prompt.tags,
            "metadata": prompt.metadata,
            "edited_from": prompt,
        },
    )
    return found
