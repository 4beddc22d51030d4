"""Keys on the page, as this person has them."""

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation import keys

register = template.Library()


@register.simple_tag(takes_context=True)
def key(context: Any, action: str) -> SafeString:
    """`{% key "submit" %}`: the first key of an action."""
    first = keys.of_person(context.get("user"))[action][0]
    return format_html("<kbd>{}</kbd>", keys.shown(first))


@register.simple_tag(takes_context=True)
def all_keys(context: Any, action: str) -> SafeString:
    """`{% all_keys "submit" %}`: every key of an action."""
    found = keys.of_person(context.get("user"))[action]
    return format_html_join(" ", "<kbd>{}</kbd>", ((keys.shown(one),) for one in found))


@register.simple_tag(takes_context=True)
def keys_on_page(context: Any, kind: str) -> dict[str, str]:
    """What each key does on a page for items of this kind, for the script (`|json_script:"keys"`)."""
    return keys.on_page(context.get("user"), kind)


@register.simple_tag
def actions(kind: str) -> list[keys.Action]:
    return [action for action in keys.ACTIONS.values() if kind in action.kinds]
