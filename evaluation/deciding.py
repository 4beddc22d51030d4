"""The leads' buttons on a model: measure it, let people compare it, promote it or go back; and what the gate asks."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.doors import door
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from evaluation import access, gate, head_to_head, scoring, second_opinion, suites
from evaluation.forms import GateForm, HeadToHeadForm, SecondOpinionForm, SuitesForm
from evaluation.models import GatePolicy
from training.access import lead
from training.access import model as gated_model


@door(Role.LEAD, "POST")
def promote(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    try:
        gate.promote(version=version, actor=member.person, reason=request.POST.get("reason", "")[:300])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{version} is the production model now.")
    return redirect("model", slug, pk)


@door(Role.LEAD, "POST")
def roll_back(request: Request, slug: str) -> HttpResponse:
    member = lead(request.user, slug)
    try:
        back = gate.roll_back(project=member.project, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{back} is the production model again.")
    return redirect("models", slug)


@door(Role.LEAD, "POST")
def measure(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    try:
        run = scoring.measure(project=member.project, model=version, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    return redirect("run", slug, run.pk)


@door(Role.LEAD, "POST")
def start_match(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    form = HeadToHeadForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say how many prompts, from 1 to 1000.")
        return redirect("model", slug, pk)
    try:
        head_to_head.start(challenger=version, prompts=form.cleaned_data["prompts"], actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "Both models answer the held-out prompts; then people are asked, blind.")
    return redirect("model", slug, pk)


@door(Role.LEAD, "POST")
def stop_match(request: Request, slug: str, pk: int) -> HttpResponse:
    member, match = access.head_to_head(request.user, slug, pk)
    if head_to_head.stop(match=match, actor=member.person):
        messages.success(request, "The comparison has ended. What was said counts.")
    else:
        messages.info(request, "The comparison had ended already.")
    return redirect("model", slug, match.challenger_id)


@door(Role.LEAD, "POST")
def ask_second_opinion(request: Request, slug: str, pk: int) -> HttpResponse:
    """Have a model behind an endpoint compare this model's answers with the production model's."""
    member, version = gated_model(request.user, slug, pk)
    form = SecondOpinionForm(request.POST, version=version)
    if not form.is_valid():
        messages.error(request, " ".join(_wrong(form)))
        return redirect("model", slug, pk)
    try:
        run = second_opinion.ask(challenger=version, actor=member.person, **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    return redirect("run", slug, run.pk)


@door(Role.LEAD, "POST")
def ask_suites(request: Request, slug: str, pk: int) -> HttpResponse:
    """Have a model, and the base it came from, answer suites of public questions."""
    member, version = gated_model(request.user, slug, pk)
    form = SuitesForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(_wrong(form))
        run = suites.ask(model=version, settings=form.settings(), actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    return redirect("run", slug, run.pk)


def _wrong(form: Form) -> list[str]:
    """What does not fit, by the fields' names on the page."""
    return [f"{form.fields[name].label}: {' '.join(map(str, errors))}" for name, errors in form.errors.items()]


@door(Role.LEAD, "GET", "POST")
def gate_policy(request: Request, slug: str) -> HttpResponse:
    """What the project asks of a new model."""
    member = lead(request.user, slug)
    policy = gate.policy_of(member.project)
    form = GateForm(request.POST or None, instance=GatePolicy(project=member.project) if request.POST else policy)
    if request.method == "POST" and form.is_valid():
        gate.set_policy(project=member.project, actor=member.person, **form.cleaned_data)
        messages.success(request, "The gate asks this from now on.")
        return redirect("gate_policy", slug)
    return render(request, "evaluation/gate.html", {**place(member), "form": form}, status=422 if form.errors else 200)
