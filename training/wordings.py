"""The leads' pages about paraphrases: gate, form, verb, render."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation.doors import door
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from training import access, paraphrasing
from training.methods import METHODS
from training.paraphraseforms import DecideForm, ParaphraseForm

PAGE = 50


@door(Role.LEAD, "GET", "POST")
def start_paraphrasing(request: Request, slug: str) -> HttpResponse:
    """Have prompts said in other words by a model."""
    member = access.lead(request.user, slug)
    form = ParaphraseForm(request.POST if request.method == "POST" else None, project=member.project)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            run = paraphrasing.paraphrase(
                project=member.project,
                model=chosen["model"],
                prompts=chosen["prompts"] or paraphrasing.USUAL,
                settings=form.settings(),
                seed=17 if chosen["seed"] is None else chosen["seed"],
                actor=member.person,
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The run is in the queue. What it wrote can be read once it has ended.")
            return redirect("run", slug, run.pk)
    context = {
        **place(member),
        "form": form,
        "method": METHODS["paraphrase"],
        "candidates": paraphrasing.candidates(member.project).count(),
    }
    return render(request, "training/start_paraphrasing.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "GET")
def paraphrases(request: Request, slug: str, pk: int) -> HttpResponse:
    """What a run wrote, beside the originals: all of it, what is kept, or what is refused, for one reason or any."""
    member, run = access.run(request.user, slug, pk)
    tally = paraphrasing.tally(run)
    show = request.GET.get("show", "")
    rows = paraphrasing.shown(run, show).select_related("prompt", "decided_by", "run").defer("run__inputs")
    context: dict[str, Any] = {
        **place(member),
        "run": run,
        "tally": tally,
        "show": show,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "training/paraphrases.html", context)


@door(Role.LEAD, "POST")
def decide_paraphrase(request: Request, slug: str, pk: int) -> HttpResponse:
    """Refuse a paraphrase, or take one back; leads to where it was read."""
    member, found = access.paraphrase(request.user, slug, pk)
    form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say whether it is to be kept.")
    else:
        try:
            paraphrasing.decide(paraphrase=found, keep=form.cleaned_data["keep"], actor=member.person)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
    where = {name: request.POST[name] for name in ("show", "page") if request.POST.get(name)}
    address = reverse("paraphrases", args=[slug, found.run_id])
    return redirect(f"{address}{'?' + urlencode(where) if where else ''}#paraphrase-{found.pk}")
