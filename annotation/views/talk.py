"""Threads on items, and the flags in them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import access, talk
from annotation.doors import door
from annotation.forms import CommentForm, SettleForm
from annotation.models import Assignment, Comment, Item, Membership
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place


def about(member: Membership, item: Item, assignment: Assignment | None = None) -> dict[str, Any]:
    """The thread on an item as the member may see it, and whom they can mention."""
    blind = assignment is not None and assignment.review
    return {
        "thread": talk.thread(member=member, item=item, blind=blind),
        "names": talk.can_mention(member=member, blind=blind),
    }


@never_cache
@door(Role.ANNOTATOR, "GET", "POST", own=True)
def thread(request: Request, pk: int) -> HttpResponse:
    """What is said about the item of one's own assignment, and a word more."""
    assignment = access.own_assignment(request.user, pk)
    member = access.membership(request.user, assignment.item.project.slug)
    return _thread(request, member, assignment.item, assignment)


@never_cache
@door(Role.ANNOTATOR, "GET", "POST", own=True, others=Role.REVIEWER)
def comment(request: Request, pk: int) -> HttpResponse:
    """The thread that a comment stands in: where notices lead."""
    found, member = access.comment(request.user, pk)
    return _thread(request, member, found.item, None, found)


def _thread(
    request: Request, member: Membership, item: Item, assignment: Assignment | None, asked: Comment | None = None
) -> HttpResponse:
    form = CommentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            said = form.cleaned_data
            talk.comment(item=item, author=member, text=said["say"], flag=said["flag"])
        except ValidationError as error:
            form.add_error("say", error)
        else:
            if not request.htmx:
                return redirect(request.path)
            form = CommentForm()
    context = {
        **place(member),
        **about(member, item, assignment),
        "item": item,
        "turns": item.prompt.messages,
        "language": item.prompt.language,
    }
    context |= {"thread_form": form, "assignment": assignment, "asked": asked, "here": request.path}
    if member.at_least(Role.REVIEWER):
        context["answers"] = assignment.shown() if assignment else [one.response for one in item.answers.all()]
    template = "annotation/_thread.html" if request.htmx else "annotation/thread.html"
    return render(request, template, context, status=422 if request.method == "POST" and form.errors else 200)


@never_cache
@door(Role.LEAD, "GET")
def flags(request: Request, slug: str) -> HttpResponse:
    """What waits for the leads, oldest first."""
    member = access.membership(request.user, slug)
    found = access.flags(request.user, slug).order_by("id")[:100]
    return render(request, "annotation/flags.html", {**place(member), "flags": found})


@door(Role.LEAD, "POST")
def settle(request: Request, pk: int) -> HttpResponse:
    flag, member = access.comment(request.user, pk)
    form = SettleForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([problem for problems in form.errors.values() for problem in problems])
        talk.settle(flag=flag, actor=member, **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"The flag is settled, and {flag.author} is told.")
    return redirect("flags", member.project.slug)
