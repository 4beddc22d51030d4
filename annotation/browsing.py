"""Rows of a project that fit what is asked, a page at a time, at a pace that does not hang on how many there are.

1. Each filter that has an index is asked for `RARE` rows at most. Where one has no more, only its rows can fit: they
   are laid side by side, put in order and checked. All of that is bounded by `RARE`. Where they are `MANY`, the next
   few rows are looked through first: they may be a page already.
2. If none is rare, rows are common: the newest are looked through, `LOOKED_AT` at most, and a page is full soon.
3. If it is not (all that fits is old, or two filters hardly meet), PostgreSQL may go its own way, for `PATIENCE`.
4. If that is too long, the page has what was found so far, says how far it looked, and goes on from there.

Pages follow each other by the place of their last row, never by a number of rows to pass over, and nothing is counted
beyond `COUNTED`. Prompts and labels are in the order they came in; answers stand with their prompts.
"""

# ruff: noqa: S608  # statements are put together of constants and of what the ORM makes; every value is a parameter

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length

from annotation.bounded import Statement, within
from annotation.filters import ANSWER, ANSWERS, CONFIDENCE, ITEM, LABEL, LABELS, OWN, PROMPT, PROMPTS, Rare, Wanted
from annotation.models import Consensus, Item
from annotation.ordering import (
    DISPUTED,
    LABELLED,
    LAST,
    LONGEST,
    NEWEST,
    ORDERS,
    SHORTEST,
    At,
    Place,
    base_of,
    direction,
    order_of,
    with_prompts,
)

RARE, MANY = 20_000, 4_000
NEAR = 4_000  # rows that are looked through first where rare ones are many
FIRST, LOOKED_AT = 2_000, 20_000
LOOKING = 0.06  # seconds
PROBING = 60  # milliseconds
COUNTED = 10_000
PATIENCE = 120  # milliseconds, for a way of PostgreSQL's own
COUNTING = 50  # milliseconds
GUARD = 5_000  # milliseconds: the last resort, for a page that nothing above has bounded
PAGE = 50
BY_WHAT_IS_SAID = (LABELLED, DISPUTED)  # in these orders, prompts of which nothing was said are none of the rows


class TooSlow(Exception):
    """The question would take too long; whoever asks should narrow it."""


@dataclass(frozen=True)
class Found:
    """Ids of a page's rows, in order. `after` is where the next page begins, None if there is none; with `looked_to`
    the page is not full because of the time it took, and `after` goes on looking from there. `total` is None where it
    was not counted; it is more than that where `more_than` is true."""

    ids: list[int]
    after: Place | None = None
    looked_to: At | None = None
    total: int | None = None
    more_than: bool = False


# From a row of one level to those on the page that hang on it, by an index for each: left to itself PostgreSQL would
# read whole tables where there are some thousands.
HANGING = {
    (PROMPTS, ITEM): "SELECT prompt_id AS id FROM annotation_item WHERE id = own.id",
    (PROMPTS, ANSWER): "SELECT prompt_id AS id FROM annotation_response WHERE id = own.id",
    (PROMPTS, LABEL): """SELECT item.prompt_id AS id FROM annotation_label label
        JOIN annotation_item item ON item.id = label.item_id WHERE label.id = own.id""",
    (ANSWERS, PROMPT): "SELECT id FROM annotation_response WHERE prompt_id = own.id",
    (ANSWERS, ITEM): "SELECT response_id AS id FROM annotation_itemresponse WHERE item_id = own.id",
    (ANSWERS, LABEL): """SELECT shown.response_id AS id FROM annotation_label label
        JOIN annotation_itemresponse shown ON shown.item_id = label.item_id WHERE label.id = own.id""",
    (LABELS, PROMPT): """SELECT label.id FROM annotation_item item
        JOIN annotation_label label ON label.item_id = item.id WHERE item.prompt_id = own.id""",
    (LABELS, ITEM): "SELECT id FROM annotation_label WHERE item_id = own.id",
    (LABELS, ANSWER): """SELECT label.id FROM annotation_itemresponse shown
        JOIN annotation_label label ON label.item_id = shown.item_id WHERE shown.response_id = own.id""",
}


