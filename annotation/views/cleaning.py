"""Cleaning a project's data: what the checks found, in its context, and what a lead decides about it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache

from annotation import access, cleaning, tidying
from annotation.cleaningforms import DecisionForm, FindingsForm
from annotation.doors import door
from annotation.excerpts import Excerpt, excerpt
from annotation.guidelines import Piece
from annotation.models import Finding, Prompt, Response
from annotation.models.cleaning import Check, Decision
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place

PAGE = 20
PREVIEWED = 20
NEARBY = 60  # words and spaces on either side of what is mended
COUNTED = 1_000  # more findings than that are told as so many and more
DONE = {
    "accept": "is fine|are fine",
    "mend": "is mended|are mended",
    "exclude": "is excluded|are excluded",
    "send": "is with the annotators, before all else|are with the annotators, before all else",
    "bring_back": "is open again|are open again",
}


@dataclass(frozen=True)
class Shown:
    """A finding with its text, and the other text if it is about two."""

    finding: Finding
    text: Excerpt
    other: Excerpt | None = None
    other_excluded: bool = False


@never_cache
@door(Role.LEAD, "GET")
def findings(request: Request, slug: str) -> HttpResponse:
    """What was found, newest first, in pages that go back by the last finding's number."""
    member = access.membership(request.user, slug)
    form = FindingsForm.of(request.GET)
    wanted = form.wanted()
    rows = tidying.matching(access.findings(request.user, slug), **wanted).order_by("-pk")
    matching = rows.select_related(None).order_by()[: COUNTED + 1].count()
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    here = QueryDict(mutable=True)
    here.update(wanted)
    older = f"{here.urlencode()}&before={found[PAGE - 1].pk}" if len(found) > PAGE else ""
    states = [wanted["state"]] if wanted["state"] else Decision.values
    counts = cleaning.counts_up_to(member.project, COUNTED + 1, states)
    context = {
        **place(member),
        "form": form,
        "shown": _shown(found[:PAGE]),
        "matching": min(matching, COUNTED),
        "more_match": matching > COUNTED,
        "at_once": tidying.MOST,
        "older": older,
        "here": here.urlencode(),
        "paged": bool(before),
        "wanted": wanted,
        "filtered": bool(any(value for name, value in wanted.items() if name != "state")),
        "progress": cleaning.progress(member.project),
        "toxicity": cast(Callable[..., Any], import_string(settings.TOXICITY))(member.project),
        "kinds": [(kind, _told(number)) for kind in Check if (number := _number(counts, kind, wanted["state"]))],
        "in_state": _told(sum(_number(counts, kind, wanted["state"]) for kind in Check)),
        "state_name": Decision(wanted["state"]).label if wanted["state"] else "All",
        "any": member.project.findings.exists(),
    }
    return render(request, "annotation/data/clean.html", context)


@door(Role.LEAD, "POST")
def decide(request: Request, slug: str) -> HttpResponse:
    """Decide about the ticked findings, or about all that fit; mending is shown before it is done."""
    member = access.membership(request.user, slug)
    form = DecisionForm(request.POST)
    wanted = FindingsForm.of(request.POST).wanted()
    here = QueryDict(mutable=True)
    here.update(wanted)
    address = f"{reverse('cleaning', args=[slug])}?{here.urlencode()}"
    if not form.is_valid():
        messages.error(request, " ".join(str(one) for errors in form.errors.values() for one in errors))
        return redirect(address)
    rows = access.findings(request.user, slug)
    chosen = form.cleaned_data
    rows = tidying.matching(rows, **wanted) if chosen["all"] else rows.filter(pk__in=chosen["finding"])
    if chosen["verb"] == "preview":
        return _preview(request, place(member), rows, {"wanted": wanted, "all": chosen["all"], "back": address})
    more = {"because": chosen["because"]} if chosen["verb"] == "exclude" else {}
    try:
        outcome = tidying.VERBS[chosen["verb"]](project=member.project, findings=rows, actor=request.user, **more)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        _tell(request, chosen["verb"], outcome)
    return redirect(address)


def _number(counts: Mapping[str, Counter[str]], kind: str, state: str) -> int:
    """How many findings of a kind are in a state, or in any."""
    of_kind = counts.get(kind, Counter())
    return of_kind[state] if state else of_kind.total()


def _told(number: int) -> str:
    return f"{number:,}" if number <= COUNTED else f"{COUNTED:,}+"


