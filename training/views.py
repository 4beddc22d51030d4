"""The leads' pages about runs: gate, form, verb, render."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation.doors import door
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from training import access, guide, paraphrasing, preflight, queueing, reproducing, tuning
from training import runs as running
from training.causes import CAUSES
from training.forms import GuideForm, value_in_words
from training.methods import METHODS, Method
from training.models import Run
from training.models.runs import Status
from training.runforms import ContinueForm, StartRunForm

PAGE = 50
MOST_POINTS = 2000
MOST_BESIDE = 12


@door(Role.LEAD, "GET")
def runs(request: Request, slug: str) -> HttpResponse:
    member = access.lead(request.user, slug)
    rows = Run.objects.filter(project=member.project).select_related("project", "base", "snapshot", "created_by")
    rows = rows.defer("inputs")  # of which a run may have megabytes
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {**place(member), "runs": page, "line": queueing.in_line(member.project).select_related("project")}
    return render(request, "training/runs.html", context)


@door(Role.LEAD, "GET", "POST")
def start_run(request: Request, slug: str) -> HttpResponse:
    """One training run outside a round; the method stands in the address, and brings its own settings. What was filled
    in is looked at first, and started from that page."""
    member = access.lead(request.user, slug)
    methods = {name: method for name, method in METHODS.items() if method.produces}
    method = methods.get(request.GET.get("method", "sft"))
    if method is None:
        raise Http404("No such method")
    form = StartRunForm(
        request.POST if request.method == "POST" else None,
        project=member.project,
        method=method,
        initial=proposed(method, request.GET),
    )
    context = {**place(member), "form": form, "method": method, "methods": methods.values()}
    if request.method == "POST" and form.is_valid() and "change" not in request.POST:
        wanted = {
            "project": member.project,
            "method": method.name,
            "base": form.cleaned_data["base"],
            "snapshot": form.cleaned_data.get("snapshot"),
            "teacher": form.cleaned_data.get("teacher"),
            "others": form.cleaned_data.get("others", ()),
            "rule": form.rule(),
            "settings": form.settings(),
            "plan": form.plan(),
        }
        if "start" not in request.POST:  # first a look at what it would be
            report = preflight.check(**wanted)
            return render(request, "training/preflight.html", {**context, "report": report})
        seed = 17 if form.cleaned_data["seed"] is None else form.cleaned_data["seed"]
        try:
            run = tuning.tune(**wanted, seed=seed, actor=member.person)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The run is in the queue.")
            return redirect("run", slug, run.pk)
    return render(request, "training/start_run.html", context, status=422 if form.errors else 200)


def proposed(method: Method, asked: Mapping[str, str]) -> dict[str, Any]:
    """Settings that stand in the address, as the guide's links have them; the form judges them when it is sent."""
    fields = method.settings.model_fields
    return {
        name: value == "True" if fields[name].annotation is bool else value
        for name, value in asked.items()
        if name in fields
    }


@door(Role.LEAD, "GET")
def which_method(request: Request, slug: str) -> HttpResponse:
    """What to train, by what a lead answers and by what the project has."""
    member = access.lead(request.user, slug)
    form = GuideForm(request.GET or None)
    have = guide.holdings(member.project)
    steps = guide.propose(guide.Needs(**form.cleaned_data), have) if form.is_valid() else []
    context = {**place(member), "form": form, "have": have, "steps": steps}
    return render(request, "training/which_method.html", context)


@never_cache
@door(Role.LEAD, "GET")
def run_metrics(request: Request, slug: str, pk: int) -> JsonResponse:
    """What a live curve asks for again and again: the points after step `after`, and how far the run is."""
    _, run = access.run(request.user, slug, pk)
    try:
        after = int(request.GET.get("after", -1))
    except ValueError:
        after = -1
    return JsonResponse(
        {
            "status": run.status,
            "step": run.step,
            "total": run.total,
            "percent": run.percent,
            "seconds": run.seconds,
            "seconds_left": seconds_left(run),
            "points": points(run, after),
            "error": run.error,
            "attempt": run.attempt,
            "log": run.log_tail(),
        }
    )


@door(Role.LEAD, "POST")
def cancel_run(request: Request, slug: str, pk: int) -> HttpResponse:
    member, run = access.run(request.user, slug, pk)
    if running.cancel(run=run, actor=member.person):
        messages.success(request, "The run is being stopped. Retry goes on from its last checkpoint.")
    else:
        messages.info(request, "The run had ended already.")
    return redirect("run", slug, pk)


