"""The projects, and one at a glance."""

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render

from annotation import access, progress, standing
from annotation.doors import SIGNED_IN, door
from annotation.models.items import Kind
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place


@door(SIGNED_IN, "GET")
def projects(request: Request) -> HttpResponse:
    """The projects a person belongs to, each with what waits for them."""
    rows = [
        {
            "project": member.project,
            "role": member.role,
            "waiting": progress.waiting_for(member) if member.pk else {},
            "progress": progress.as_seen_by(member),
        }
        for member in access.memberships(request.user, access.projects(request.user))
    ]
    return render(request, "annotation/projects.html", {"rows": rows})


@door(Role.ANNOTATOR, "GET")
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
            "quiz": standing.quiz_of(member),
            "why_paused": standing.why_paused(member) if member.paused_at else "",
            "waiting": progress.waiting_for(member) if member.pk else dict.fromkeys(Kind.values, 0),
            "progress": progress.as_seen_by(member),
            "own_labels": progress.labels_by(request.user, project),
            "prompts": {"train": splits.get("train", 0), "heldout": splits.get("heldout", 0)},
        },
    )
