"""Browse: every prompt, answer and label of a project, found again."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from annotation import access, asked, browsing, likeness, ordering, savedviews, searching, shown
from annotation.browseforms import BrowseForm, BulkForm, SaveViewForm
from annotation.doors import door
from annotation.filters import ANSWERS, PROMPTS, VIEWS, Wanted
from annotation.models import Membership
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place

FIRST = ("view", "q", "kind", "state", "tag", "language", "order")  # those that stand there at once
MOST_NAMES = 200


@never_cache
@door(Role.REVIEWER, "GET")
def browse(request: Request, slug: str) -> HttpResponse:
    """A page of prompts, answers or labels that fit the form, with what one may do with them."""
    member = access.membership(request.user, slug)
    lead = member.at_least(Role.LEAD)
    form = asked.form(member.project, request.GET, lead=lead)
    valid = form.is_valid()
    query = asked.plain(member.project, request.GET, lead=lead)
    wanted = Wanted(member.project, form.rows_of, form.values if valid else {})
    context: dict[str, Any] = {**place(member), **_around(member, form, query), "view": form.rows_of}
    status = 200 if valid else 422
    if valid:
        try:
            context |= _found(request.GET, wanted, form, query, member)
        except browsing.TooSlow:
            context["too_slow"], status = True, 422
    return render(request, "annotation/data/browse.html", context, status=status)


def _around(member: Membership, form: BrowseForm, query: dict[str, str]) -> dict[str, Any]:
    """What stands around the rows: the form, other views of the same question, and the views people saved."""
    of_view = {name: value for name, value in query.items() if name not in ("view", "order")}
    names = member.project.memberships.order_by("person__username").values_list("person__username", flat=True)
    saved = list(savedviews.visible(member))
    for one in saved:
        one.address = urlencode(one.query)  # type: ignore[attr-defined]
    suggested = query.get("suggested", "")
    further = [form[name] for name in form.fields if name not in FIRST]
    return {
        "form": form,
        "query": urlencode(query),
        "filtered": bool(of_view),
        "views": [(name, words, urlencode({**of_view, "view": name})) for name, words in VIEWS.items()],
        "further": further,
        "further_open": any(field.name in query for field in further),
        "people": list(names[:MOST_NAMES]),
        "saved": saved,
        "current": next((one for one in saved if one.query == query), None),
        "save_form": SaveViewForm(),
        "suggested": suggested,
        "bulk_form": BulkForm(initial={"add_tags": "" if "," in suggested else suggested}),  # commas part tags there
    }


def _found(
    address: QueryDict, wanted: Wanted, form: BrowseForm, query: dict[str, str], member: Membership
) -> dict[str, Any]:
    order = ordering.order_of(wanted, form.cleaned_data["order"])
    like = address.get("like", "")
    if like and wanted.view in (PROMPTS, ANSWERS):
        pk = int(like) if like.isascii() and like.isdigit() and len(like) < 19 else 0
        about, ids = likeness.fitting(wanted, pk)
        found = browsing.Found(ids, total=len(ids))
        more: dict[str, Any] = {"about": about}
    else:
        after = ordering.Place.parse(address.get("after", ""))
        found = browsing.find(wanted, order=order, after=after)
        more = {"paged": after is not None}
    if found.after is not None:
        more["next"] = urlencode({**query, "after": str(found.after)})
    words = bool(wanted.values.get("q") or wanted.values.get("metadata") or like)
    return {
        **more,
        "found": found,
        "order": order,
        "dated": ordering.ORDERS[order].kind is datetime,
        "rows": shown.rows(wanted=wanted, found=found.ids, member=member),
        "not_yet": searching.not_yet(member.project) if words else 0,
        "counted": searching.COUNTED,
    }


@never_cache
@door(Role.REVIEWER, "GET")
def prompt(request: Request, slug: str, pk: int) -> HttpResponse:
    """One prompt with all that hangs on it."""
    found, member = access.prompt(request.user, slug, pk)
    context = {**place(member), **shown.of_prompt(found, member), "prompt": found, "turns": found.messages}
    return render(request, "annotation/data/prompt.html", {**context, "language": found.language})


@door(Role.REVIEWER, "POST")
def save_view(request: Request, slug: str) -> HttpResponse:
    """Keep the question that an address asks, under a name."""
    member = access.membership(request.user, slug)
    query = QueryDict(request.POST.get("query", "")).dict()
    form = SaveViewForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([problem for problems in form.errors.values() for problem in problems])
        view = savedviews.save(
            member=member, name=form.cleaned_data["name"], query=query, shared=form.cleaned_data["shared"]
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(_address(slug, asked.plain(member.project, query, lead=member.at_least(Role.LEAD))))
    messages.success(request, f'The view "{view.name}" is saved.')
    return redirect(_address(slug, view.query))


@door(Role.REVIEWER, "POST", own=True)
def change_view(request: Request, slug: str, pk: int) -> HttpResponse:
    """Rename a view, share it or keep it to oneself, or delete it."""
    view, member = access.saved_view(request.user, slug, pk)
    if request.POST.get("verb") == "delete":
        savedviews.delete(view=view, actor=member)
        messages.success(request, f'The view "{view.name}" is deleted.')
        return redirect("browse", slug)
    form = SaveViewForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([problem for problems in form.errors.values() for problem in problems])
        savedviews.change(view=view, actor=member, **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "The view is changed.")
    return redirect(_address(slug, view.query))


def _address(slug: str, query: dict[str, str]) -> str:
    return f"{reverse('browse', args=[slug])}?{urlencode(query)}" if query else reverse("browse", args=[slug])