def find(wanted: Wanted, *, order: str = NEWEST, after: Place | None = None, size: int = PAGE) -> Found:
    """One page. Raises TooSlow where nothing else has bounded it; a place of another order begins at the first."""
    after = after if after and after.fits(order) else None
    return _guarded(lambda: _find(wanted, order, after, size))


def count(wanted: Wanted, *, most: int = COUNTED, patience: int = GUARD) -> tuple[int | None, bool]:
    """How many rows fit, and whether they are more; None if that took too long."""

    def counted() -> int:
        rare, _ = _rare(wanted)
        if rare is not None:
            return _count(_checked(wanted, NEWEST, _among(wanted, NEWEST, rare, None)), most + 1)
        return int(
            Statement(*_sql(wanted.rows().values("pk")[: most + 1], "SELECT count(*) FROM ({}) fit")).run()[0][0]
        )

    found = within(patience, counted)
    return (None, False) if found is None else (min(found, most), found > most)


def each(wanted: Wanted, *, after: Place | None = None, size: int = 1_000) -> Iterator[tuple[list[int], Place | None]]:
    """All rows that fit, in batches, each with where the next begins: however long it takes."""
    while True:
        found = _find(wanted, NEWEST, after, size, patient=True)
        yield found.ids, found.after
        if found.after is None:
            return
        after = found.after


def _find(wanted: Wanted, order: str, after: Place | None, size: int, *, patient: bool = False) -> Found:
    try:
        rare, most = _rare(wanted)
        if rare is not None:
            soon = _soon(wanted, order, after, size) if most > MANY and not patient else None
            found = soon or _page(_checked(wanted, order, _among(wanted, order, rare, after)), size)
            if found.after is None and after is None:
                return replace(found, total=len(found.ids))
            return found if after or patient else _with_total(found, wanted, order, rare)
        return _common(wanted, order, after, size, patient)
    except EmptyResultSet:
        return Found([], total=0)


def _with_total(found: Found, wanted: Wanted, order: str, rare: Statement) -> Found:
    if order not in BY_WHAT_IS_SAID or order_of(wanted) == order:  # the filters leave out the rest as well
        order = NEWEST
    everything = _checked(wanted, order, _among(wanted, order, rare, None))
    total = within(COUNTING, lambda: _count(everything, COUNTED + 1))
    if total is None:
        return found
    return replace(found, total=min(total, COUNTED), more_than=total > COUNTED)


def _soon(wanted: Wanted, order: str, after: Place | None, size: int) -> Found | None:
    """A page of the next few rows, if it is full with them and there are more."""
    next_few = _checked(wanted, order, _along(wanted, order, after, NEAR))
    page = within(PROBING, lambda: _page(next_few, size))
    return page if page is not None and page.after is not None else None


def _common(wanted: Wanted, order: str, after: Place | None, size: int, patient: bool) -> Found:
    """Look through the rows in their order, stretch by stretch, as far as there is time."""
    ids: list[int] = []
    place, looked, began = after, 0, monotonic()
    while True:
        stretch = min(max(FIRST, looked), LOOKED_AT)  # twice as far each time
        page = _page(_checked(wanted, order, _along(wanted, order, place, stretch)), size - len(ids))
        ids += page.ids
        end = _end_of(wanted, order, place, stretch) if page.after is None else None
        if end is None:
            break
        place, looked = end, looked + stretch
        if len(ids) == size or patient:
            return Found(ids, end)
        if looked >= LOOKED_AT or monotonic() - began > LOOKING:
            whole = within(PATIENCE, lambda: _page(_any_way(wanted, order, after), size))
            return whole or Found(ids, end, looked_to=end.at)
    found = Found(ids, page.after)
    if after is None and found.after is None:
        return replace(found, total=len(ids))
    if after is None and order not in BY_WHAT_IS_SAID and not any(wanted.given()):
        total = _count(_along(wanted, NEWEST, None, COUNTED + 1), COUNTED + 1)
        return replace(found, total=min(total, COUNTED), more_than=total > COUNTED)
    return found


