"""Guidelines in versions: publishing one, what changed between two, and whether a person has read it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.models import Guidelines, Membership, Project, User
from annotation.models.events import record

NEARBY = 2  # unchanged lines shown before and after a change


@transaction.atomic
def publish(
    *,
    project: Project,
    text: str,
    actor: User | None = None,
    note: str = "",
    asks_again: bool = True,
    after: int | None = None,
) -> Guidelines:
    """Make `text` the project's guidelines; the versions before stay. The same text again changes nothing.

    Raises ValidationError if it was written `after` the version of this number (0 for none), and there is a newer one.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = project.current_guidelines
    if current is not None and current.text == text:
        return current
    if current is not None and after is not None and after < current.number:
        author = current.author.username if current.author else "somebody"
        raise ValidationError(f"{author} saved version {current.number} while this was written.")
    made = Guidelines.objects.create(
        project=project,
        number=current.number + 1 if current else 1,
        text=text,
        note=note,
        asks_again=asks_again,
        author=actor,
    )
    if actor is not None:  # whoever wrote it has read it
        Membership.objects.filter(project=project, person=actor).update(read_guidelines=made)
    record("guidelines changed", project, project=project, actor=actor, number=made.number, note=note)
    return made


def unread(membership: Membership) -> Guidelines | None:
    """The newest version, if the person should read it before they go on: they have read none, or one that a
    version asking to be read again has replaced since."""
    newest = _newest(membership)
    return newest if newest is not None and _asks(membership, newest) else None


def seen_by(membership: Membership) -> Guidelines | None:
    """The version a label of this person follows: the newest, or while they have yet to read one that asks to be
    read, the one before that."""
    newest = _newest(membership)
    if newest is None or not _asks(membership, newest):
        return newest
    versions = Guidelines.objects.filter(project_id=membership.project_id).defer("text")
    known = membership.read_guidelines.number if membership.read_guidelines else 0
    asking = versions.filter(number__gt=known, asks_again=True).order_by("number").first()
    return versions.filter(number__lt=asking.number).order_by("-number").first() if asking else newest


def _newest(membership: Membership) -> Guidelines | None:
    """Without its text, which may be long and is rarely wanted: this is asked for every item."""
    if hasattr(membership, "newest_guidelines"):
        return membership.newest_guidelines
    return Guidelines.objects.filter(project_id=membership.project_id).defer("text").order_by("-number").first()


def _asks(membership: Membership, newest: Guidelines) -> bool:
    if membership.read_guidelines_id == newest.pk:
        return False
    known = membership.read_guidelines.number if membership.read_guidelines else 0
    newer = Guidelines.objects.filter(project_id=membership.project_id, number__gt=known, asks_again=True)
    return newer.exists() and bool(newest.text.strip())


def mark_read(*, membership: Membership, version: Guidelines) -> None:
    """The person says that they have read this version; having read a later one, they have read it too."""
    if membership.read_guidelines and membership.read_guidelines.number >= version.number:
        return
    membership.read_guidelines = version
    Membership.objects.filter(pk=membership.pk).update(read_guidelines=version)


@dataclass(frozen=True)
class Piece:
    """A stretch of text that is `same` in two versions, `gone` from the older, or `new` in the newer; `folded` are
    lines that did not change and are far from any that did."""

    kind: str
    text: str


def changes_for(membership: Membership, newest: Guidelines) -> list[Piece]:
    """What is new to the person since the version they read last; empty if they have read none."""
    known = membership.read_guidelines
    return changes(known.text, newest.text) if known and known.text.strip() else []


def changes(old: str, new: str) -> list[Piece]:
    """The difference between two texts: line by line, and within lines that were changed word by word.

    >>> [(piece.kind, piece.text) for piece in changes("Be kind.", "Be brief.")]
    [('same', 'Be '), ('gone', 'kind'), ('new', 'brief'), ('same', '.')]
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[Piece] = []
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for step, (how, a, b, c, d) in enumerate(steps):
        if how == "equal":
            pieces += _unchanged(before[a:b], first=step == 0, last=step == len(steps) - 1)
        else:
            pieces += _words("".join(before[a:b]), "".join(after[c:d]))
    return pieces


def _unchanged(lines: list[str], *, first: bool, last: bool) -> Iterator[Piece]:
    """Lines that stayed, all but the nearby ones folded."""
    head, tail = (0 if first else NEARBY), (0 if last else NEARBY)
    if len(lines) <= head + tail + 1:
        yield Piece("same", "".join(lines))
        return
    if head:
        yield Piece("same", "".join(lines[:head]))
    yield Piece("folded", "".join(lines[head : len(lines) - tail]))
    if tail:
        yield Piece("same", "".join(lines[len(lines) - tail :]))


def _words(old: str, new: str) -> Iterator[Piece]:
    before, after = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (old, new))
    # Spaces are no ground to hold two texts together by, or every other word would match.
    for how, a, b, c, d in SequenceMatcher(str.isspace, before, after, autojunk=False).get_opcodes():
        if how == "equal":
            yield Piece("same", "".join(before[a:b]))
            continue
        if b > a:
            yield Piece("gone", "".join(before[a:b]))
        if d > c:
            yield Piece("new", "".join(after[c:d]))
