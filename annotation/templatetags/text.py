"""Template filters for text that people and models wrote."""

import json
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from annotation.prose import folded, language_of, to_html

register = template.Library()

FOLD = (
    "{}"
    '<details class="fold">'
    '<summary><span class="fold-more">Show all {} characters</span>'
    '<span class="fold-less">Fold the rest</span></summary>'
    '<div class="prose">{}</div>'
    "</details>"
)


@register.filter
def markdown(text: str, how: str = "") -> SafeString:
    """Markdown as sanitised HTML (annotation/prose.py), a long text folded; `markdown:"whole"` folds nothing."""
    if how == "whole":
        return mark_safe(to_html(text))  # noqa: S308  nh3 has cleaned it
    first, rest = (mark_safe(part) for part in folded(text))  # noqa: S308  and these
    return format_html(FOLD, first, f"{len(text):,}", rest) if rest else first


@register.filter
def lang(text: str, said: str = "") -> SafeString | str:
    """` lang="ja"` for the element that holds a text, if its language is known."""
    found = language_of(text, said or "")
    return format_html(' lang="{}"', found) if found else ""


@register.filter
def turn(form: Any, place: int) -> str | None:
    """What was sent for a turn of the conversation with a label that was refused."""
    return form.data.get(f"turn_{place}") if form else None


@register.filter
def as_it_came(value: Any) -> str:
    """A value of somebody's metadata: texts as they are, several with commas between them, all else as JSON.

    >>> as_it_came(["rude", "wrong"]), as_it_came(True), as_it_came({"no": [1]})
    ('rude, wrong', 'true', '{"no": [1]}')
    """
    if isinstance(value, list) and value and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(as_it_came, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
