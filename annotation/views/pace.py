"""A person's own work in a project, shown to nobody else."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation import access, pace, progress
from annotation.doors import door
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place

WIDTH, HEIGHT, FOOT = 40, 100, 125  # of one day in the chart, and the line it stands on


@door(Role.ANNOTATOR, "GET")
def my_work(request: Request, slug: str) -> HttpResponse:
    """How much, how fast and on which days they labelled, and how far the project is."""
    member = access.membership(request.user, slug)
    if not member.pk:
        return redirect(member.project)
    work = pace.of(member)
    context = {**place(member), "work": work, "bars": _bars(work), "progress": progress.as_seen_by(member)}
    return render(request, "annotation/my_work.html", context)


def _bars(work: pace.Work) -> list[dict[str, Any]]:
    """Where each day of the chart stands."""
    bars = []
    for place_, day in enumerate(work.days):
        height = round(HEIGHT * day.labels / work.most) if work.most else 0
        top, left = FOOT - max(height, 2), WIDTH * place_ + 6
        bars.append(
            {
                **{"day": day.day, "labels": day.labels, "x": left, "y": top, "height": FOOT - top},
                **{"middle": left + 14, "above": top - 6},
            }
        )
    return bars
