"""The leads' pages that tell how it went: a round's report, two versions answer by answer, the project's history."""

from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from annotation.doors import door
from annotation.models import Membership
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from evaluation import access, drift, headline, leaderboard, report, second_opinion, side_by_side
from evaluation import history as turns
from evaluation.models import Round
from training.access import lead
from training.models import ModelVersion

PER_PAGE = 10
STYLES = ("tokens", "base", "panel", "table", "scores", "rounds", "history", "report")  # of the file that is taken out


@door(Role.LEAD, "GET")
def round_report(request: Request, slug: str, number: int) -> HttpResponse:
    """What a round was asked, learned and gained, on a page that prints well."""
    member, current = access.round(request.user, slug, number)
    return render(request, "evaluation/report.html", _report(member, current))


@door(Role.LEAD, "GET")
def report_file(request: Request, slug: str, number: int) -> HttpResponse:
    """The same as one file, with its styles in it, to keep or to send."""
    member, current = access.round(request.user, slug, number)
    styles = "\n".join(Path(finders.find(f"css/{name}.css") or "").read_text() for name in STYLES)
    page = render_to_string("evaluation/report_file.html", {**_report(member, current), "styles": styles})
    answer = HttpResponse(page, content_type="text/html; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{slug}-round-{number}.html"'
    return answer


def _report(member: Membership, current: Round) -> dict[str, Any]:
    opinions = second_opinion.of_model(current.challenger, current.champion) if current.challenger else []
    return {
        **place(member),
        "round": current,
        "headline": headline.of(current),
        "sentences": report.sentences(current),
        "turn": turns.turn(current),
        "opinion": second_opinion.row(opinions[0]) if opinions else "",
        "asked": turns.asked(current),
        "verdict": report.verdict_of(current),
        "verdict_words": report.verdict_words(current),
        "scores": report.scores_of(current),
    }


@door(Role.LEAD, "GET")
def compare(request: Request, slug: str) -> HttpResponse:
    """Two versions answer by answer, a page at a time."""
    member = lead(request.user, slug)
    policies = ModelVersion.objects.filter(project=member.project).policies()
    first, second = (_chosen(policies, request.GET.get(name, "")) for name in ("first", "second"))
    if not {"first", "second"} & request.GET.keys() and len(policies) > 1:
        second, first = policies[:2]  # the newest, beside the one before it
    context: dict[str, Any] = {**place(member), "policies": policies, "first": first, "second": second}
    if first is not None and second is not None and first != second:
        shown = Paginator(side_by_side.prompts(first, second), PER_PAGE).get_page(request.GET.get("page"))
        context["opinions"] = second_opinion.between(first, second)
        context |= {"page": shown, "rows": side_by_side.beside(first, second, list(shown))}
    return render(request, "evaluation/compare.html", context)


def _chosen(policies: Any, pk: str) -> ModelVersion | None:
    return policies.filter(pk=pk).first() if pk.isascii() and pk.isdigit() and len(pk) < 19 else None


@door(Role.LEAD, "GET")
def history(request: Request, slug: str) -> HttpResponse:
    """The project's models over its rounds, as a drawing and a table; who stands where; what has moved."""
    member = lead(request.user, slug)
    found = turns.turns(member.project)
    context = {
        **place(member),
        "turns": found,
        "chart": turns.chart(found),
        "board": leaderboard.board(member.project),
        "moved": drift.findings(member.project),
    }
    return render(request, "evaluation/history.html", context)
