"""Erasing a person: nothing here says any more who they were, and what they said stays.

Labels, comments and events keep their row of the account, which is closed and bears a pseudonym. Where others wrote the
user name (events, notices, @name in comments, the admin's log) it is replaced. It cannot be undone. Free text is not
read: what somebody wrote of themselves in a label's comment stays.
"""

import re
import secrets
from collections.abc import Callable

from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from annotation import invitations, people, sessions
from annotation.mentions import AFTER_AT, Names
from annotation.models import Assignment, Comment, Invitation, Membership, Notice, User
from annotation.models.events import record
from annotation.models.people import Role
from annotation.personal import relations, theirs_alone

# Wider than what counts as a mention: a name in code or in an address is a name too.
AT_NAME = re.compile(rf"(?<![\w.@+-]){AFTER_AT}")

RENAME_IN_EVENTS = """
UPDATE annotation_event SET data = touchstone_renamed(data, %(old)s, %(new)s)
WHERE data ->> 'person' = %(old)s OR data -> 'people' ? %(old)s
"""


@transaction.atomic
def erase(*, person: User, actor: User | None) -> User:
    """Close an account for ever and take the person out of it; returns the row with its pseudonym.

    Raises ValidationError for whoever is erased already, the last lead of a project, the last superuser, and oneself.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)  # who labels just now need not wait
    if reason := why_not(person, actor):
        raise ValidationError(reason)
    name, pseudonym = person.username, f"erased-{secrets.token_hex(4)}"
    for membership in person.memberships.filter(excluded_at__isnull=True):  # an exclusion hangs on its membership
        people.remove(membership=membership, actor=actor)
    Membership.objects.filter(person=person).update(role=Role.ANNOTATOR, paused_because="")
    Assignment.objects.filter(person=person).exclude(draft={}).update(draft={})
    for link in Invitation.objects.open().filter(author=person):
        invitations.revoke(invitation=link, actor=actor)
    sessions.end_all(person=person, actor=actor)
    for relation in relations():
        if theirs_alone(relation) and relation.related_model is not Membership:
            relation.related_model._base_manager.filter(**{relation.field.name: person}).delete()
    person.username, person.erased_at = pseudonym, timezone.now()
    person.first_name = person.last_name = person.email = ""
    person.is_active = person.is_staff = person.is_superuser = False
    person.keys, person.last_login = {}, None
    person.set_unusable_password()
    person.save()
    _rename(name, pseudonym)
    record("person erased", person, project=None, actor=actor)
    return person


def why_not(person: User, actor: User | None = None) -> str:
    """Why somebody cannot be erased, in a sentence that says what to do; empty if they can."""
    if person.erased_at:
        return "They were erased before."
    if actor is not None and actor.pk == person.pk:
        return "Nobody can erase themselves: ask somebody else who runs this server."
    if (
        person.is_superuser
        and not User.objects.filter(is_superuser=True, is_active=True).exclude(pk=person.pk).exists()
    ):
        return "They are the last superuser: make another one first."
    for membership in person.memberships.select_related("project", "person"):
        if not membership.excluded_at and (reason := people.why_kept(membership)):
            return f"{membership.project}: {reason}"
    return ""


def _rename(old: str, new: str) -> None:
    """Wherever others wrote the name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('touchstone.erased_name', %s, true), set_config('touchstone.pseudonym', %s, true)",
            [old, new],
        )
        cursor.execute(RENAME_IN_EVENTS, {"old": old, "new": new})
        cursor.execute("SELECT set_config('touchstone.pseudonym', '', true)")
    others = User.objects.filter(username__iexact=old).values_list("username", flat=True)  # Bob, beside bob
    names = Names([old, *others])
    for comment in Comment.objects.filter(Q(text__contains="@") | Q(text__contains="＠")).iterator():
        _rewrite(comment, lambda text: mentions_renamed(text, old, new, names), "text")
    for notice in Notice.objects.filter(text__contains=old).iterator():
        _rewrite(notice, lambda text: name_replaced(text, old, new)[:300], "text")
    logged = LogEntry.objects.filter(Q(object_repr__contains=old) | Q(change_message__contains=old))
    for entry in logged.iterator():
        _rewrite(entry, lambda text: name_replaced(text, old, new)[:200], "object_repr")
        _rewrite(entry, lambda text: name_replaced(text, old, new), "change_message")


def _rewrite(row: Comment | Notice | LogEntry, change: Callable[[str], str], field: str) -> None:
    before = getattr(row, field)
    if (after := change(before)) != before:
        setattr(row, field, after)
        row.save(update_fields=[field])


def mentions_renamed(text: str, old: str, new: str, names: Names) -> str:
    """The text with each @old as @new, where it means none of the other `names`.

    >>> mentions_renamed("@bob, ask @bobby. Thanks @Bob.", "bob", "erased-1", Names(["bob"]))
    '@erased-1, ask @bobby. Thanks @erased-1.'
    """

    def renamed(found: re.Match[str]) -> str:
        name, end = names.meant(found["name"])
        return f"@{new}{end}" if name == old else found[0]

    return AT_NAME.sub(renamed, text)


def name_replaced(text: str, old: str, new: str) -> str:
    """The text with the name `old`, where it stands alone, as `new`.

    >>> name_replaced("bob, and not bobby, has been paused by bob.", "bob", "erased-1")
    'erased-1, and not bobby, has been paused by erased-1.'
    """
    return re.sub(rf"(?<![\w+-]){re.escape(old)}(?![\w+-])", lambda _: new, text)
