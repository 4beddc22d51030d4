"""The leads' pages about people: who is in the project, what each has done, teams, invitations."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation import access, exporting, invitations, people, teams, work_done, workload
from annotation.doors import door
from annotation.endpoints import NDJSON, json_line
from annotation.models import Membership, Team
from annotation.models.people import RANK, Role
from annotation.peopleforms import DoneForm, ExportForm, InvitationForm, MemberForm, TeamForm
from annotation.requests import Request
from annotation.views import place
from annotation.wording import in_words

LABELS_A_PAGE = 50


@door(Role.LEAD, "GET", "POST")
def members(request: Request, slug: str) -> HttpResponse:
    """Who is in the project and how much they do, its teams, and its invitations; a POST makes a link."""
    lead = access.membership(request.user, slug)
    project = lead.project
    form = InvitationForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        try:
            invitations.invite(project=project, actor=lead, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The link is made: send it to those you invite.")
            return redirect(reverse("people", args=[slug]) + "#invitations")
    rows = project.memberships.select_related("person").prefetch_related("teams")
    came = invitations.who_came(project)
    links = [
        {
            "invitation": one,
            "url": request.build_absolute_uri(reverse("join", args=[one.token])),
            "closed": invitations.why_closed(one),
            "came": came.get(one.pk, []),
        }
        for one in project.invitations.select_related("project", "team", "author")
    ]
    context = {
        "rows": workload.of(sorted(rows, key=lambda one: (-RANK[Role(one.role)], one.person.username.lower()))),
        "former": workload.former(project),
        "teams": project.teams.prefetch_related("members__person"),
        "open": [one for one in links if not one["closed"]],
        "closed": [one for one in links if one["closed"]],
        "form": form,
    }
    return render(request, "annotation/people.html", {**place(lead), **context}, status=422 if form.errors else 200)


@door(Role.LEAD, "GET", "POST")
def person(request: Request, slug: str, pk: int) -> HttpResponse:
    """One person: their role and teams, to be changed, and their labels, newest first."""
    lead = access.membership(request.user, slug)
    who = access.person_of(lead, pk)
    member = lead.project.memberships.select_related("person", "project").filter(person=who).first()
    form = MemberForm(request.POST or None, member=member) if member else None
    if request.method == "POST" and form is not None and member is not None and form.is_valid():
        try:
            people.set_role(membership=member, role=form.cleaned_data["role"], actor=request.user)
        except ValidationError as error:
            form.add_error("role", error)
        else:
            people.set_teams(membership=member, teams=form.cleaned_data["teams"], actor=request.user)
            messages.success(request, f"The role and the teams of {who} are kept.")
            return redirect("person", slug, pk) if who != request.user else redirect("project", slug)
    asked = DoneForm(request.GET)
    labels = work_done.chosen(work_done.by(who, lead.project), **asked.filters())
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        labels = labels.filter(pk__lt=int(before))
    found = list(
        labels.select_related("item__prompt", "project", "response", "superseded_by")
        .prefetch_related("judgements")
        .order_by("-pk")[: LABELS_A_PAGE + 1]
    )
    query = request.GET.copy()
    for name in ("before", "names", "format"):
        query.pop(name, None)
    older = query.copy()
    if len(found) > LABELS_A_PAGE:
        older["before"] = str(found[LABELS_A_PAGE - 1].pk)
    context = {
        "who": who,
        "row": workload.of([member])[0] if member else None,
        "form": form,
        "filters": asked,
        "filtered": bool(asked.filters()),
        "asked": [(name, value) for name, value in query.items() if value],
        "labels": [(one, in_words(one)) for one in found[:LABELS_A_PAGE]],
        "first_page": query.urlencode() if before else None,
        "older": older.urlencode() if len(found) > LABELS_A_PAGE else None,
        "pseudonym": exporting.pseudonym(project=lead.project, person_id=who.pk),
    }
    status = 422 if form is not None and form.errors else 200
    return render(request, "annotation/person.html", {**place(lead), **context}, status=status)


@door(Role.LEAD, "POST")
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """End somebody's membership; refused for the last lead, with the reason."""
    lead = access.membership(request.user, slug)
    member = access.member_of(lead, pk)
    try:
        people.remove(membership=member, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("person", slug, pk)
    messages.success(request, f"{member.person} is no longer in the project. What they said stays.")
    return redirect("projects" if member.person_id == request.user.pk else reverse("people", args=[slug]))


@door(Role.LEAD, "GET")
def export_work(request: Request, slug: str, pk: int) -> HttpResponse | StreamingHttpResponse:
    """A person's labels as a file: under a pseudonym, unless the lead chooses the name."""
    lead = access.membership(request.user, slug)
    who = access.person_of(lead, pk)
    form = ExportForm({"format": "jsonl", **request.GET.dict()})
    if not form.is_valid():
        return redirect("person", slug, pk)
    labels = work_done.chosen(work_done.by(who, lead.project), **DoneForm(request.GET).filters())
    return work_file(lead=lead, labels=labels, person_id=pk, **form.cleaned_data)


def work_file(*, lead: Membership, labels: Any, person_id: int, names: bool, format: str) -> StreamingHttpResponse:
    """Somebody's labels in a stream, as the file of the page and of the API."""
    who = access.person_of(lead, person_id)
    rows = work_done.take_out(labels=labels, project=lead.project, person=who, actor=lead.person, names=names)
    csv = format == "csv"
    name = f"{lead.project.slug}-{exporting.pseudonym(project=lead.project, person_id=who.pk)}.{format}"
    return StreamingHttpResponse(
        work_done.csv_lines(rows) if csv else map(json_line, rows),
        content_type="text/csv; charset=utf-8" if csv else NDJSON,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@door(Role.LEAD, "POST")
def revoke(request: Request, slug: str, pk: int) -> HttpResponse:
    """Take a link back."""
    lead = access.membership(request.user, slug)
    invitation = access.invitation_of(lead, pk)
    if invitations.revoke(invitation=invitation, actor=request.user):
        messages.success(request, "The link admits nobody any more. Who came by it stays.")
    return redirect(reverse("people", args=[slug]) + "#invitations")


@door(Role.LEAD, "GET", "POST")
def new_team(request: Request, slug: str) -> HttpResponse:
    return _team(request, access.membership(request.user, slug), None)


@door(Role.LEAD, "GET", "POST")
def team(request: Request, slug: str, pk: int) -> HttpResponse:
    lead = access.membership(request.user, slug)
    return _team(request, lead, access.team_of(lead, pk))


def _team(request: Request, lead: Membership, found: Team | None) -> HttpResponse:
    """A team's name, part of the data, and people."""
    project = lead.project
    form = TeamForm(request.POST or None, project=project, team=found)
    if request.method == "POST" and form.is_valid():
        try:
            teams.save(project=project, actor=request.user, team=found, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The team is kept. People are given items of its part from the next one on.")
            return redirect(reverse("people", args=[project.slug]) + "#teams")
    context = {**place(lead), "team": found, "form": form}
    return render(request, "annotation/team.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "POST")
def delete_team(request: Request, slug: str, pk: int) -> HttpResponse:
    lead = access.membership(request.user, slug)
    found = access.team_of(lead, pk)
    teams.delete(team=found, actor=request.user)
    messages.success(request, f"The team {found.name} is gone. Its people stay in the project.")
    return redirect(reverse("people", args=[slug]) + "#teams")