# The pieces


def _rare(wanted: Wanted) -> tuple[Statement | None, int]:
    """The only rows that can fit, where a filter leaves few enough, else None; and how many they are at most."""
    rares = wanted.rares()
    if not rares:
        return None, 0
    probes = [_sql(one.rows.values(one.key)[: RARE + 1], "(SELECT count(*) FROM ({}) probe)") for one in rares]
    together = Statement("SELECT " + ", ".join(sql for sql, _ in probes), sum((values for _, values in probes), ()))
    sizes = within(PROBING, lambda: together.run()[0]) or [_size(Statement(f"SELECT {sql}", v)) for sql, v in probes]
    few = [one for one, size in zip(rares, sizes, strict=True) if size <= RARE]
    if not few:
        return None, 0
    parts = [_hanging(one, wanted.view) for one in few]
    both = " INTERSECT ".join(one.sql for one in parts)
    # One prompt may have been found by its own words and by those of each answer: it is still one row.
    together = Statement(f"SELECT DISTINCT id FROM ({both}) one (id)", sum((one.values for one in parts), ()))
    return together, min(sizes)


def _size(probe: Statement) -> int:
    """More than `RARE` where it takes too long to tell: words that are common, in an order that is not."""
    found = within(PROBING, lambda: probe.run()[0][0])
    return RARE + 1 if found is None else int(found)


def _hanging(rare: Rare, view: str) -> Statement:
    """The rows of this kind (ids) that hang on what an index found."""
    found = _sql(rare.rows.values(rare.key)[:RARE], "({})")
    if rare.level == OWN[view]:
        return Statement(*found)
    each_one = f"CROSS JOIN LATERAL ({HANGING[view, rare.level]} OFFSET 0) hanging"
    return Statement(f"(SELECT hanging.id FROM {found[0]} own (id) {each_one})", found[1])


def _sql(rows: QuerySet[Any], frame: str) -> tuple[str, tuple[Any, ...]]:
    sql, values = rows.order_by().query.sql_with_params() if not rows.query.is_sliced else rows.query.sql_with_params()
    return frame.format(sql), tuple(values)


def _beyond(order: str, after: Place | None, at: str, place: str, *, same: bool = False) -> tuple[str, tuple[Any, ...]]:
    """What lies behind a place; with `same` the place's own prompt too, of which some answers may be left."""
    if after is None:
        return "", ()
    sign = (">" if ORDERS[order].ascending else "<") + ("=" if same else "")
    return f" AND ({at}, {place}) {sign} (%s, %s)", (after.at, after.place)


def _part(wanted: Wanted, order: str) -> tuple[str, tuple[Any, ...]]:
    """What narrows the way itself: a range of dates or of agreement is a stretch of it, and prompts of one
    language have their own."""
    sql = ""
    values: tuple[Any, ...] = ()
    if order == DISPUTED and wanted.values.get("agreement"):
        return " AND row.confidence >= %s AND row.confidence < %s", CONFIDENCE[wanted.values["agreement"]]
    if ORDERS[order].base:
        return sql, values
    if wanted.view != LABELS and wanted.values.get("language"):
        sql, values = " AND row.language = %s", (wanted.values["language"],)
    for name, sign in (("since", ">="), ("until", "<")):
        if wanted.view != ANSWERS and wanted.values.get(name):
            sql, values = f"{sql} AND row.created_at {sign} %s", (*values, wanted.values[name])
    return sql, values


