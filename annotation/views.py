"""The annotators' pages: gate, form, verb, render."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation import access, labelling, leasing, progress
from annotation.forms import GuidelinesForm, ImportForm, LabelForm, label_form
from annotation.guidelines import publish
from annotation.importing import import_lines
from annotation.models import Assignment, Membership, Project, Prompt
from annotation.models.items import Kind
from annotation.models.people import Role
from annotation.requests import Request


@require_GET
@login_required
def projects(request: Request) -> HttpResponse:
    """The projects a person belongs to, each with what waits for them."""
    rows = []
    for project in Project.objects.visible_to(request.user).active():
        member = access.membership(request.user, project.slug)
        rows.append(
            {
                "project": project,
                "role": member.role,
                "waiting": progress.waiting_for(member) if member.pk else {},
                "progress": progress.of_project(project),
            }
        )
    return render(request, "annotation/projects.html", {"rows": rows})


@require_GET
@login_required
def project(request: Request, slug: str) -> HttpResponse:
    """One project at a glance: what to label, how far it is, its guidelines."""
    member = access.membership(request.user, slug)
    project = member.project
    splits = dict(project.prompts.values_list("split").annotate(n=Count("id")))
    return render(
        request,
        "annotation/project.html",
        {
            **place(member),
            "waiting": progress.waiting_for(member) if member.pk else dict.fromkeys(Kind.values, 0),
            "progress": progress.of_project(project),
            "own_labels": progress.labels_by(request.user, project),
            "prompts": {"train": splits.get("train", 0), "heldout": splits.get("heldout", 0)},
        },
    )


@never_cache
@require_GET
@login_required
def work(request: Request, slug: str, kind: str) -> HttpResponse:
    """The labelling page: the person's next item of this kind, or word that there is none."""
    member = access.membership(request.user, slug)
    if kind not in Kind.values:
        raise Http404("No such kind of work")
    if not member.pk:  # a superuser who looks in
        messages.info(request, "Join the project in the admin to label in it.")
        return redirect(member.project)
    assignment = leasing.next_assignment(membership=member, kind=kind)
    return _work(request, member, kind, assignment)


@require_POST
@login_required
def submit(request: Request, pk: int) -> HttpResponse:
    """Store a label and answer with the next item, in one round trip."""
    assignment = access.own_assignment(request.user, pk)
    member = access.membership(request.user, assignment.item.project.slug)
    kind = assignment.item.kind
    form = label_form(assignment, request.POST)
    if form.is_valid():
        try:
            labelling.submit(assignment=assignment, said=form.said())
        except ValidationError as error:
            form.add_error(None, error)
        except labelling.LeaseLost as error:
            messages.warning(request, f"{error} Here is another.")
    if form.errors:
        return _work(request, member, kind, assignment, form, status=422)
    return _next(request, member, kind)


@require_POST
@login_required
def skip(request: Request, pk: int) -> HttpResponse:
    assignment = access.own_assignment(request.user, pk)
    member = access.membership(request.user, assignment.item.project.slug)
    leasing.skip(assignment=assignment, reason=request.POST.get("reason", ""))
    return _next(request, member, assignment.item.kind)


@require_POST
@login_required
def draft(request: Request, pk: int) -> HttpResponse:
    """Keep what was typed so far and renew the lease: 204, or 409 if the lease has ended."""
    assignment = access.own_assignment(request.user, pk)
    text = request.POST.get("text")
    if text is None:
        kept = leasing.heartbeat(assignment=assignment)
    else:
        kept = leasing.save_draft(assignment=assignment, draft={"text": text[:200_000]})
    return HttpResponse(status=204 if kept else 409)


@require_GET
@login_required
def guidelines(request: Request, slug: str) -> HttpResponse:
    member = access.membership(request.user, slug)
    return render(request, "annotation/guidelines.html", place(member))


@require_http_methods(["GET", "POST"])
@login_required
def edit_guidelines(request: Request, slug: str) -> HttpResponse:
    member = access.membership(request.user, slug, Role.LEAD)
    form = GuidelinesForm(request.POST or None, initial={"guidelines": member.project.guidelines})
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data.pop("guidelines").replace("\r\n", "\n")
        publish(project=member.project, text=text, actor=request.user, **form.cleaned_data)
        messages.success(request, "The guidelines were saved.")
        return redirect("guidelines", slug)
    return render(request, "annotation/edit_guidelines.html", {**place(member), "form": form})


@require_http_methods(["GET", "POST"])
@login_required
def import_data(request: Request, slug: str) -> HttpResponse:
    """Upload a JSON Lines file; the page then shows what was added, known and rejected."""
    member = access.membership(request.user, slug, Role.LEAD)
    form = ImportForm(request.POST or None, request.FILES or None)
    summary = None
    if request.method == "POST" and form.is_valid():
        summary = import_lines(project=member.project, lines=form.cleaned_data["file"], actor=request.user)
        form = ImportForm()
    status = 422 if form.errors else 200
    context = {**place(member), "form": form, "summary": summary}
    return render(request, "annotation/import.html", context, status=status)


def place(member: Membership) -> dict[str, Any]:
    """What every page inside a project shows."""
    return {"project": member.project, "member": member, "is_lead": member.at_least(Role.LEAD)}


def _next(request: Request, member: Membership, kind: str) -> HttpResponse:
    if not request.htmx:  # without JavaScript: the ordinary redirect after a POST
        return redirect("work", member.project.slug, kind)
    return _work(request, member, kind, leasing.next_assignment(membership=member, kind=kind))


def _work(
    request: Request,
    member: Membership,
    kind: str,
    assignment: Assignment | None,
    form: LabelForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {**place(member), "kind": kind, "assignment": assignment, "form": form}
    context["progress"] = progress.of_project(member.project)[kind]
    context["own_labels"] = progress.labels_by(request.user, member.project)
    if assignment is not None:
        prompt: Prompt = assignment.item.prompt
        context["turns"] = prompt.messages
        context["answers"] = assignment.shown()
        kept = form.cleaned_data if form else {}  # what was refused for itself is not shown again
        context["client_uuid"] = kept.get("client_uuid") or uuid.uuid4()
        context["seconds"] = kept.get("seconds")
        context["levels"] = list(enumerate(member.project.strength_levels, start=1))
    else:
        waiting = progress.waiting_for(member)
        context["other_kind"] = next((k for k in Kind.values if k != kind and waiting[k]), None)
    template = "annotation/_item.html" if request.htmx else "annotation/work.html"
    return render(request, template, context, status=status)
