"""The labelling pages.

With JavaScript the page is never left: static/js/work.js asks for items as fragments (the header `X-Touchstone: item`)
and names those it has already (`on_page`), so that the answer to a label brings the item after the next. Without,
every control is a plain form.
"""

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache

from annotation import access, gold, guidelines, labelling, leasing, pace, progress
from annotation.doors import door
from annotation.forms import LabelForm, label_form
from annotation.models import Assignment, Guidelines, Membership, Prompt
from annotation.models.items import Kind
from annotation.models.people import Role
from annotation.requests import Request
from annotation.standing import quiz_kinds, quiz_of, whom_to_ask
from annotation.views import comparison, place, talk


@never_cache
@door(Role.ANNOTATOR, "GET")
def work(request: Request, slug: str, kind: str) -> HttpResponse:
    """The labelling page: the person's next item of this kind, or word that there is none."""
    member = _member(request, slug, kind)
    if not member.pk:  # a superuser who looks in
        messages.info(request, "Join the project in the admin to label in it.")
        return redirect(member.project)
    return _go_on(request, member, kind, gold.feedback_of(request.user, request.GET.get("after", "")))


@door(Role.ANNOTATOR, "POST")
def ahead(request: Request, slug: str, kind: str) -> HttpResponse:
    """The item after those on the page, as a fragment; without JavaScript, the page."""
    member = _member(request, slug, kind)
    if not member.pk:
        raise PermissionDenied("Join the project to label in it.")
    return _next(request, member, kind)


@door(Role.ANNOTATOR, "POST", own=True)
def submit(request: Request, pk: int) -> HttpResponse:
    """Store a label and answer with the next item, in one round trip."""
    assignment, member = access.own_work(request.user, pk)
    kind = assignment.item.kind
    form = label_form(assignment, request.POST)
    feedback = None
    if form.is_valid():
        try:
            feedback = gold.feedback(labelling.submit(assignment=assignment, said=form.said(), member=member))
        except ValidationError as error:
            form.add_error(None, error)
        except labelling.LeaseLost as error:
            messages.warning(request, f"{error} Here is another.")
    if form.errors:
        return _work(request, member, kind, assignment, form, status=422)
    return _next(request, member, kind, feedback)


@door(Role.ANNOTATOR, "POST", own=True)
def skip(request: Request, pk: int) -> HttpResponse:
    assignment, member = access.own_work(request.user, pk)
    leasing.skip(assignment=assignment, reason=request.POST.get("reason", ""))
    return _next(request, member, assignment.item.kind)


@door(Role.ANNOTATOR, "POST")
def undo(request: Request, slug: str, kind: str) -> HttpResponse:
    """Take back one's last label of this kind, and show its item again with what was said."""
    member = _member(request, slug, kind)
    last = access.last_judged(request.user, member.project, kind)
    try:
        if last is None:
            raise ValidationError("There is no label of yours to take back.")
        assignment = labelling.undo(assignment=last)
    except ValidationError as error:
        if _wants_fragment(request):
            return JsonResponse({"problems": error.messages}, status=409)
        messages.warning(request, " ".join(error.messages))
        return redirect("work", slug, kind)
    return _work(request, member, kind, assignment) if _wants_fragment(request) else redirect("work", slug, kind)


@door(Role.ANNOTATOR, "POST", own=True)
def draft(request: Request, pk: int) -> HttpResponse:
    """Keep what was chosen and typed so far and renew the lease: 204, or 409 if the lease has ended."""
    assignment = access.own_assignment(request.user, pk)
    sent = request.POST.get("draft")
    if sent is None:
        kept = leasing.heartbeat(assignment=assignment)
    else:
        fields = _json(sent)
        if (problem := leasing.why_no_draft(fields)) is not None:
            return JsonResponse({"problems": [problem]}, status=400)
        kept = leasing.save_draft(assignment=assignment, draft=fields)
    return HttpResponse(status=204 if kept else 409)


@door(Role.ANNOTATOR, "POST", own=True)
def release(request: Request, pk: int) -> HttpResponse:
    """The page is being left: what was fetched ahead, or never touched, goes back to the queue at once."""
    assignment = access.own_assignment(request.user, pk)
    leasing.release(assignment=assignment, leased_at=parse_datetime(request.POST.get("leased_at", "")))
    return HttpResponse(status=204)


