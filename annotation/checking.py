"""What is said about a text while it is written: what the checks find in it, and how long it is for the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from annotation.checks import Finding, findings
from annotation.models import Project

MOST = 50  # findings that are told one by one

# `count(project=…, messages=…)`: about how many tokens a conversation has for the project's model, and how many it can
# read; None for what is not known. It belongs to the room that knows the models (settings.COUNT_TOKENS).
CountTokens = Callable[..., tuple[int | None, int | None]]


@dataclass(frozen=True)
class Checked:
    findings: list[Finding]
    more: int  # findings beyond those
    tokens: int | None
    limit: int | None


def check(*, project: Project, text: str, messages: Sequence[Mapping[str, str]] = ()) -> Checked:
    """Check a text; its tokens are counted with the conversation that it answers."""
    found = findings(text)
    count = cast(CountTokens, import_string(settings.COUNT_TOKENS))
    tokens, limit = count(project=project, messages=[*messages, {"role": "assistant", "content": text}])
    return Checked(found[:MOST], max(0, len(found) - MOST), tokens, limit)
