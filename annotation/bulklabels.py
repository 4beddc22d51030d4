"""Many labels of one person at once, as JSON Lines: each names its item, and its answers by id, as a row of an export
has them. Every line is held to what is asked of a label that is said on a page, and is stored by the same verb.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation import importedlabels, labelling, leasing, standing
from annotation.labelling import LeaseLost
from annotation.models import Item, Label, Membership
from annotation.prepared import through_migrations
from annotation.shapes.exported import labels_of
from annotation.shapes.records import record_of
from annotation.shapes.rows import BadLine
from annotation.text import canonical, why_unstorable

MOST = 1_000  # lines of one call: each is a transaction of its own
NAMESPACE = uuid.UUID("0a0b7a67-6a3c-4b55-9a0e-1a1c3e5c1f02")
NOT_OPEN = "this item is not open to you: you have judged it, it has the labels it wants, or it asks no more"
NOT_SAID = ("id", "person", "simulated", "decision", "created_at", "client_uuid")  # of a row that went out


@dataclass
class Taken:
    """What became of the lines. `rejected` lists (line number, reason)."""

    added: int = 0
    known: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def take_in(*, membership: Membership, lines: Iterable[str | bytes]) -> Taken:
    """Store labels in the person's own name. The same line again is the same label; a bad line stops nothing.

    Raises ValidationError for more lines than `MOST`, of which none is stored, and where the person may not judge now.
    """
    if why := standing.why_nothing(membership):
        raise ValidationError(why)
    numbered = enumerate(lines, start=1)
    sent = list(islice(((number, line) for number, line in numbered if line.strip()), MOST + 1))
    if len(sent) > MOST:
        raise ValidationError(f"Send {MOST:,} labels at a time.")
    taken = Taken()
    for number, line in sent:
        try:
            fresh = _take(membership, record_of(line))
        except BadLine as error:
            taken.rejected.append((number, str(error)))
        except ValidationError as error:
            taken.rejected.append((number, " ".join(error.messages)))
        except LeaseLost:
            taken.rejected.append((number, NOT_OPEN))
        else:
            taken.added += fresh
            taken.known += not fresh
    return taken


@through_migrations
@transaction.atomic
def _take(membership: Membership, record: dict[str, Any]) -> bool:
    """Store one label; False if it is there already."""
    item = _item(membership, record.get("item"))
    answers = list(item.responses.order_by("item_answers__order").values_list("pk", flat=True))
    content = {name: value for name, value in record.items() if name not in NOT_SAID}
    if why := why_unstorable(content):
        raise BadLine(f"it {why}")
    named = _uuid(membership, record.get("client_uuid"), content)
    known = Label.objects.filter(client_uuid=named).values_list("person_id", "item_id").first()
    if known is not None and known != (membership.person_id, item.pk):
        raise BadLine("this UUID belongs to another label")
    if known is not None:
        return False
    (said,) = labels_of([content], item.kind, [{"id": pk} for pk in answers], range(len(answers)))
    assignment = leasing.take(membership=membership, item=item)
    if assignment is None:
        raise BadLine(NOT_OPEN)
    order = [answers.index(pk) for pk in assignment.order]
    messages = item.prompt.messages
    shown = importedlabels.in_order(said, order, kind=item.kind, messages=messages, client_uuid=named)
    labelling.submit(assignment=assignment, said=shown)
    return True


def _item(membership: Membership, number: Any) -> Item:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise BadLine('"item" must be the number of an item')
    found = Item.objects.work().filter(project=membership.project, pk=number).select_related("prompt").first()
    if found is None:
        raise BadLine(f"this project has no item {number}")
    return found


def _uuid(membership: Membership, given: Any, content: dict[str, Any]) -> uuid.UUID:
    """The label's own name: the one that was sent, or one that the same words always have."""
    if given is None:
        return uuid.uuid5(NAMESPACE, f"{membership.person_id}:{canonical(content)}")
    try:
        return uuid.UUID(str(given))
    except ValueError:
        raise BadLine('"client_uuid" must be a UUID') from None
