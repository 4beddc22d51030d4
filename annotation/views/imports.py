"""The leads' pages about what is brought in: files, what they are, how far they are, what was refused."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import access, imports, receiving
from annotation.doors import door
from annotation.endpoints import NDJSON
from annotation.importforms import ShapeForm, UploadForm
from annotation.models import Import, Membership, RejectedRow
from annotation.models.imports import Stage
from annotation.models.people import Role
from annotation.previewing import preview
from annotation.requests import Request
from annotation.shapes import SHAPES
from annotation.views import place

PAGE = 30
REJECTED_SHOWN = 100


@door(Role.LEAD, "GET", "POST")
def import_data(request: Request, slug: str) -> HttpResponse:
    """Send files, or name a dataset; below, what was brought in before."""
    member = access.membership(request.user, slug)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if request.method == "POST" and form.is_valid():
        received = _receive(form, member, request)
        if not form.errors and len(received) == 1:
            return redirect("import_file", slug, received[0].pk)
        if not form.errors:
            messages.success(request, f"{len(received)} files are here. Open each to see what it becomes.")
            return redirect("import", slug)
    rows = Import.objects.filter(project=member.project).select_related("project", "actor")
    context = {**place(member), "form": form, "imports": Paginator(rows, PAGE).get_page(request.GET.get("page"))}
    return render(request, "annotation/data/import.html", context, status=422 if form.errors else 200)


def _receive(form: UploadForm, member: Membership, request: Request) -> list[Import]:
    """What was sent, as far as it could be taken; the form says what could not."""
    received = []
    for file in form.cleaned_data["file"]:
        try:
            received.append(
                receiving.receive(project=member.project, name=file.name, chunks=file.chunks(), actor=request.user)
            )
        except ValidationError as error:
            form.add_error("file", f"{file.name}: {' '.join(error.messages)}")
    if form.cleaned_data["hub"]:
        try:
            received.append(
                imports.receive_from_hub(
                    project=member.project, dataset=form.cleaned_data["hub"].strip(), actor=request.user
                )
            )
        except ValidationError as error:
            form.add_error("hub", error)
    return received


@door(Role.LEAD, "GET", "POST")
def import_file(request: Request, slug: str, pk: int) -> HttpResponse:
    """One file: what it would become, or how far it is, or what came of it. A POST says what it is, has it counted, or
    brings it in."""
    member, source = access.import_of(request.user, slug, pk)
    context: dict[str, Any] = {**place(member), "source": source}
    if source.status != Stage.UPLOADED:
        if request.method == "POST":
            return redirect("import_file", slug, pk)
        return render(request, "annotation/data/import_file.html", {**context, **_outcome(source)})
    looked = preview(source, shape=source.shape, mapping=source.mapping)
    data = request.POST if request.method == "POST" else None
    form = ShapeForm(data, shape=source.shape, mapping=source.mapping, columns=looked.columns, usual=looked.usual)
    if data is not None and form.is_valid():
        shape = form.cleaned_data["shape"]
        mapping = form.mapping() if shape == source.shape else {}
        verb = data.get("verb", "look")
        try:
            if verb == "look" or shape != source.shape:  # a shape nobody has seen at work is shown first
                imports.describe(source=source, shape=shape, mapping=mapping)
            else:
                imports.bring_in(
                    source=source, shape=shape, mapping=mapping, dry_run=verb == "check", actor=request.user
                )
        except ValidationError as error:
            form.add_error("shape", error)
        else:
            return redirect("import_file", slug, pk)
    context |= {"form": form, "preview": looked, "shape": SHAPES.get(source.shape), **_outcome(source)}
    return render(request, "annotation/data/import_file.html", context, status=422 if form.errors else 200)


def _outcome(source: Import) -> dict[str, Any]:
    rows = list(RejectedRow.objects.filter(source=source)[:REJECTED_SHOWN])
    return {"rejected": rows, "rejected_shown": REJECTED_SHOWN}


@never_cache
@door(Role.LEAD, "GET")
def import_state(request: Request, slug: str, pk: int) -> HttpResponse:
    """How far an import is; once it has ended, the page is read anew."""
    member, source = access.import_of(request.user, slug, pk)
    answer = render(request, "annotation/data/_import_progress.html", {**place(member), "source": source})
    if not source.is_open:
        answer["HX-Refresh"] = "true"
    return answer


@door(Role.LEAD, "POST")
def cancel_import(request: Request, slug: str, pk: int) -> HttpResponse:
    member, source = access.import_of(request.user, slug, pk)
    if not imports.cancel(source=source, actor=member.person):
        messages.info(request, "The import had ended already.")
    return redirect("import_file", slug, pk)


@door(Role.LEAD, "POST")
def retry_import(request: Request, slug: str, pk: int) -> HttpResponse:
    member, source = access.import_of(request.user, slug, pk)
    if not imports.retry(source=source, actor=member.person):
        messages.info(request, "Only an import that failed can be tried again.")
    return redirect("import_file", slug, pk)


@door(Role.LEAD, "GET")
def import_rejected(request: Request, slug: str, pk: int) -> StreamingHttpResponse:
    """The refused rows, to be mended and imported again."""
    _, source = access.import_of(request.user, slug, pk)
    stem = f"{slug}-{source.pk}-rejected.jsonl"
    return StreamingHttpResponse(
        imports.rejected_lines(source),
        content_type=NDJSON,
        headers={"Content-Disposition": f'attachment; filename="{stem}"'},
    )
