"""Guidelines: as they are, how they came to be, and writing the next version."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from annotation import access, guidelines
from annotation.doors import door
from annotation.forms import GuidelinesForm
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place


@door(Role.ANNOTATOR, "GET")
def current(request: Request, slug: str) -> HttpResponse:
    member = access.membership(request.user, slug)
    context = {**place(member), "version": member.project.current_guidelines}
    context["unread"] = guidelines.unread(member) if member.pk else None
    return render(request, "annotation/guidelines.html", context)


@door(Role.ANNOTATOR, "GET")
def versions(request: Request, slug: str) -> HttpResponse:
    """Every version, the newest first, with what it says has changed."""
    member = access.membership(request.user, slug)
    rows = member.project.guidelines_versions.select_related("author").defer("text")
    return render(request, "annotation/guidelines_versions.html", {**place(member), "versions": rows})


@door(Role.ANNOTATOR, "GET")
def version(request: Request, slug: str, number: int) -> HttpResponse:
    """One version: what it changed, word by word, and all of it."""
    member = access.membership(request.user, slug)
    known = member.project.guidelines_versions.select_related("author")
    shown = known.filter(number=number).first()
    if shown is None:
        raise Http404("No such version")
    before = known.filter(number__lt=number).first()
    changes = guidelines.changes(before.text, shown.text) if before else []
    context = {**place(member), "version": shown, "before": before, "changes": changes}
    return render(request, "annotation/guidelines_version.html", context)


@door(Role.LEAD, "GET", "POST")
def edit(request: Request, slug: str) -> HttpResponse:
    """The next version. Somebody else's that came meanwhile is not written over unseen: it is named, and saving once
    more puts this one after it."""
    member = access.membership(request.user, slug)
    current = member.project.current_guidelines
    known = current.number if current else 0
    form = GuidelinesForm(request.POST or None, initial={"guidelines": member.project.guidelines, "after": known})
    context = {**place(member), "form": form}
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data.pop("guidelines").replace("\r\n", "\n")
        try:
            guidelines.publish(project=member.project, text=text, actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
            sent = request.POST.copy()
            sent["after"] = str(known)
            form.data, context["meanwhile"] = sent, current
        else:
            messages.success(request, "The guidelines were saved.")
            return redirect("guidelines", slug)
    return render(request, "annotation/edit_guidelines.html", context, status=422 if form.errors else 200)
