"""How long a conversation is for the project's model, told while people write; without torch.

The chat template is not applied: it is a program that came with the model, and a web process does not run it. Its marks
around each message are allowed for instead, so the number is "about".
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from annotation.models import Project
from training.models import ModelVersion

MARKS = 5  # tokens around a message in ChatML: <|im_start|>, the role, a new line, <|im_end|>, a new line
AT_ONCE = 1000  # texts, in one call
LARGEST = 10_000_000  # some configurations write a number with thirty digits for "no limit"


def count(*, project: Project, messages: Sequence[Mapping[str, str]]) -> tuple[int | None, int | None]:
    """About how many tokens the messages are for the project's production model, and how many it can read.

    None where there is no such model, or its files do not tell.
    """
    version = ModelVersion.objects.filter(project=project).production().first()
    if version is None:
        return None, None
    folder = version.full_weights().path
    written = folder / "tokenizer.json"
    try:
        changed = written.stat().st_mtime_ns
    except OSError:
        return None, _limit(folder)
    try:
        tokens = sum(MARKS + _tokens(str(written), changed, message["content"]) for message in messages)
    except _Unreadable:
        return None, _limit(folder)
    return tokens, _limit(folder)


def measure(version: ModelVersion, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[int] | None:
    """About how many tokens each conversation is for this version; None where its files do not tell."""
    written = version.full_weights().path / "tokenizer.json"
    try:
        tokenizer = _tokenizer(str(written), written.stat().st_mtime_ns)
    except (OSError, _Unreadable):
        return None
    texts = list({message["content"] for messages in conversations for message in messages})
    found: dict[str, int] = {}
    for start in range(0, len(texts), AT_ONCE):
        part = texts[start : start + AT_ONCE]
        encoded = tokenizer.encode_batch(part, add_special_tokens=False)
        found.update((text, len(one.ids)) for text, one in zip(part, encoded, strict=True))
    return [sum(MARKS + found[message["content"]] for message in messages) for messages in conversations]


def limit(version: ModelVersion) -> int | None:
    """The longest conversation this version can read, if its files tell."""
    return _limit(version.full_weights().path)


def has_template(version: ModelVersion) -> bool:
    """Whether its files say how a conversation is written out for it."""
    folder = version.full_weights().path
    return (folder / "chat_template.jinja").is_file() or bool(
        _read(folder / "tokenizer_config.json").get("chat_template")
    )


class _Unreadable(Exception):
    pass


@lru_cache(maxsize=4)
def _tokenizer(path: str, changed: int) -> Tokenizer:
    """Read once for each folder, and again when the file is another."""
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises nothing more particular
        raise _Unreadable(path) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=512)
def _tokens(path: str, changed: int, text: str) -> int:
    """Of one message. Earlier turns stay the same while an answer is written, so they are counted once."""
    return len(_tokenizer(path, changed).encode(text, add_special_tokens=False).ids)


def _limit(folder: Path) -> int | None:
    """The longest conversation the model can read, by its configuration."""
    config = _read(folder / "config.json")
    places = [config, config.get("text_config")]
    names = ("max_position_embeddings", "n_positions", "max_seq_len")
    found = [place.get(name) for place in places if isinstance(place, dict) for name in names]
    found.append(_read(folder / "tokenizer_config.json").get("model_max_length"))
    known = [value for value in found if isinstance(value, int) and 0 < value < LARGEST]
    return min(known, default=None)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
