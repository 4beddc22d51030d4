"""The leads' pages about rounds and models: gate, form, verb, render."""

from collections import defaultdict
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import never_cache

from annotation.doors import door
from annotation.models import Membership
from annotation.models.items import Kind
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from evaluation import (
    access,
    gate,
    head_to_head,
    headline,
    leanings,
    report,
    scoring,
    second_opinion,
    starting,
    steering,
    suites,
)
from evaluation import rounds as loop
from evaluation.forms import AimForm, HeadToHeadForm, RoundForm, RoundPolicyForm, SecondOpinionForm, SuitesForm
from evaluation.models import Aim, Round, RoundStatus, Score, Step, StepRun
from training import cards, graph, registry, staleness, suggestions
from training.access import lead
from training.access import model as gated_model
from training.access import run as gated_run
from training.models import ModelVersion, Run
from training.models.registry import ModelKind, Stage
from training.views import about

STOP_POLLING = 286  # what htmx takes as the last answer


@door(Role.LEAD, "GET", "POST")
def rounds(request: Request, slug: str) -> HttpResponse:
    """The rounds so far, and the start of the next one."""
    member = lead(request.user, slug)
    if request.method == "POST":
        form = RoundForm(request.POST)
        if form.is_valid():
            try:
                started = loop.start(project=member.project, settings=form.settings(), actor=member.person)
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, f"{started} has begun.")
                return redirect(started)
    else:
        last = Round.objects.filter(project=member.project).first()
        form = RoundForm(initial=RoundForm.initial_from(last.settings) if last else None)
    return _rounds(request, member, form, RoundPolicyForm(instance=starting.policy_of(member.project)))


@door(Role.LEAD, "POST")
def round_policy(request: Request, slug: str) -> HttpResponse:
    """Set when the next round starts by itself."""
    member = lead(request.user, slug)
    form = RoundPolicyForm(request.POST, instance=starting.policy_of(member.project))
    if not form.is_valid():
        return _rounds(request, member, RoundForm(), form)
    starting.set_policy(policy=form.instance, actor=member.person)
    messages.success(request, "The next round starts by this rule.")
    return redirect("rounds", slug)


@door(Role.LEAD, "POST")
def set_aim(request: Request, slug: str) -> HttpResponse:
    """Choose what the next comparisons are chosen for."""
    member = lead(request.user, slug)
    form = AimForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose what comparisons are chosen for.")
    elif steering.set_aim(project=member.project, aim=Aim(form.cleaned_data["aim"]), actor=member.person):
        messages.success(request, "The queue is put in order anew within a minute.")
    return redirect("rounds", slug)


def _rounds(request: Request, member: Membership, form: RoundForm, policy_form: RoundPolicyForm) -> HttpResponse:
    project = member.project
    ready = report.readiness(project)
    context = {
        **place(member),
        "rounds": Round.objects.filter(project=project).select_related("champion", "challenger", "started_by"),
        "form": form,
        "readiness": ready,
        "policy_form": policy_form,
        "outlook": starting.look(project, ready=ready),
        "policy": starting.policy_of(project),
        "steering": report.of_steering(project),
        "aim_form": AimForm(initial={"aim": steering.aim_of(project)}),
    }
    failed = form.errors or policy_form.errors
    return render(request, "evaluation/rounds.html", context, status=422 if failed else 200)


@never_cache
@door(Role.LEAD, "GET")
def round(request: Request, slug: str, number: int) -> HttpResponse:
    member, current = access.round(request.user, slug, number)
    return render(request, "evaluation/round.html", _round(member, current))


@never_cache
@door(Role.LEAD, "GET")
def round_state(request: Request, slug: str, number: int) -> HttpResponse:
    """The part of the round's page that is asked for again and again, until the round has ended."""
    member, current = access.round(request.user, slug, number)
    status = 200 if current.status == RoundStatus.ACTIVE else STOP_POLLING
    return render(request, "evaluation/_round.html", _round(member, current), status=status)


@door(Role.LEAD, "POST")
def advance_round(request: Request, slug: str, number: int) -> HttpResponse:
    """Go on with the labels that are there, instead of waiting for more."""
    member, current = access.round(request.user, slug, number)
    before = current.step
    after = loop.advance(round_id=current.pk, force=True, actor=member.person)
    moved, said = report.of_advance(before, after)
    messages.add_message(request, messages.SUCCESS if moved else messages.WARNING, said)
    return redirect(current)


@door(Role.LEAD, "POST")
def cancel_round(request: Request, slug: str, number: int) -> HttpResponse:
    member, current = access.round(request.user, slug, number)
    if loop.cancel(round=current, actor=member.person):
        messages.success(request, "The round was cancelled, and its runs are being stopped.")
    else:
        messages.info(request, "The round had ended already.")
    return redirect(current)


