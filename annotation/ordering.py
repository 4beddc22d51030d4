"""Orders that rows of Browse come in, and the place of a row in one: each order is a walk along an index."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from annotation.filters import ANSWERS, LABEL, LABELS, PROMPTS, VIEWS, Wanted

NEWEST, OLDEST, LABELLED, DISPUTED, LONGEST, SHORTEST = (
    *("newest", "oldest", "labelled"),
    *("disputed", "longest", "shortest"),
)
LAST = 2**63  # beyond every id
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
At = datetime | float | int


@dataclass(frozen=True)
class Order:
    """`kind` is what rows are put in order by, `base` the table whose index is walked (empty for that of the rows), and
    `at` what stands in that index before the id. Where its rows do not know their project, all are walked along, and
    those of another are left out as they are looked at."""

    words: str
    kind: type
    ascending: bool = False
    base: str = ""
    at: str = "row.created_at"
    of_project: bool = True
    views: Iterable[str] = tuple(VIEWS)


BY_LENGTH: dict[str, Any] = {
    **{"base": "annotation_response", "at": "length(row.text)", "of_project": False, "views": (ANSWERS,)},
}
ORDERS = {
    NEWEST: Order("Newest first", datetime),
    OLDEST: Order("Oldest first", datetime, ascending=True),
    LABELLED: Order("Latest label first", datetime, base="annotation_label", views=(PROMPTS,)),
    # A prompt stands where the item of it stands on which people agree least.
    DISPUTED: Order(
        *("Least agreed", float),
        ascending=True,
        base="annotation_consensus",
        at="row.confidence",
        of_project=False,
        views=(PROMPTS,),
    ),
    LONGEST: Order("Longest first", int, **BY_LENGTH),
    SHORTEST: Order("Shortest first", int, ascending=True, **BY_LENGTH),
}


def words(view: str) -> dict[str, str]:
    """The orders that rows of a kind can come in, as people call them."""
    return {name: order.words for name, order in ORDERS.items() if view in order.views}


def order_of(wanted: Wanted, asked: str = "") -> str:
    """The order asked for where it makes sense. Prompts looked for by what people said of them come by that: whatever
    is labelled may be old, and a walk from the newest on would find it late."""
    if asked in words(wanted.view):
        return asked
    if wanted.view == PROMPTS and (wanted.has(LABEL) or wanted.values.get("state") == "labelled"):
        return LABELLED
    return DISPUTED if wanted.view == PROMPTS and wanted.values.get("agreement") else NEWEST


def base_of(wanted: Wanted, order: str) -> str:
    """The table that is walked."""
    return ORDERS[order].base or ("annotation_label" if wanted.view == LABELS else "annotation_prompt")


def direction(order: str) -> str:
    return "ASC" if ORDERS[order].ascending else "DESC"


def with_prompts(wanted: Wanted, order: str) -> bool:
    """Whether the rows are answers that stand with their prompts."""
    return wanted.view == ANSWERS and not ORDERS[order].base


@dataclass(frozen=True)
class Place:
    """Where a row stands: what it is put in order by (when it or its prompt came, for most), the number of that, and
    the row's own."""

    at: At
    place: int
    id: int

    def __str__(self) -> str:
        if isinstance(self.at, datetime):
            at = str((self.at - EPOCH) // timedelta(microseconds=1))
        elif isinstance(self.at, float):
            at = f"f{struct.unpack('>Q', struct.pack('>d', self.at))[0]}"  # its bits: exactly that number
        else:
            at = f"n{self.at}"
        return f"{at}-{self.place}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """None for what is no place.

        >>> [str(Place.parse(f"{at}-7-9")) for at in ("1700000000000000", "f4603579539098121011", "n12")]
        ['1700000000000000-7-9', 'f4603579539098121011-7-9', 'n12-7-9']
        """
        kind, text = (text[0], text[1:]) if text[:1] in ("f", "n") else ("", text)
        parts = text.split("-")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            return None
        at, place, last = map(int, parts)
        if max(place, last) >= LAST:
            return None
        try:
            return cls(_at(kind, at), place, last)
        except (OverflowError, struct.error):
            return None

    def fits(self, order: str) -> bool:
        """Whether it is a place of such an order: the order in an address may have been changed."""
        return type(self.at) is ORDERS[order].kind


def _at(kind: str, number: int) -> At:
    if kind == "f":
        return float(struct.unpack(">d", struct.pack(">Q", number))[0])
    if kind == "n":
        if number >= 2**31:
            raise OverflowError
        return number
    return EPOCH + timedelta(microseconds=number)
