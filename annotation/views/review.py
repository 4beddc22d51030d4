"""The reviewers' page: a case, what people said without their names, and the form to decide it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from annotation import access, labelling, leasing, reviewing
from annotation.doors import door
from annotation.forms import LabelForm, label_form
from annotation.models import Comment, Membership, Review
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from annotation.views.work import one_item, said_again


@never_cache
@door(Role.REVIEWER, "GET")
def review(request: Request, slug: str) -> HttpResponse:
    """The reviewer's next case, or word that there is none. `?take=2` brings the edit of number 2 into the form."""
    member = access.membership(request.user, slug)
    if not member.pk:  # a superuser who looks in
        messages.info(request, "Join the project in the admin to review in it.")
        return redirect(member.project)
    return _case(request, member, reviewing.next_case(membership=member))


@never_cache
@door(Role.REVIEWER, "POST", own=True)
def decide(request: Request, pk: int) -> HttpResponse:
    """Store the decision and go on to the next case."""
    assignment = access.own_review(request.user, pk)
    member = access.membership(request.user, assignment.item.project.slug)
    form = label_form(assignment, request.POST)
    if form.is_valid():
        try:
            labelling.submit(assignment=assignment, said=form.said())
        except ValidationError as error:
            form.add_error(None, error)
        except labelling.LeaseLost as error:
            messages.warning(request, str(error))
    if form.errors:
        return _case(request, member, reviewing.case_of(assignment), form)
    return redirect("review", member.project.slug)


@door(Role.REVIEWER, "POST", own=True)
def pass_on(request: Request, pk: int) -> HttpResponse:
    """Leave the case to another reviewer."""
    assignment = access.own_review(request.user, pk)
    leasing.skip(assignment=assignment, reason=request.POST.get("reason", ""))
    return redirect("review", assignment.item.project.slug)


def _case(request: Request, member: Membership, case: Review | None, form: LabelForm | None = None) -> HttpResponse:
    context: dict[str, Any] = {**place(member), "case": case, "form": form}
    if case is None or case.assignment is None:
        others = Review.objects.open().filter(item__project=member.project, item__dropped=False).count()
        return render(request, "annotation/once.html", context | {"others": others, "kind": Kind.COMPARISON})
    assignment = case.assignment
    assignment.item = case.item
    said = reviewing.voices(case)
    taken = next((voice.label for voice in said if voice.name == request.GET.get("take")), None)
    if taken and taken.response and taken.verdict == Verdict.EDIT:
        form = said_again(assignment, {"verdict": taken.verdict, "text": taken.response.text})
    context |= {
        **one_item(member, assignment, form),
        "voices": said,
        "flags": Comment.objects.open_flags().filter(item=case.item),
        "waiting": reviewing.cases_for(member).count(),
        "submit_url": reverse("decide", args=[assignment.pk]),
        "skip_url": reverse("pass_on", args=[assignment.pk]),
    }
    return render(request, "annotation/once.html", context, status=422 if form and form.errors else 200)
