"""How well people judge, for reviewers and leads: agreement, and each person's ways."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation import access, agreement, consensus, excluding, kept
from annotation import raters as watch
from annotation.agreement import Agreement, Pair, Report
from annotation.doors import door
from annotation.forms import ConsensusForm, JudgePersonForm
from annotation.models import Project
from annotation.models.people import Role
from annotation.requests import Request
from annotation.statistics import Interval
from annotation.views import place

MOST_PEOPLE = 20  # in the matrix
FEW = 20  # judgements of two people: fewer say little
BANDS = (0.2, 0.4, 2 / 3, 0.8)  # as in agreement.words


@door(Role.REVIEWER, "GET")
def quality(request: Request, slug: str) -> HttpResponse:
    """How much people agree: over all, between any two, over time, by tag and by criterion."""
    member = access.membership(request.user, slug)
    simulated = "simulated" in request.GET
    found, as_of = kept.reports(member.project, simulated=simulated)
    sections = [_section(report) for report in found.values() if report.overall.comparisons]
    context = {**place(member), "sections": sections, "simulated": simulated, "few": FEW, "as_of": as_of}
    context |= {"consensus": _consensus(member.project), "methods": consensus.METHODS.items()}
    return render(request, "annotation/quality/agreement.html", context)


@door(Role.REVIEWER, "GET")
def raters(request: Request, slug: str) -> HttpResponse:
    """How each person judges, those with something unusual first."""
    member = access.membership(request.user, slug)
    simulated = "simulated" in request.GET
    found, as_of = kept.ways(member.project, simulated=simulated)
    context = {**place(member), "people": len(found), "minimum": watch.MINIMUM, "simulated": simulated}
    context["as_of"] = as_of
    names = {"left": "Takes the left", "longer": "Takes the longer", "tie": "Calls a tie", "accept": "Accepts drafts"}
    context["together"] = [
        (names.get(name, "Too fast"), _percent(share), share.n) for name, share in watch.together(found)
    ]
    context |= {"unusual": [one for one in found if one.findings], "usual": [one for one in found if not one.findings]}
    context["told"] = any(one.labels >= watch.MINIMUM for one in found)
    return render(request, "annotation/quality/raters.html", context)


@door(Role.LEAD, "POST")
def rate_person(request: Request, slug: str, person: int) -> HttpResponse:
    """A lead excludes somebody's labels, or counts them again."""
    member = access.membership(request.user, slug)
    rated = access.member_of(member, person)
    form = JudgePersonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose what to do.")
    elif (verb := form.cleaned_data["verb"]) == "exclude":
        if excluding.exclude(membership=rated, because=form.cleaned_data["because"], actor=request.user):
            messages.success(request, f"The labels of {rated.person} count for nothing from now on.")
    elif verb == "include" and excluding.include(
        membership=rated, because=form.cleaned_data["because"], actor=request.user
    ):
        messages.success(request, f"The labels of {rated.person} count again.")
    return redirect("raters", slug)


@door(Role.LEAD, "POST")
def recompute(request: Request, slug: str) -> HttpResponse:
    """A lead has the consensus worked out anew; a queue process does it."""
    member = access.membership(request.user, slug)
    form = ConsensusForm(request.POST)
    if form.is_valid():
        consensus.ask(project=member.project, method=form.cleaned_data["method"], actor=request.user)
        messages.success(request, "The consensus is being worked out anew; it takes some seconds.")
    else:
        messages.error(request, "Choose a method.")
    return redirect("quality", slug)


def _consensus(project: Project) -> dict[str, Any]:
    """How far it is, and when and how it was worked out."""
    last = consensus.latest(project)
    method = last.data["method"] if last else consensus.DAWID_SKENE
    return {"last": last, "method": method, "due": consensus.is_due(project), **consensus.figures(project)}


def _section(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "overall": report.overall,
        "words": "too few to tell"
        if report.overall.comparisons < FEW
        else agreement.words(report.overall.alpha.value if report.overall.alpha else None),
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
