"""What is said about a text while it is written."""

from dataclasses import asdict

from django.http import Http404, HttpResponse, JsonResponse

from annotation import access, checking
from annotation.doors import door
from annotation.forms import CheckForm, turns_in
from annotation.mending import mended, problem_of
from annotation.models.people import Role
from annotation.requests import Request


@door(Role.ANNOTATOR, "POST")
def check(request: Request, slug: str) -> HttpResponse:
    """JSON: what the checks find in a text, and how long the conversation is with it as the answer."""
    project = access.project(request.user, slug)
    form = CheckForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"problems": form.errors}, status=422)
    messages: list[dict[str, str]] = []
    if form.cleaned_data["assignment"]:
        prompt = access.own_assignment(request.user, form.cleaned_data["assignment"]).item.prompt
        if prompt.project_id != project.pk:
            raise Http404("No such assignment")
        turns = turns_in(request.POST)
        messages = prompt.messages if problem_of(prompt.messages, turns) else mended(prompt.messages, turns)
    checked = checking.check(project=project, text=form.cleaned_data["text"], messages=messages)
    return JsonResponse(asdict(checked))
