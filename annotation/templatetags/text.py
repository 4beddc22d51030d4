"""Template filters for text that people and models wrote."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from annotation.text import to_html

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as sanitised HTML (annotation/text.py)."""
    return mark_safe(to_html(text))  # noqa: S308  nh3 has cleaned it
