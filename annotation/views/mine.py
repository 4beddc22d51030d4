"""A person's own labels: finding one again, revising it, withdrawing it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import access, history, labelling
from annotation.doors import door
from annotation.forms import LabelForm, OwnLabelsForm, label_form
from annotation.models import Label
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from annotation.views.work import one_item, said_again

PAGE = 25


@never_cache
@door(Role.ANNOTATOR, "GET")
def my_labels(request: Request, slug: str) -> HttpResponse:
    """What one has said, newest first, in pages that go back by the last label's number."""
    member = access.membership(request.user, slug)
    form = OwnLabelsForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    labels = history.own_labels(member=member, **wanted)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        labels = labels.filter(pk__lt=int(before))
    found = list(labels[: PAGE + 1])
    query = request.GET.copy()
    if len(found) > PAGE:
        query["before"] = str(found[PAGE - 1].pk)
    context = {
        **place(member),
        "form": form,
        "labels": found[:PAGE],
        "older": query.urlencode() if len(found) > PAGE else "",
        "paged": bool(before),
        "filtered": any(wanted.values()),
    }
    return render(request, "annotation/my_labels.html", context)


@never_cache
@door(Role.ANNOTATOR, "GET", "POST", own=True)
def revise(request: Request, pk: int) -> HttpResponse:
    """The item again, with what was said filled in; the new label replaces the old one, which stays on record."""
    label = access.own_label(request.user, pk)
    if request.method == "GET":
        return _revise(request, label, said_again(label.assignment, labelling.fields_of(label)))
    form = label_form(label.assignment, request.POST)
    if form.is_valid():
        try:
            labelling.revise(label=label, said=form.said())
        except ValidationError as error:
            form.add_error(None, error)
    if form.errors:
        return _revise(request, label, form, status=422)
    messages.success(request, "Your new label counts from now on. The old one stays on record.")
    return redirect("my_labels", label.project.slug)


@door(Role.ANNOTATOR, "POST", own=True)
def withdraw(request: Request, pk: int) -> HttpResponse:
    label = access.own_label(request.user, pk)
    member = access.membership(request.user, label.project.slug)
    try:
        labelling.retract(label=label, actor=member)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "The label was withdrawn: it counts for nothing, and its item is asked again.")
    return redirect("my_labels", member.project.slug)


def _revise(request: Request, label: Label, form: LabelForm, status: int = 200) -> HttpResponse:
    member = access.membership(request.user, label.project.slug)
    context = {
        **place(member),
        **one_item(member, label.assignment, form),
        "revised": label,
        "live": Label.objects.live().filter(pk=label.pk).exists(),
        "submit_url": request.path,
    }
    return render(request, "annotation/once.html", context, status=status)