@door(Role.LEAD, "POST")
def retry_round(request: Request, slug: str, number: int) -> HttpResponse:
    member, current = access.round(request.user, slug, number)
    try:
        if loop.retry(round=current, actor=member.person):
            messages.success(request, "The round goes on from where it stopped.")
        else:
            messages.info(request, "Only a round that failed or was cancelled can be retried.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(current)


@door(Role.LEAD, "GET")
def run(request: Request, slug: str, pk: int) -> HttpResponse:
    """One run: how it goes, what it started from, what it yielded, which round asked for it."""
    member, found = gated_run(request.user, slug, pk)
    return render(request, "training/run.html", {**place(member), **about(found), "lineage": _lineage(found)})


@door(Role.LEAD, "GET")
def models(request: Request, slug: str) -> HttpResponse:
    member = lead(request.user, slug)
    versions: list[Any] = list(
        ModelVersion.objects.filter(project=member.project)
        .select_related("parent", "run__snapshot")
        .defer("run__inputs")
    )
    stale = staleness.of_models(member.project)
    scores: dict[int, list[Score]] = defaultdict(list)
    kinds = (scoring.HELDOUT, scoring.MEASURES)
    for score in _scores().filter(evaluation__project=member.project, evaluation__kind__in=kinds, group=""):
        scores[score.evaluation.model_version_id].append(score)
    for version in versions:
        version.scores = scores[version.pk]
        version.stale = stale.get(version.pk, "")
    context = {
        **place(member),
        "versions": versions,
        "graph": graph.draw(versions),
        "predecessor": gate.predecessor(member.project),
    }
    return render(request, "training/models.html", context)


@door(Role.LEAD, "GET")
def model(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    production = ModelVersion.objects.filter(project=member.project).production().first()
    matches = head_to_head.of_project(member.project).filter(challenger=version)
    met = [head_to_head.standing(match) for match in matches]
    measured = scoring.newest(version)
    context = {
        **place(member),
        "version": version,
        "production": production,
        "gate": gate.verdict(version) if version.kind == ModelKind.POLICY and version != production else None,
        "predecessor": gate.predecessor(member.project) if version == production else None,
        "measured": measured,
        "matches": met,
        "meets": any(one.match.champion == production and one.match.ended_at is None for one in met),
        "head_to_head_form": HeadToHeadForm(),
        "opinions": second_opinion.of_model(version),
        "opinion_form": SecondOpinionForm(version=version),
        "instructions": second_opinion.instructions(member.project),
        "suites": suites.of_model(version),
        "suites_form": SuitesForm(),
        "tags": suggestions.standing(version),
        "leanings": leanings.of_model(version) if version.kind == ModelKind.POLICY else [],
        "ancestry": version.ancestry(),
        "run": version.run,
        "snapshot": version.run.snapshot if version.run else None,
        "people": registry.people_behind(version),
        "stale": staleness.of_model(version),
        "answers_count": registry.judged_answers(version),
        "scores": measured.scores.filter(group="").order_by("id") if measured else [],
        "groups": report.by_group(measured),
        "depending": registry.depending(version),
        "can_promote": version.kind == ModelKind.POLICY and version.stage != Stage.PRODUCTION,
    }
    return render(request, "training/model.html", context)


@door(Role.LEAD, "GET")
def model_card(request: Request, slug: str, pk: int) -> HttpResponse:
    """The card as a file of Markdown."""
    _, version = gated_model(request.user, slug, pk)
    return HttpResponse(cards.card(version, scoring.measured(version)), content_type="text/markdown; charset=utf-8")


@door(Role.LEAD, "GET")
def export_model(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """The model with its card as one file, in Hugging Face's layout."""
    _, version = gated_model(request.user, slug, pk)
    try:
        whole = cards.packed(version, scoring.measured(version))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    return FileResponse(whole, as_attachment=True, filename=f"{slug}-{version.pk}.zip")


@door(Role.LEAD, "POST")
def merge_model(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    try:
        started = registry.merge(version=version, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    messages.success(request, "The run that merges it is in the queue.")
    return redirect("run", slug, started.pk)


@door(Role.LEAD, "POST")
def delete_model(request: Request, slug: str, pk: int) -> HttpResponse:
    member, version = gated_model(request.user, slug, pk)
    try:
        registry.delete(version=version, actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("model", slug, pk)
    messages.success(request, f"{version} is deleted.")
    return redirect("models", slug)


def _round(member: Membership, current: Round) -> dict[str, Any]:
    selecting = current.steps.filter(name=Step.SELECTING).first()
    return {
        **place(member),
        "round": current,
        "steps": report.steps_of(current),
        "verdict": report.verdict_of(current),
        "verdict_words": report.verdict_words(current),
        "scores": report.scores_of(current),
        "new_items": selecting.detail.get("queued", 0) if selecting else 0,
        "next_label_url": reverse("work", args=[member.project.slug, Kind.COMPARISON]),
        "headline": SimpleLazyObject(lambda: headline.of(current)),
        "report": SimpleLazyObject(lambda: report.sentences(current)),  # the page tells it at the end
        "can_advance": current.status == RoundStatus.ACTIVE and current.step == Step.COLLECTING,
        "can_cancel": current.status == RoundStatus.ACTIVE,
        "can_retry": current.status in (RoundStatus.FAILED, RoundStatus.CANCELLED),
    }


def _scores() -> Any:
    return Score.objects.select_related("evaluation").order_by("-evaluation_id", "id")


def _lineage(run: Run) -> list[dict[str, str]]:
    """From where a run came and what became of it, each with the address of its page."""
    slug = run.project.slug
    line = []
    for number, snapshot in enumerate(run.snapshots):
        url = reverse("admin:training_snapshot_change", args=[snapshot.pk])
        line.append({"label": f"{'Mixed in' if number else 'Data'}: {snapshot}", "url": url})
    if run.base is not None:
        line.append({"label": f"Started from: {run.base}", "url": reverse("model", args=[slug, run.base.pk])})
    if run.teacher is not None:
        line.append({"label": f"Learns from: {run.teacher}", "url": reverse("model", args=[slug, run.teacher.pk])})
    line += [
        {"label": f"Asked about: {version}", "url": reverse("model", args=[slug, version.pk])}
        for version in second_opinion.asked_about(run)
    ]
    line += [
        {"label": f"Yielded: {version}", "url": reverse("model", args=[slug, version.pk])}
        for version in ModelVersion.objects.filter(run=run)
    ]
    for step_run in StepRun.objects.filter(run=run).select_related("step__round__project"):
        belongs = step_run.step.round
        line.append({"label": f"{belongs}: {step_run.purpose}", "url": belongs.get_absolute_url()})
    return line
