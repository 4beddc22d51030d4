"""The labelling pages."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation import access, labelling, leasing, progress
from annotation.forms import LabelForm, label_form
from annotation.models import Assignment, Membership, Prompt
from annotation.models.items import Kind
from annotation.requests import Request
from annotation.views import place


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
