"""Taking data out: a lead chooses format and parts, the file is made, listed, and downloaded, in parts if need be."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation import access, ranges
from annotation.doors import door
from annotation.exportforms import TakeOutForm
from annotation.exporting import files, hub
from annotation.models import Export
from annotation.models.people import Role
from annotation.requests import Request
from annotation.shapes.outgoing import SHAPES, TYPES
from annotation.views import place

SHOWN = 50  # newest files


@door(Role.LEAD, "GET", "POST")
def exports(request: Request, slug: str) -> HttpResponse:
    """The formats and the files that were made; a POST has one made."""
    lead = access.membership(request.user, slug)
    project = lead.project
    form = TakeOutForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        asked = {name: form.cleaned_data[name] for name in ("shape", "repository")}
        try:
            export = files.ask(project=project, wanted=form.wanted(), actor=request.user, **asked)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if export.status == Export.Status.READY:
                messages.success(request, "The file is ready.")
            elif export.is_open:
                messages.success(request, "The file is being made. You may leave this page; it will be here.")
            return redirect(reverse("export_page", args=[slug]) + "#files")
    context = {
        **place(lead),
        "form": form,
        "everything": {name: shape for name, shape in SHAPES.items() if not shape.learns},
        "learning": {name: shape for name, shape in SHAPES.items() if shape.learns},
        "chosen": form["shape"].value(),
        "exports": project.exports.select_related("created_by")[:SHOWN],
        "labelled": project.labels.exists(),
        "days": files.DAYS,
        "hub_is_open": hub.is_open(),
    }
    return render(request, "annotation/data/export.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "GET")
def state(request: Request, slug: str, pk: int) -> HttpResponse:
    """One file's row in the list, as it is now."""
    export = access.export(request.user, slug, pk)
    return render(request, "annotation/data/_export.html", {"project": export.project, "one": export})


@door(Role.LEAD, "GET", "HEAD")
def file(request: Request, slug: str, pk: int) -> HttpResponseBase:
    return send(request, access.export(request.user, slug, pk))


def send(request: HttpRequest, export: Export) -> HttpResponseBase:
    """The file of the page and of the API; Http404 if it is not ready, or not on this machine."""
    try:
        if export.status != Export.Status.READY:
            raise FileNotFoundError
        kind = TYPES[SHAPES[export.shape].suffix]
        return ranges.send(request, export.path, name=export.file_name, content_type=kind, sha256=export.sha256)
    except FileNotFoundError:
        raise Http404("This file is not ready, or no longer on this machine: have it made again.") from None


@door(Role.LEAD, "POST")
def delete(request: Request, slug: str, pk: int) -> HttpResponse:
    export = access.export(request.user, slug, pk)
    files.delete(export=export, actor=request.user)
    messages.success(request, "The file is deleted.")
    return redirect(reverse("export_page", args=[slug]) + "#files")