def _preview(request: Request, here: dict[str, Any], rows: QuerySet[Finding], more: dict[str, Any]) -> HttpResponse:
    """What mending would change, word by word."""
    chosen = list(rows.order_by("-pk")[: tidying.MOST])
    repairs = tidying.repairs(chosen)
    if not repairs:
        messages.warning(request, "None of these can be mended by itself: send them to annotators, or exclude them.")
        return redirect(more["back"])
    mended = sum(len(one.findings) for one in repairs)
    context = {
        **here,
        **more,
        "repairs": [(one, _changes(one)) for one in repairs[:PREVIEWED]],
        "texts": len(repairs),
        "further": max(0, len(repairs) - PREVIEWED),
        "findings": chosen,
        "passed_over": len(chosen) - mended,
    }
    return render(request, "annotation/data/mend_preview.html", context)


def _changes(repair: tidying.Repair) -> list[Piece]:
    """What is mended, with some words on either side; whole words, since a mask has other letters altogether."""
    before, after = (re.findall(r"\s+|\S+", text) for text in (repair.before, repair.after))
    pieces: list[Piece] = []
    steps = SequenceMatcher(str.isspace, before, after, autojunk=False).get_opcodes()
    for step, (how, a, b, c, d) in enumerate(steps):
        if how == "equal":
            head, tail = (NEARBY if step else 0), (NEARBY if step < len(steps) - 1 else 0)
            words = before[a:b]
            if len(words) > head + tail + NEARBY:
                words = [*words[:head], " … ", *(words[-tail:] if tail else [])]
            pieces.append(Piece("same", "".join(words)))
        else:
            pieces += [Piece("gone", "".join(before[a:b])), Piece("new", "".join(after[c:d]))]
    return pieces if len(steps) > 1 else []


def _tell(request: Request, verb: str, outcome: tidying.Outcome) -> None:
    one, many = DONE[verb].split("|")
    if outcome.done:
        said = f"{outcome.done:,} finding{'' if outcome.done == 1 else 's'} {one if outcome.done == 1 else many}."
        messages.success(request, said)
    if outcome.passed_over:
        messages.warning(request, f"{outcome.passed_over:,} were passed over: this does not fit them.")
    if outcome.left:
        messages.warning(request, f"{outcome.left:,} more fit: do it again for the next {tidying.MOST:,}.")


@door(Role.LEAD, "POST")
def check(request: Request, slug: str) -> HttpResponse:
    """Have everything checked now; a queue process does it."""
    member = access.membership(request.user, slug)
    if not cleaning.ask(project=member.project, actor=request.user):
        messages.warning(request, "The checks are on their way already.")
    return redirect("cleaning", slug)


@never_cache
@door(Role.LEAD, "GET")
def progress(request: Request, slug: str) -> HttpResponse:
    """How far the checks are, asked for by the page; when they have ended it is shown anew."""
    member = access.membership(request.user, slug)
    found = cleaning.progress(member.project)
    response = render(request, "annotation/data/_checks_progress.html", {**place(member), "progress": found})
    if not found.busy:
        response["HX-Refresh"] = "true"
    return response


def _shown(found: list[Finding]) -> list[Shown]:
    twins = [one for one in found if "other" in one.data]
    prompts = Prompt.objects.in_bulk([one.data["other"] for one in twins if one.response_id is None])
    pairs = [pk for one in found if one.kind == Check.LABEL_ERROR for pk in (one.data["better"], one.data["worse"])]
    wanted = [*pairs, *(one.data["other"] for one in twins if one.response_id is not None)]
    responses = Response.objects.in_bulk(wanted)
    return [_one(finding, prompts, responses) for finding in found]


def _one(finding: Finding, prompts: dict[int, Prompt], responses: dict[int, Response]) -> Shown:
    if finding.kind == Check.LABEL_ERROR:
        better, worse = responses[finding.data["better"]], responses[finding.data["worse"]]
        return Shown(finding, excerpt(better.text), excerpt(worse.text))
    other: Prompt | Response | None = None
    if "other" in finding.data:
        other = (prompts if finding.response_id is None else responses).get(finding.data["other"])
    text = finding.response.text if finding.response else _words(finding.prompt, finding.turn)
    if other is None:
        return Shown(finding, excerpt(text, finding.start, finding.end))
    return Shown(
        finding,
        excerpt(text),
        excerpt(other.text if isinstance(other, Response) else _words(other)),
        other.excluded_at is not None,
    )


def _words(prompt: Prompt, turn: int | None = None) -> str:
    if turn is not None and turn < len(prompt.messages):
        return str(prompt.messages[turn]["content"])
    turns: Iterable[dict[str, str]] = prompt.messages
    return "\n\n".join(one["content"] for one in turns if one["role"] != "system")
