"""Changing many prompts at once: what it would change, then the change, then how far it is."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from annotation import access, asked, browsing, bulk
from annotation.browseforms import BulkForm
from annotation.doors import door
from annotation.filters import PROMPTS, VIEWS
from annotation.models import BulkChange, Membership
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place

MOST = 50
COUNTED = 1_000_000
PATIENCE = 3_000  # milliseconds


@door(Role.LEAD, "POST")
def change(request: Request, slug: str) -> HttpResponse:
    """First how many rows that would change; sent again as sure, the change itself."""
    member = access.membership(request.user, slug)
    form = BulkForm(request.POST)
    query = asked.plain(member.project, QueryDict(request.POST.get("query", "")).dict(), lead=True)
    back = f"{reverse('browse', args=[slug])}?{urlencode(query)}"
    try:
        if not form.is_valid():
            raise ValidationError([problem for problems in form.errors.values() for problem in problems])
        chosen = _chosen(request, query)
        if form.cleaned_data["of"] == "selected" or form.cleaned_data["sure"]:
            everything = {"query": query} if form.cleaned_data["of"] == "found" else {"prompts": chosen}
            made = bulk.start(project=member.project, actor=request.user, **everything, **form.change())
            return _done(request, slug, made, back)
        return _sure(request, member, form, query, back)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(back)


def _chosen(request: Request, query: dict[str, str]) -> list[int]:
    """The prompts of the rows that were ticked."""
    ids = [int(one) for one in request.POST.getlist("row") if one.isascii() and one.isdigit() and len(one) < 19]
    return bulk.prompts_of(query.get("view", PROMPTS), ids[: bulk.SELECTED + 1])


def _sure(request: Request, member: Membership, form: BulkForm, query: dict[str, str], back: str) -> HttpResponse:
    wanted = asked.wanted(member.project, query, lead=True)
    bulk.check(**form.change())
    number, more = browsing.count(wanted, most=COUNTED, patience=PATIENCE)
    context = {
        **place(member),
        "form": form,
        "change": form.change(),
        "number": number,
        "more": more,
        "words": VIEWS[wanted.view].lower(),
        "query": urlencode(query),
        "back": back,
        "sent": {name: request.POST.get(name, "") for name in ("add_tags", "remove_tags", "priority")},
    }
    return render(request, "annotation/data/sure.html", context)


def _done(request: Request, slug: str, made: BulkChange, back: str) -> HttpResponse:
    if made.finished_at is None:
        messages.success(request, "The change goes on by itself. Here is how far it is.")
        return redirect("bulk_changes", slug)
    many = "" if made.looked_at == 1 else "s"
    messages.success(request, f"Done, for {made.looked_at} prompt{many}. It can be undone under Bulk changes.")
    return redirect(back)


@never_cache
@door(Role.LEAD, "GET")
def changes(request: Request, slug: str) -> HttpResponse:
    """The newest changes of many rows, how far each is, and the way back."""
    member = access.membership(request.user, slug)
    rows = BulkChange.objects.filter(project=member.project).select_related("actor", "undoes", "undone_by")
    found: list[Any] = list(rows.order_by("-pk")[:MOST])
    context = {**place(member), "changes": found, "going_on": any(one.finished_at is None for one in found)}
    template = "annotation/data/_changes.html" if request.htmx else "annotation/data/changes.html"
    return render(request, template, context)


@door(Role.LEAD, "POST")
def undo(request: Request, slug: str, pk: int) -> HttpResponse:
    found = access.bulk_change(request.user, slug, pk)
    try:
        bulk.undo(change=found, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "The change is being taken back. What was changed again since stays.")
    return redirect("bulk_changes", slug)
