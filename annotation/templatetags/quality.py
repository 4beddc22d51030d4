"""A person's figures as a page shows them."""

from typing import Any

from django import template

from annotation.consensus import METHODS
from annotation.raters import MINIMUM, Ways
from annotation.statistics import Interval, percent

register = template.Library()


@register.filter
def figures(ways: Ways) -> list[tuple[str, dict[str, Any] | None, str]]:
    """Name, share with its range, and what the others do, for each figure there is anything to say of."""
    rows: list[tuple[str, Interval | None, float | None]] = [
        ("Right, by the others", ways.right if ways.right and ways.right.n >= MINIMUM else None, None),
        ("Says what another says", ways.agreement, None),
        ("Takes the left", ways.left, None),
        ("Takes the longer", ways.longer, ways.longer_others),
        ("Calls a tie", ways.tie, ways.tie_others),
        ("Same side again", ways.streak, None),
        ("Accepts drafts", ways.accept, ways.accept_others),
        ("Too fast to have read", ways.fast, None),
        ("Right on gold", ways.gold, None),
    ]
    shown = [(name, _share(share), "" if others is None else percent(others)) for name, share, others in rows if share]
    if ways.pace is not None:
        shown.append(("Words a minute", {"value": f"{ways.pace:,.0f}", "range": "the median", "bar": None}, ""))
    if ways.membership.reliability is not None:
        value = {"value": percent(ways.membership.reliability), "range": "by the consensus", "bar": None}
        shown.append(("Reliability", value, ""))
    return shown


@register.filter
def at_a_glance(ways: Ways) -> list[tuple[str, str]]:
    """The figures that are told of somebody about whom nothing is unusual, once there is enough to tell them from."""
    rows = (("right", ways.right), ("left", ways.left), ("longer", ways.longer), ("tie", ways.tie))
    return [(name, percent(share.value)) for name, share in rows if share and share.n >= MINIMUM]


def _share(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    lower, value, upper = (round(100 * one) for one in (interval.lower, interval.value, interval.upper))
    return {
        "value": f"{value} %",
        "range": f"{lower} to {upper}, of\N{NO-BREAK SPACE}{interval.n}",
        "bar": (lower, value, upper),
    }


@register.filter
def consensus_method(name: str) -> str:
    return METHODS.get(name, name)
