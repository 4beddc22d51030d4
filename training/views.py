"""The leads' pages about runs: gate, form, verb, render."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.requests import Request
from annotation.views import place
from training import access, snapshots, tuning
from training import runs as running
from training.forms import StartRunForm
from training.methods import METHODS
from training.models import Run
from training.models.runs import Status

PAGE = 50
MOST_POINTS = 2000


@require_GET
@login_required
def runs(request: Request, slug: str) -> HttpResponse:
    member = access.lead(request.user, slug)
    rows = Run.objects.filter(project=member.project).select_related("project", "base", "snapshot", "created_by")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return render(request, "training/runs.html", {**place(member), "runs": page})


@require_http_methods(["GET", "POST"])
@login_required
def start_run(request: Request, slug: str) -> HttpResponse:
    """One training run outside a round; the method stands in the address, and brings its own settings."""
    member = access.lead(request.user, slug)
    methods = {name: method for name, method in METHODS.items() if method.snapshot_kind}
    method = methods.get(request.GET.get("method", "sft"))
    if method is None:
        raise Http404("No such method")
    form = StartRunForm(request.POST if request.method == "POST" else None, project=member.project, method=method)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            run = tuning.tune(
                project=member.project,
                method=method.name,
                base=chosen["base"],
                snapshot=chosen["snapshot"],
                rule=snapshots.Rule(simulated=chosen["simulated"]),
                settings=form.settings(),
                seed=17 if chosen["seed"] is None else chosen["seed"],
                actor=member.person,
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The run is in the queue.")
            return redirect("run", slug, run.pk)
    context = {**place(member), "form": form, "method": method, "methods": methods.values()}
    return render(request, "training/start_run.html", context, status=422 if form.errors else 200)


@never_cache
@require_GET
@login_required
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
            "log": run.log_tail(),
        }
    )


@require_POST
@login_required
def cancel_run(request: Request, slug: str, pk: int) -> HttpResponse:
    member, run = access.run(request.user, slug, pk)
    if running.cancel(run=run, actor=member.person):
        messages.success(request, "The run is being stopped. Retry goes on from its last checkpoint.")
    else:
        messages.info(request, "The run had ended already.")
    return redirect("run", slug, pk)


@require_POST
@login_required
def retry_run(request: Request, slug: str, pk: int) -> HttpResponse:
    member, run = access.run(request.user, slug, pk)
    if running.retry(run=run, actor=member.person):
        messages.success(request, "The run is in the queue again and goes on from its last checkpoint.")
    else:
        messages.info(request, "Only a run that failed or was cancelled can be retried.")
    return redirect("run", slug, pk)


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
                "value": run.settings.get(name, field.default),
                "help": field.description or "",
            }
            for name, field in method.settings.model_fields.items()
        ],
        "can_cancel": run.is_open and not run.cancel_requested,
        "can_retry": run.status in (Status.FAILED, Status.CANCELLED),
    }


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