@door(Role.LEAD, "POST")
def retry_run(request: Request, slug: str, pk: int) -> HttpResponse:
    member, run = access.run(request.user, slug, pk)
    try:
        again = running.retry(run=run, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("run", slug, pk)
    if again:
        messages.success(request, "The run is in the queue again and goes on from its last checkpoint.")
    else:
        messages.info(request, "Only a run that failed or was cancelled can be retried.")
    return redirect("run", slug, pk)


@door(Role.LEAD, "POST")
def move_run(request: Request, slug: str, pk: int) -> HttpResponse:
    """Change a queued run's place among its project's."""
    member, run = access.run(request.user, slug, pk)
    try:
        if not queueing.move(run=run, way=request.POST.get("way", ""), actor=member.person):
            messages.info(request, f"Run {pk} keeps its place.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("runs", slug)


@door(Role.LEAD, "POST")
def continue_run(request: Request, slug: str, pk: int) -> HttpResponse:
    """Train what a run made for more passes, as a new run."""
    member, run = access.run(request.user, slug, pk)
    form = ContinueForm(request.POST)
    if not form.is_valid():
        messages.error(request, "More passes over the data: a number from 0.01 to 100.")
        return redirect("run", slug, pk)
    try:
        further = running.carry_on(run=run, epochs=form.cleaned_data["epochs"], actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("run", slug, pk)
    messages.success(request, f"This run is in the queue. It goes on from what run {pk} made.")
    return redirect("run", slug, further.pk)


def about(run: Run) -> dict[str, Any]:
    """What a run's page shows of this room."""
    method = running.method_of(run.method)
    return {
        "run": run,
        "log": run.log_tail(),
        "method": method,
        "settings_rows": [
            {
                "title": field.title or name.replace("_", " ").capitalize(),
                "value": value_in_words(method.settings, name, run.settings.get(name, field.default)),
                "eased": run.eased.get(name),
                "help": field.description or "",
            }
            for name, field in method.settings.model_fields.items()
            if method.settings.matters(name, run.settings)
        ],
        "made_with": reproducing.made_with(run.environment),
        "note": note(run),
        "tags": run.metrics.get("by_tag", []),
        "can_cancel": run.is_open and not run.cancel_requested,
        "can_retry": run.status in (Status.FAILED, Status.CANCELLED),
        "cause": CAUSES.get(run.reason),
        "anew": f"?{urlencode({'method': run.method, **run.settings})}"
        if run.reason in ("out_of_memory", "bad_data") and method.produces
        else "",
        "waits_for": list(run.waits_for.order_by("id")),
        "continue_form": ContinueForm() if hasattr(run, "model_version") and running.has_passes(run) else None,
        "beside": beside(run),
        "wordings": paraphrasing.tally(run) if run.method == "paraphrase" else None,
        "again": reproducing.compare(run.repeats, run) if run.repeats and not run.is_open else None,
    }


def beside(run: Run) -> list[Run]:
    """Runs whose curves may be laid over this one's: of the same method, the newest first."""
    others = Run.objects.filter(project=run.project, method=run.method, step__gt=0).exclude(pk=run.pk)
    return list(others.select_related("project").defer("inputs")[:MOST_BESIDE])


def note(run: Run) -> str:
    """What a person should know of a run that went well; empty if there is nothing."""
    if not run.metrics.get("over_optimised"):
        return ""
    return (
        f"It stopped before its last step: its answers had moved {run.metrics['kl']:.0f} nats from the model before, "
        f"and the limit is {run.settings['kl_limit']:g}. Beyond that a reward model's score says less and less about "
        "what people like. The model as it was then is kept."
    )


def points(run: Run, after: int) -> list[dict[str, Any]]:
    """The run's metrics after a step; of very many, an even choice that keeps the first and the last."""
    steps = list(run.metric_rows.filter(step__gt=after).values_list("step", flat=True))
    rows = run.metric_rows.filter(step__gt=after)
    if len(steps) > MOST_POINTS:
        last = len(steps) - 1
        rows = rows.filter(step__in={steps[round(place * last / (MOST_POINTS - 1))] for place in range(MOST_POINTS)})
    return [{"step": row.step, "values": row.values} for row in rows]


def seconds_left(run: Run) -> float | None:
    """At the pace so far; None before the first step and after the last."""
    if run.status != Status.RUNNING or not run.step or not run.total or run.seconds is None:
        return None
    return run.seconds * max(0, run.total - run.step) / run.step
