"""The leads' pages about gold: what is known to be right, how often people were, and who is paused."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation import access, gold, pausing
from annotation.doors import door
from annotation.goldforms import GoldForm, GoldRulesForm
from annotation.models import Item, Membership
from annotation.models.labels import Verdict
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place

ITEMS_ON_A_PAGE = 20


@door(Role.LEAD, "GET", "POST")
def overview(request: Request, slug: str) -> HttpResponse:
    """All gold of a project with its scores, who is paused, and the rules as a form."""
    member = access.membership(request.user, slug)
    project = member.project
    form = GoldRulesForm(request.POST or None, initial=GoldRulesForm.initial_of(project))
    if request.method == "POST" and form.is_valid():
        gold.set_rules(project=project, actor=request.user, **form.cleaned_data)
        messages.success(request, "The rules were saved.")
        return redirect("gold", slug)
    rows = gold.with_scores(project)
    counts = {"work": sum(not one.quiz and not one.item.dropped for one in rows)}
    counts["quiz"] = sum(one.quiz and not one.item.dropped for one in rows)
    paused = project.memberships.filter(paused_at__isnull=False).select_related("person").order_by("-paused_at")
    context = {**place(member), "rows": rows, "counts": counts, "form": form, "paused": paused}
    return render(request, "annotation/gold.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "GET")
def candidates(request: Request, slug: str) -> HttpResponse:
    """Items that could be made gold, those with most labels first."""
    member = access.membership(request.user, slug)
    wanted = {"q": request.GET.get("q", "").strip(), "kind": request.GET.get("kind", "")}
    found = gold.candidates(member.project, **wanted).order_by("-people", "id")
    page = Paginator(found, ITEMS_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "annotation/gold_candidates.html", {**place(member), "page": page, **wanted})


@door(Role.LEAD, "GET", "POST")
def make(request: Request, slug: str, item_id: int) -> HttpResponse:
    """Say what the right answer to an item is."""
    member = access.membership(request.user, slug)
    item = access.item(request.user, slug, item_id)
    form = GoldForm(item, request.POST if request.method == "POST" else None, initial=GoldForm.as_people_said(item))
    if request.method == "POST" and form.is_valid():
        try:
            gold.mark(item=item, actor=request.user, **form.said())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "This item is gold from now on.")
            return redirect("gold", slug)
    return _one(request, member, item, form)


@door(Role.LEAD, "GET", "POST")
def edit(request: Request, slug: str, pk: int) -> HttpResponse:
    """One gold item: what is right and why; retire it, use it again, take it back."""
    member = access.membership(request.user, slug)
    found = access.gold(request.user, slug, pk)
    form = GoldForm(found.item, request.POST if request.method == "POST" else None, initial=GoldForm.initial_of(found))
    if gold.times_answered(found) and not form.tells_what_is_right():
        form.fix_what_is_right()
    action = request.POST.get("action", "save")
    if request.method == "POST" and action in ACTIONS:
        verb, done = ACTIONS[action]
        try:
            verb(gold=found, actor=request.user)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("gold_item", slug, pk)
        messages.success(request, done)
        return redirect("gold", slug)
    if request.method == "POST" and form.is_valid():
        try:
            gold.change(gold=found, actor=request.user, **form.said())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "Saved.")
            return redirect("gold", slug)
    if answered := gold.times_answered(found):
        form.fix_what_is_right()
    return _one(request, member, found.item, form, gold=found, answered=answered)


def _use_again(**both: Any) -> None:
    gold.retire(again=True, **both)


ACTIONS = {
    "retire": (gold.retire, "It is retired: nobody is asked it any more, and nobody's answer to it counts."),
    "again": (_use_again, "It is asked again."),
    "take_back": (gold.take_back, "It is an item like the others again."),
}


def _one(request: Request, member: Membership, item: Item, form: GoldForm, **more: Any) -> HttpResponse:
    context = {**place(member), "item": item, "turns": item.prompt.messages, "form": form, **more}
    return render(request, "annotation/gold_item.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "POST")
def pause(request: Request, slug: str, pk: int) -> HttpResponse:
    """Pause somebody by hand, with a sentence that says why."""
    member = access.member_of(access.membership(request.user, slug), pk)
    because = request.POST.get("because", "").strip()
    if pausing.pause(membership=member, because=because, actor=request.user):
        messages.success(request, f"{member.person} is paused.")
    return _back(request, slug, pk)


@door(Role.LEAD, "POST")
def unpause(request: Request, slug: str, pk: int) -> HttpResponse:
    """Let somebody go on, with a new quiz if they have not passed it, or without."""
    member = access.member_of(access.membership(request.user, slug), pk)
    without_quiz = request.POST.get("without_quiz") == "yes"
    if pausing.unpause(membership=member, actor=request.user, without_quiz=without_quiz):
        messages.success(request, f"{member.person} can go on.")
    return _back(request, slug, pk)


def _back(request: Request, slug: str, pk: int) -> HttpResponse:
    """To the page that the button stands on."""
    if request.POST.get("back") == "person":
        return redirect("person", slug, pk)
    return redirect("raters" if request.GET.get("back") == "raters" else "gold", slug)


@door(Role.ANNOTATOR, "GET", own=True)
def answer(request: Request, pk: int) -> HttpResponse:
    """A gold item that one has answered, with what was expected: where the project tells people afterwards."""
    label = access.gold_answer(request.user, pk)
    item, judged = label.item, {one.response_id: one for one in label.judgements.all()}
    right = gold.right_answer(item.gold)
    answers = [
        {
            "text": response.text,
            "yours": judged.get(response.pk),
            "rank": right.ranks.get(response.pk),
            "unacceptable": response.pk in right.unacceptable,
        }
        for response in label.assignment.shown()
    ]
    member = access.membership(request.user, item.project.slug)
    context = {**place(member), "label": label, "item": item, "answers": answers, "turns": item.prompt.messages}
    context["expected"] = [Verdict(one).label.lower() for one in right.verdicts]
    return render(request, "annotation/gold_answer.html", context)
