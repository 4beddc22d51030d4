"""What people say to each other about an item: comments, mentions, and flags, which ask the leads to act.

Who may read what is in `access.thread`: until somebody has judged an item they see no opinions of others on it, and
on gold they never do.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import Truncator

from annotation import access, reviewing
from annotation.models import Comment, Item, Membership, User
from annotation.models.events import record
from annotation.models.items import Purpose
from annotation.models.people import Role
from annotation.notices import tell
from annotation.text import storable

LONGEST = 4000
MOST_NAMES = 200
THEN = {"": "nothing more", "drop": "drop the item", "review": "send it to the reviewers"}


@transaction.atomic
def comment(*, item: Item, author: Membership, text: str, flag: bool = False) -> Comment:
    """Add to the thread on an item and tell those who are mentioned; a flag also tells the leads, and opens a case."""
    made = Comment.objects.create(item=item, author=author.person, text=_checked(text), flag=flag)
    short = Truncator(made.text).chars(200)
    told = {author.person_id, *_tell(made, author, f"{author.person} mentions you: {short}")}
    if flag:
        leads = Membership.objects.leads().filter(project=item.project).exclude(person__in=told)
        tell(
            people=[one.person for one in leads.select_related("person")],
            project=item.project,
            text=f"{author.person} flags an item: {short}",
            address=made.get_absolute_url(),
        )
        record("item flagged", item, project=item.project, actor=author.person, comment=made.pk)
        if item.purpose != Purpose.GOLD and not item.dropped:
            reviewing.open_case(item=item, reason=reviewing.Reason.FLAG, actor=author.person)
    return made


@transaction.atomic
def settle(*, flag: Comment, actor: Membership, answer: str = "", then: str = "") -> None:
    """A lead is done with a flag: its author is told, with the answer if there is one.

    `then` may drop the item for everybody, or send it to the reviewers; otherwise the flag's case ends, unless
    somebody else's flag is open or a reviewer is at it. Raises ValidationError if it was settled already.
    """
    item = flag.item
    if then not in THEN:
        raise ValidationError("After a flag an item is dropped, sent to review, or left.")
    if then == "review" and item.purpose == Purpose.GOLD:
        raise ValidationError("The right answer to a gold item is known: there is nothing to review.")
    done = Comment.objects.open_flags().filter(pk=flag.pk)
    if not done.update(settled_at=timezone.now(), settled_by=actor.person):
        raise ValidationError("This flag was settled already.")
    address, text = flag.get_absolute_url(), "Your flag was settled."
    if answer.strip():
        said = Comment(item=item, author=actor.person, text=_checked(f"@{flag.author.username} {answer.strip()}"))
        said.save()
        address, text = said.get_absolute_url(), f"{actor.person} on your flag: {Truncator(answer.strip()).chars(200)}"
    if flag.author_id != actor.person_id:
        tell(people=[flag.author], project=item.project, text=text, address=address)
    record("flag settled", item, project=item.project, actor=actor.person, comment=flag.pk, then=then)
    if then == "drop":
        drop(item=item, actor=actor)
    elif then == "review":
        reviewing.open_case(item=item, reason=reviewing.Reason.ASKED, actor=actor.person)
    elif not Comment.objects.open_flags().filter(item=item).exists():
        reviewing.close_unclaimed(item=item, reasons=[reviewing.Reason.FLAG])


def drop(*, item: Item, actor: Membership) -> None:
    """Ask nobody about the item from now on; what was said of it stays."""
    asked = Q(dropped=False) | Q(set_aside=True)  # what is set aside would come back
    if Item.objects.filter(asked, pk=item.pk).update(dropped=True, set_aside=False):
        reviewing.close_unclaimed(item=item)
        record("item dropped", item, project=item.project, actor=actor.person)


def thread(*, member: Membership, item: Item, blind: bool = False) -> list[tuple[Comment, str]]:
    """What the member may read of the thread on an item, with the authors' names.

    `blind`, for somebody who reviews the item: annotators have no names.
    """
    seen = access.thread(member, item)
    named = {one.author_id for one in seen}
    if seen and blind:
        annotators = item.project.memberships.filter(role=Role.ANNOTATOR)
        named -= set(annotators.values_list("person_id", flat=True))
    return [(one, one.author.username if one.author_id in named else "An annotator") for one in seen]


def can_mention(*, member: Membership, blind: bool = False) -> list[str]:
    """The user names to offer; to somebody who reviews blind, no annotator's."""
    others = member.project.memberships.exclude(person=member.person)
    if blind:
        others = others.exclude(role=Role.ANNOTATOR)
    return list(others.order_by("person__username").values_list("person__username", flat=True)[:MOST_NAMES])


def _tell(made: Comment, author: Membership, text: str) -> list[int]:
    """Tell the members whom a comment names. On gold an annotator reaches reviewers and leads alone."""
    mentioned = made.item.project.member_names().mentioned(made.text)
    members = Membership.objects.filter(project=made.item.project, person__username__in=mentioned)
    members = members.exclude(person=author.person).select_related("person")
    if made.item.purpose == Purpose.GOLD and not author.at_least(Role.REVIEWER):
        members = members.exclude(role=Role.ANNOTATOR)
    people: list[User] = [member.person for member in members]
    tell(people=people, project=made.item.project, text=text, address=made.get_absolute_url())
    return [person.pk for person in people]


def _checked(text: str) -> str:
    text = storable(text).replace("\r\n", "\n").strip()
    if not text:
        raise ValidationError("Write something first.")
    if len(text) > LONGEST:
        raise ValidationError(f"That is too long: {LONGEST} characters are the most.")
    return text
