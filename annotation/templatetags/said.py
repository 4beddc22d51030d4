"""Labels in words, and what waits for a person, for every page."""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation import notices, reviewing, wording
from annotation.mentions import Names
from annotation.models import Comment, Label, Membership, Project, User
from annotation.models.people import Role

register = template.Library()


@register.simple_tag
def in_words(label: Label, order: Sequence[int] = ()) -> str:
    """`{% in_words label %}` as its author saw the answers, `{% in_words label assignment.order %}` as another does."""
    return wording.in_words(label, order)


@register.simple_tag
def criteria_in_words(label: Label, order: Sequence[int] = ()) -> dict[str, str]:
    return wording.criteria_in_words(label, order)


@register.simple_tag
def member_names(project: Project) -> Names:
    """Whom comments can mention, for `with_mentions`."""
    return project.member_names()


@register.simple_tag
def with_mentions(text: str, names: Names, reader: User) -> SafeString:
    """A comment with those it mentions as such, and the reader among them as somebody to whom it is said."""
    parts, done = [], 0
    for name, start, end in names.mentions(text):
        own = " mention--you" if name == reader.username else ""
        parts.append((text[done:start], format_html('<span class="mention{}">{}</span>', own, text[start:end])))
        done = end
    return format_html_join("", "{}{}", [*parts, (text[done:], "")])


@register.simple_tag
def unread_notices(person: User) -> int:
    return notices.unread(person)


@register.simple_tag
def open_flags(project: Project) -> int:
    return Comment.objects.open_flags().filter(item__project=project).count()


@register.simple_tag
def open_cases(member: Membership | None) -> int | None:
    """How many cases wait for a reviewer; None for people who do not review."""
    if not member or not member.at_least(Role.REVIEWER):
        return None
    return reviewing.cases_for(member).count()
