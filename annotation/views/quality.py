"""How well people judge, for reviewers and leads: agreement, and each person's ways."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation import access, agreement
from annotation.agreement import Agreement, Pair, Report
from annotation.models.people import Role
from annotation.requests import Request
from annotation.statistics import Interval
from annotation.views import place

MOST_PEOPLE = 20  # in the matrix
FEW = 20  # judgements of two people: fewer say little
BANDS = (0.2, 0.4, 2 / 3, 0.8)  # as in agreement.words


@require_GET
@login_required
def quality(request: Request, slug: str) -> HttpResponse:
    """How much people agree: over all, between any two, over time, by tag and by criterion."""
    member = access.membership(request.user, slug, Role.REVIEWER)
    simulated = "simulated" in request.GET
    found = agreement.reports(member.project, simulated=simulated)
    sections = [_section(report) for report in found.values() if report.overall.comparisons]
    context = {**place(member), "sections": sections, "simulated": simulated, "few": FEW}
    return render(request, "annotation/quality/agreement.html", context)


def _section(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "overall": report.overall,
        "words": agreement.words(report.overall.alpha.value if report.overall.alpha else None),
        "percent": _percent(report.overall.interval),
        "matrix": _matrix(report.pairs),
        "pairs": report.pairs,
        "weeks": [(date.fromisoformat(week.name), week, _percent(week.interval)) for week in reversed(report.weeks)],
        "line": _line(report.weeks),
        "tables": [
            (title, [(one, _percent(one.interval)) for one in rows])
            for title, rows in (("Criterion", report.criteria), ("Tag", report.tags))
            if rows
        ],
    }


def _percent(interval: Interval | None) -> dict[str, int] | None:
    if interval is None:
        return None
    return {name: round(100 * getattr(interval, name)) for name in ("value", "lower", "upper")}


@dataclass(frozen=True)
class Cell:
    """What two people's judgements of the same things have in common."""

    pair: Pair
    band: int
    few: bool


def _matrix(pairs: list[Pair]) -> dict[str, Any]:
    """A row and a column for each person, those who share most judgements first."""
    shared: dict[str, int] = {}
    for pair in pairs:
        for name in (pair.one, pair.other):
            shared[name] = shared.get(name, 0) + pair.comparisons
    names = sorted(shared, key=lambda name: (-shared[name], name))[:MOST_PEOPLE]
    cells = {}
    for pair in pairs:
        kappa = pair.kappa.value if pair.kappa else 1.0 if pair.agreement == 1 else 0.0
        cell = Cell(pair, sum(kappa >= limit for limit in BANDS), pair.comparisons < FEW)
        cells[pair.one, pair.other] = cells[pair.other, pair.one] = cell
    rows = [(name, [(other, cells.get((name, other))) for other in names]) for name in names]
    return {"names": names, "rows": rows, "left_out": len(shared) - len(names)}


def _line(weeks: list[Agreement]) -> dict[str, Any] | None:
    """The points of a small curve of the agreement by week, in a box of 100 by 30, 0 to 100 % from bottom to top."""
    if len(weeks) < 2:
        return None
    step = 100 / (len(weeks) - 1)
    high = [30 - 30 * (week.agreement or 0) for week in weeks]
    band = [(week.interval.lower, week.interval.upper) if week.interval else (0.0, 1.0) for week in weeks]
    upper = [f"{place * step:.1f},{30 - 30 * one[1]:.1f}" for place, one in enumerate(band)]
    lower = [f"{place * step:.1f},{30 - 30 * one[0]:.1f}" for place, one in enumerate(band)]
    return {
        "points": " ".join(f"{place * step:.1f},{y:.1f}" for place, y in enumerate(high)),
        "band": " ".join([*upper, *reversed(lower)]),
        "last": f"{high[-1]:.1f}",
    }
