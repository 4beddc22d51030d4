"""The leads' pages about tags that a classifier suggests: gate, form, verb, render."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from annotation import asked, bulk
from annotation.doors import door
from annotation.filters import PROMPTS
from annotation.models import Project
from annotation.models.people import Role
from annotation.requests import Request
from training import access, suggestions


@door(Role.LEAD, "POST")
def decide_tags(request: Request, slug: str) -> HttpResponse:
    """Accept a suggestion or dismiss it, or dismiss those of a tag for the rows that are ticked on Browse."""
    project = access.lead(request.user, slug).project
    query = asked.plain(project, QueryDict(request.POST.get("query", "")).dict(), lead=True)
    try:
        if "accept" in request.POST:
            accepted = _ids(request.POST.getlist("accept"))
            count = suggestions.accept(project=project, suggestions=accepted, actor=request.user)
            done = "accepted"
        else:
            dismissed = _ids(request.POST.getlist("dismiss")) or _ticked(project, request.POST, query)
            count = suggestions.dismiss(project=project, suggestions=dismissed, actor=request.user)
            done = "dismissed"
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        if count:
            messages.success(request, f"{count} suggestion{'' if count == 1 else 's'} {done}.")
        else:
            messages.info(request, "That was decided already.")
    prompt = _ids([request.POST.get("prompt", "")])
    if prompt:
        return redirect("browse_prompt", slug, prompt[0])
    return redirect(f"{reverse('browse', args=[slug])}?{urlencode(query)}")


@door(Role.LEAD, "POST")
def suggest_tags(request: Request, slug: str, pk: int) -> HttpResponse:
    """Queue a run in which a classifier reads prompts that it has not read yet."""
    member, version = access.model(request.user, slug, pk)
    try:
        run = suggestions.ask(version=version, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    messages.success(request, "The run is in the queue. What it suggests stands in Browse once it is done.")
    return redirect("run", slug, run.pk)


def _ids(given: list[str]) -> list[int]:
    return [int(one) for one in given if one.isascii() and one.isdigit() and len(one) < 19]


def _ticked(project: Project, sent: QueryDict, query: dict[str, str]) -> list[int]:
    """The open suggestions of the tag that Browse is narrowed by, for the prompts of the rows that were ticked."""
    rows = bulk.prompts_of(query.get("view", PROMPTS), _ids(sent.getlist("row"))[: bulk.SELECTED + 1])
    if not rows:
        raise ValidationError("Choose at least one row.")
    return suggestions.of_tag(project, query.get("suggested", ""), rows)
