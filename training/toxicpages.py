"""The leads' page about reading for toxicity: gate, form, verb, render."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation.doors import door
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from training import access
from training import toxicity as reading
from training.toxicforms import ToxicityForm


@never_cache
@door(Role.LEAD, "GET", "POST")
def toxicity(request: Request, slug: str) -> HttpResponse:
    """Which classifier reads the project's texts, and how far it is; another one is named, or none."""
    member = access.lead(request.user, slug)
    project = member.project
    sent = request.POST.get("model", "") if request.method == "POST" else ""
    if sent == "none":
        if reading.stop(project=project, actor=member.person):
            messages.success(request, "Nothing is read for toxicity any more. What was decided stays.")
        return redirect("toxicity", slug)
    now = reading.standing(project)
    forms = []
    for version in reading.readers(project):
        data = request.POST if sent == str(version.pk) else None
        form = ToxicityForm(data, version=version, policy=now.policy)
        if data is not None and form.is_valid():
            try:
                reading.set_policy(project=project, model=version, actor=member.person, **form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, f"{version} reads for toxicity from now on.")
                return redirect("toxicity", slug)
        forms.append(form)
    context = {**place(member), "now": now, "forms": forms, "most_unread": reading.MOST_UNREAD}
    failed = any(form.errors for form in forms)
    return render(request, "training/toxicity.html", context, status=422 if failed else 200)


@door(Role.LEAD, "POST")
def read(request: Request, slug: str) -> HttpResponse:
    """Have what is new read now."""
    member = access.lead(request.user, slug)
    try:
        run = reading.start(project=member.project, actor=member.person)
    except ValidationError as error:
        messages.warning(request, " ".join(error.messages))
    else:
        messages.success(request, f"Run {run.pk} is in the queue, after all others.")
    return redirect("toxicity", slug)
