"""The projects, and one at a glance."""

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation import access, progress, standing
from annotation.models import Project
from annotation.models.items import Kind
from annotation.requests import Request
from annotation.views import place


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
                "progress": progress.as_seen_by(member),
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
            "quiz": standing.quiz_of(member),
            "why_paused": standing.why_paused(member) if member.paused_at else "",
            "waiting": progress.waiting_for(member) if member.pk else dict.fromkeys(Kind.values, 0),
            "progress": progress.as_seen_by(member),
            "own_labels": progress.labels_by(request.user, project),
            "prompts": {"train": splits.get("train", 0), "heldout": splits.get("heldout", 0)},
        },
    )