@door(Role.ANNOTATOR, "POST")
def read_guidelines(request: Request, slug: str, number: int) -> HttpResponse:
    """The person has read this version; answers with the next item if they were about to label."""
    member = access.membership(request.user, slug)
    version = get_object_or_404(Guidelines, project=member.project, number=number)
    if member.pk:
        guidelines.mark_read(membership=member, version=version)
    kind = request.POST.get("kind", "")
    if kind not in Kind.values or not member.pk:
        return redirect("guidelines", slug)
    return _next(request, member, kind)


def _member(request: Request, slug: str, kind: str) -> Membership:
    member = access.membership(request.user, slug)
    if kind not in Kind.values:
        raise Http404("No such kind of work")
    return member


def _json(sent: str) -> Any:
    try:
        return json.loads(sent)
    except (ValueError, RecursionError):
        return None


def _wants_fragment(request: Request) -> bool:
    return request.headers.get("X-Touchstone") == "item"


def _next(request: Request, member: Membership, kind: str, feedback: gold.Feedback | None = None) -> HttpResponse:
    if not _wants_fragment(request):  # the ordinary redirect after a POST
        address = reverse("work", args=[member.project.slug, kind])
        return redirect(f"{address}?after={feedback.label}" if feedback else address)
    return _go_on(request, member, kind, feedback)


def _go_on(request: Request, member: Membership, kind: str, feedback: gold.Feedback | None = None) -> HttpResponse:
    """The guidelines if they have changed, or else the next item beyond those that are on the page."""
    on_page = {int(pk) for pk in request.POST.getlist("on_page") if pk.isdecimal()}
    to_read = guidelines.unread(member)
    assignment = None if to_read else leasing.next_assignment(membership=member, kind=kind, beyond=on_page)
    return _work(request, member, kind, assignment, to_read=to_read, feedback=feedback)


def one_item(member: Membership, assignment: Assignment, form: LabelForm | None = None) -> dict[str, Any]:
    """What every page shows that asks about an item; `form` is what was sent and refused, or is filled in again."""
    prompt: Prompt = assignment.item.prompt
    context = {
        "assignment": assignment,
        "form": form,
        "kind": assignment.item.kind,
        "turns": prompt.messages,
        "language": prompt.language,
    }
    if assignment.item.kind == Kind.COMPARISON:
        context |= comparison.page(assignment, form.data if form else assignment.draft)
    else:
        context["answers"] = assignment.shown()
    kept = form.cleaned_data if form else {}  # what was refused for itself is not shown again
    context["draft"] = json.dumps(assignment.draft)
    context["client_uuid"] = kept.get("client_uuid") or uuid.uuid4()
    context["seconds"] = kept.get("seconds")
    context |= talk.about(member, assignment.item, assignment)
    context["levels"] = list(enumerate(member.project.strength_levels, start=1))
    return context


def said_again(assignment: Assignment, fields: dict[str, Any]) -> LabelForm:
    """The form of the item filled in with these fields, as if somebody were saying just that."""
    assignment.draft = fields
    form = label_form(assignment, {**fields, "client_uuid": uuid.uuid4()})
    form.is_valid()
    return form


def _work(
    request: Request,
    member: Membership,
    kind: str,
    assignment: Assignment | None,
    form: LabelForm | None = None,
    status: int = 200,
    to_read: Guidelines | None = None,
    feedback: gold.Feedback | None = None,
) -> HttpResponse:
    context = {**place(member), "kind": kind, "assignment": assignment, "form": form, "feedback": feedback}
    quiz = quiz_of(member)
    context["quiz"] = quiz if quiz is not None and quiz.due else None
    context["progress"] = progress.as_seen_by(member)[kind]
    context["own"] = pace.at_a_glance(member)
    if assignment is not None:
        context |= one_item(member, assignment, form)
    elif to_read is not None:
        context["to_read"] = to_read
        context["changes"] = guidelines.changes_for(member, to_read)
    elif member.paused_at:
        context["whom_to_ask"] = whom_to_ask(member.project)
    else:
        waiting = quiz_kinds(member) if context["quiz"] else progress.waiting_for(member)
        context["other_kind"] = next((k for k in Kind.values if k != kind and waiting[k]), None)
    template = "annotation/_item.html" if _wants_fragment(request) else "annotation/work.html"
    return render(request, template, context, status=status)
