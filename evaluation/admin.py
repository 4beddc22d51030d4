"""The admin of room 3: rounds, which a lead starts and steers here, and what models were found to be worth."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import action, display

from annotation.desk import BY_PROJECT, Desk, ReadOnlyInline, dress, link, sure
from annotation.requests import Request
from evaluation import report, rounds
from evaluation.forms import ADVANCED, BASIC, StartRoundForm
from evaluation.models import Evaluation, Round, RoundStatus, RoundStep, Score, StepStatus
from training.admin import duration, links

STATUSES = {
    RoundStatus.ACTIVE.label: "warning",
    RoundStatus.FAILED.label: "danger",
    RoundStatus.DONE.label: "success",
}


class StepsInline(ReadOnlyInline):
    model = RoundStep
    verbose_name_plural = "Steps"
    fields = ("title", "how", "took", "said", "runs")
    readonly_fields = fields

    def get_queryset(self, request: Request) -> QuerySet[RoundStep]:
        return super().get_queryset(request).select_related("round").prefetch_related("step_runs__run__project")

    @display(description="Step")
    def title(self, step: RoundStep) -> str:
        return step.get_name_display()

    @display(
        description="State",
        label={
            StepStatus.RUNNING.label: "warning",
            StepStatus.DONE.label: "success",
            StepStatus.FAILED.label: "danger",
        },
    )
    def how(self, step: RoundStep) -> str:
        stopped = step.status == StepStatus.RUNNING and step.round.status == RoundStatus.CANCELLED
        return "Stopped" if stopped else step.get_status_display()

    @display(description="Took")
    def took(self, step: RoundStep) -> str:
        return duration((step.finished_at - step.started_at).total_seconds() if step.finished_at else None)

    @display(description="What came of it")
    def said(self, step: RoundStep) -> str:
        runs = [step_run.run for step_run in step.step_runs.all()]
        return format_html_join("", "<div>{}: {}</div>", report.words(step.name, step.detail, runs))

    @display(description="Runs")
    def runs(self, step: RoundStep) -> str:
        every = step.step_runs.all()
        return links((reverse("run", args=[one.run.project.slug, one.run.pk]), one.purpose) for one in every)


@admin.register(Round)
class RoundAdmin(Desk):
    addable = True
    list_display = ("__str__", "project", "step", "how", "challenger", "started_by", "created_at", "page")
    list_display_links = ("__str__",)
    list_filter = (BY_PROJECT, "status")
    list_select_related = ("project", "challenger", "started_by")
    actions_list = ("begin",)
    actions_detail = ("live", "advance", "cancel", "retry")
    fits = {
        "advance": lambda current: current.status == RoundStatus.ACTIVE,
        "cancel": lambda current: current.status == RoundStatus.ACTIVE,
        "retry": lambda current: current.status in (RoundStatus.FAILED, RoundStatus.CANCELLED),
    }
    inlines = (StepsInline,)
    readonly_fields = ("how", "told", "data")
    fieldsets = (
        (None, {"fields": ("project", "number", "how", "step", "error", "told")}),
        ("Models", {"fields": ("champion", "challenger", "reward_model", "data")}),
        (
            "How it was started",
            {"classes": ("collapse",), "fields": ("settings", "started_by", "created_at", "finished_at")},
        ),
    )

    def add_view(self, request: Request, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Start a round: the same form and the same verb as on the leads' page."""
        asked = request.method == "POST"
        form = StartRoundForm(request.POST if asked else None, user=request.user)
        dress(form)
        if asked and self.has_add_permission(request) and form.is_valid():
            try:
                started = rounds.start(
                    project=form.cleaned_data["project"], settings=form.settings(), actor=request.user
                )
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, f"{started} has begun.")
                return redirect(self.here(started))
        advanced = [setting.field for setting in ADVANCED]
        folded = [] if asked else ["collapse"]  # an error must not hide in there
        fieldsets = (
            (None, {"fields": ["project", *(setting.field for setting in BASIC)]}),
            (
                "More choices",
                {"classes": folded, "fields": [*advanced[:2], "skip_sft", *advanced[2:]]},
            ),
        )
        return self.form_page(request, form, fieldsets, "Start a round")

    @display(description="Status", label=STATUSES, ordering="status")
    def how(self, current: Round) -> str:
        return current.get_status_display()

    @display(description="Report")
    def told(self, current: Round) -> str:
        return format_html_join("", "<div>{}</div>", ((line,) for line in report.sentences(current))) or "–"

    @display(description="Data")
    def data(self, current: Round) -> str:
        return links((reverse("admin:training_snapshot_change", args=[one.pk]), one) for one in current.snapshots.all())

    @display(description="Page")
    def page(self, current: Round) -> str:
        return link(current.get_absolute_url(), "Watch")

    @action(description="Start a round", permissions=["lead"], icon="play_arrow")
    def begin(self, request: Request) -> HttpResponse:
        return redirect("admin:evaluation_round_add")

    @action(description="Watch it live", permissions=["lead"], icon="monitoring")
    def live(self, request: Request, object_id: str) -> HttpResponse:
        return self.done(request, self.row(request, object_id).get_absolute_url())

    @action(
        description="Advance",
        permissions=["lead"],
        icon="skip_next",
        dialog=sure(
            "Go on now?",
            "If the round waits for labels, it goes on with those that are there.",
            "Go on",
        ),
    )
    def advance(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        current = self.row(request, object_id)
        after = rounds.advance(round_id=current.pk, force=True, actor=request.user)
        moved, said = report.of_advance(current.step, after)
        level = messages.SUCCESS if moved else messages.WARNING
        return self.done(request, self.here(current), said, level)

    @action(
        description="Stop",
        permissions=["lead"],
        icon="stop_circle",
        dialog=sure("Stop this round?", "Its runs are stopped too. Retry goes on from here.", "Stop it"),
    )
    def cancel(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        current = self.row(request, object_id)
        if rounds.cancel(round=current, actor=request.user):
            return self.done(request, self.here(current), "The round was cancelled.")
        return self.done(request, self.here(current), "The round had ended already.", messages.WARNING)

    @action(
        description="Retry",
        permissions=["lead"],
        icon="refresh",
        dialog=sure("Retry this round?", "It goes on from where it stopped; what is done stays done.", "Retry it"),
    )
    def retry(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        current = self.row(request, object_id)
        try:
            again = rounds.retry(round=current, actor=request.user)
        except ValidationError as error:
            return self.done(request, self.here(current), " ".join(error.messages), messages.ERROR)
        if again:
            return self.done(request, self.here(current), "The round goes on from where it stopped.")
        said = "Only a round that failed or was cancelled can be retried."
        return self.done(request, self.here(current), said, messages.WARNING)


class ScoresInline(ReadOnlyInline):
    model = Score
    fields = ("name", "group", "value", "lower", "upper", "n")


@admin.register(Evaluation)
class EvaluationAdmin(Desk):
    list_display = ("__str__", "project", "model_version", "found", "created_at")
    list_filter = (BY_PROJECT, "kind")
    list_select_related = ("project", "model_version")
    fields = ("project", "model_version", "kind", "run", "details", "created_at")
    inlines = (ScoresInline,)

    def get_queryset(self, request: Request) -> QuerySet[Evaluation]:
        return super().get_queryset(request).prefetch_related("scores")

    @display(description="Found")
    def found(self, evaluation: Any) -> str:
        return ", ".join(str(score) for score in evaluation.scores.all() if not score.group) or "–"