def _stretch(wanted: Wanted, order: str, after: Place | None, most: int) -> Statement:
    """The next rows that are walked along in this order, whatever they are: (at, place, id)."""
    base, at, way = base_of(wanted, order), ORDERS[order].at, direction(order)
    beyond, place = _beyond(order, after, at, "row.id", same=with_prompts(wanted, order))
    part, of_part = _part(wanted, order)
    own, project = ("row.project_id = %s", (wanted.project.pk,)) if ORDERS[order].of_project else ("true", ())
    sql = (
        f"SELECT {at} AS at, row.id AS place, row.id AS id FROM {base} row WHERE {own}"
        f"{beyond}{part} ORDER BY {at} {way}, row.id {way} LIMIT {int(most)}"
    )
    return Statement(sql, (*project, *place, *of_part))


def _along(wanted: Wanted, order: str, after: Place | None, most: int) -> Statement:
    """The next rows in their order: (at, place, id); answers stand with their prompts."""
    stretch, way = _stretch(wanted, order, after, most), direction(order)
    if not with_prompts(wanted, order):
        return stretch
    rest = ""
    place: tuple[Any, ...] = ()
    if after is not None:
        rest, place = " WHERE NOT (prompt.place = %s AND answer.id <= %s)", (after.place, after.id)
    return Statement(
        f"SELECT prompt.at, prompt.place, answer.id AS id FROM ({stretch.sql}) prompt CROSS JOIN LATERAL ("
        "SELECT one.id FROM annotation_response one WHERE one.prompt_id = prompt.place ORDER BY one.id OFFSET 0"
        f") answer{rest} ORDER BY prompt.at {way}, prompt.place {way}, answer.id",
        (*stretch.values, *place),
    )


def _among(wanted: Wanted, order: str, rare: Statement, after: Place | None) -> Statement:
    """The few that come into question, in their order: (at, place, id)."""
    way, rest = direction(order), ""
    more: tuple[Any, ...] = ()
    if with_prompts(wanted, order):
        row = """SELECT prompt.created_at, prompt.id AS place, answer.id FROM annotation_response answer
            JOIN annotation_prompt prompt ON prompt.id = answer.prompt_id
            WHERE answer.id = rare.id AND prompt.project_id = %s"""
        if after is not None:
            rest, more = " AND NOT (row.place = %s AND row.id <= %s)", (after.place, after.id)
    elif order == LABELLED:
        row = """SELECT label.created_at, label.id AS place, label.id FROM annotation_item item
            JOIN annotation_label label ON label.item_id = item.id
            WHERE item.prompt_id = rare.id AND label.project_id = %s"""
    elif order == DISPUTED:
        row = """SELECT own.confidence, own.id AS place, own.id FROM annotation_item item
            JOIN annotation_consensus own ON own.item_id = item.id
            WHERE item.prompt_id = rare.id AND item.project_id = %s"""
    elif order in (LONGEST, SHORTEST):
        row = """SELECT length(answer.text), answer.id AS place, answer.id FROM annotation_response answer
            JOIN annotation_prompt prompt ON prompt.id = answer.prompt_id
            WHERE answer.id = rare.id AND prompt.project_id = %s"""
    else:
        row = f"""SELECT own.created_at, own.id AS place, own.id FROM {base_of(wanted, order)} own
            WHERE own.id = rare.id AND own.project_id = %s"""
    beyond, place = _beyond(order, after, "row.at", "row.place", same=with_prompts(wanted, order))
    return Statement(
        f"SELECT row.at, row.place, row.id FROM ({rare.sql}) rare (id) "
        f"CROSS JOIN LATERAL ({row} OFFSET 0) row (at, place, id) WHERE true{beyond}{rest} "
        f"ORDER BY row.at {way}, row.place {way}, row.id",
        (*rare.values, wanted.project.pk, *place, *more),
    )


def _checked(wanted: Wanted, order: str, source: Statement) -> Statement:
    """Those of these rows that fit, one after another and no more than are read: (at, place, id, row to show).

    OFFSET 0 holds PostgreSQL to that; it would else read all of a table that it takes for small.
    """
    sql, values = _sql(_fitting(wanted, order).filter(pk=RawSQL("one.id", ())), "{} OFFSET 0")
    way, last = direction(order), ", one.id" if with_prompts(wanted, order) else ""
    return Statement(
        f"SELECT one.at, one.place, one.id, fit.* FROM ({source.sql}) one CROSS JOIN LATERAL ({sql}) fit "
        f"ORDER BY one.at {way}, one.place {way}{last}",
        (*source.values, *values),
    )


