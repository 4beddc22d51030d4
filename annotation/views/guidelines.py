"""Guidelines: as they are, how they came to be, and writing the next version."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from annotation import access, guidelines
from annotation.doors import door
from annotation.forms import GuidelinesForm
from annotation.models import Project
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
    """The next version. What somebody else saved meanwhile is not written over unseen: it is shown, and saving once
    more puts this text after it."""
    member = access.membership(request.user, slug)
    current = member.project.current_guidelines
    initial = {"guidelines": current.text, "after": current.number} if current else {"after": 0}
    form = GuidelinesForm(request.POST or None, initial=initial)
    context: dict[str, Any] = {**place(member), "form": form}
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data.pop("guidelines").replace("\r\n", "\n")
        try:
            guidelines.publish(project=member.project, text=text, actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
            context["changes"] = _written_over(member.project, form, request.POST)
        else:
            messages.success(request, "The guidelines were saved.", extra_tags=request.path)
            return redirect("guidelines", slug)
    return render(request, "annotation/edit_guidelines.html", context, status=422 if form.errors else 200)


def _written_over(project: Project, form: GuidelinesForm, sent: QueryDict) -> list[guidelines.Piece]:
    """What changed since the version that somebody wrote after; the form is from now on about the newest one."""
    known = project.guidelines_versions.filter(number=form.cleaned_data["after"]).first()
    newest = project.current_guidelines
    assert newest is not None
    form.data = sent.copy()
    form.data["after"] = str(newest.number)
    return guidelines.changes(known.text if known else "", newest.text)