def _fitting(wanted: Wanted, order: str) -> QuerySet[Any]:
    """Rows that fit, with the id of what is shown of each."""
    if order not in BY_WHAT_IS_SAID:
        return wanted.rows().values("pk")
    prompts = wanted.rows().filter(pk=OuterRef("item__prompt_id"))
    if order == DISPUTED:  # of what people say together of a prompt's items, where they agree least
        several = Consensus.objects.filter(labels__len__gte=2)
        if (item := wanted.conditions(ITEM)) is not None:
            several = several.filter(Exists(Item.objects.filter(item, pk=OuterRef("item_id"))))
        return (
            several.filter(Exists(prompts))
            .exclude(Exists(several.filter(_before("confidence", "lt"))))
            .values("item__prompt_id")
        )
    labels = wanted.labels()
    newer = labels.filter(_before("created_at", "gt"))
    return labels.filter(Exists(prompts)).exclude(Exists(newer)).values("item__prompt_id")


def _before(at: str, sign: str) -> Q:
    """Another row on the same prompt that comes sooner."""
    sooner = Q(**{f"{at}__{sign}": OuterRef(at)}) | Q(**{at: OuterRef(at), f"pk__{sign}": OuterRef("pk")})
    return sooner & Q(item__prompt=OuterRef("item__prompt_id"))


def _any_way(wanted: Wanted, order: str, after: Place | None) -> Statement:
    """The same page, by whatever plan: all that fits is gathered and then put in order."""
    rows, way = wanted.rows(), direction(order)
    at, place, own = "created_at", "pk", "pk"
    if with_prompts(wanted, order):
        at, place = "prompt__created_at", "prompt_id"
    elif order in (LONGEST, SHORTEST):
        rows, at = rows.annotate(length=Length("text")), "length"
    elif order in BY_WHAT_IS_SAID:
        rows, own = _fitting(wanted, order), "item__prompt_id"
        at = "confidence" if order == DISPUTED else at
    sql, values = _sql(rows.values_list(at, place, "pk", own), "{} OFFSET 0")
    beyond, more = _beyond(order, after, "one.at", "one.place", same=with_prompts(wanted, order))
    rest, last = "", ", one.id" if with_prompts(wanted, order) else ""
    if after is not None and with_prompts(wanted, order):
        rest, more = " AND NOT (one.place = %s AND one.id <= %s)", (*more, after.place, after.id)
    return Statement(
        f"SELECT * FROM ({sql}) AS one (at, place, id, shown) WHERE true{beyond}{rest} "
        f"ORDER BY one.at {way}, one.place {way}{last}",
        (*values, *more),
    )


def _page(rows: Statement, size: int) -> Found:
    found = Statement(f"{rows.sql} LIMIT {int(size) + 1}", rows.values).run()
    if len(found) <= size:
        return Found([row[3] for row in found])
    at, place, last, _ = found[size - 1]
    return Found([row[3] for row in found[:size]], Place(at, place, last))


def _end_of(wanted: Wanted, order: str, after: Place | None, most: int) -> Place | None:
    """The last of the rows that were looked through; None if they were the last there are."""
    stretch = _stretch(wanted, order, after, most)
    rows = Statement(f"SELECT at, place FROM ({stretch.sql}) one OFFSET {int(most) - 1} LIMIT 1", stretch.values).run()
    return Place(rows[0][0], rows[0][1], LAST - 1) if rows else None


def _count(rows: Statement, most: int) -> int:
    rows = Statement(f"SELECT count(*) FROM (SELECT FROM ({rows.sql}) one LIMIT {int(most)}) fit", rows.values)
    return int(rows.run()[0][0])


def _guarded(ask: Callable[[], Any]) -> Any:
    found = within(GUARD, ask)
    if found is None:
        raise TooSlow
    return found
