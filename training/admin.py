"""The admin of room 2: data that was frozen, runs, and the models they yielded."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display

from annotation.desk import BY_PROJECT, Ask, AskOfLead, Desk, ReadOnlyInline, count_of, link, prose, sure
from annotation.requests import Request
from training import queueing, registry, runs, snapshots
from training.causes import CAUSES
from training.forms import FreezeForm, ImportModelForm, PriorityForm, ProjectForm
from training.models import Generation, ModelVersion, Run, Snapshot
from training.models.registry import ModelKind, Stage
from training.models.runs import Status

STATUSES = {
    Status.QUEUED.label: "info",
    Status.RUNNING.label: "warning",
    Status.SUCCEEDED.label: "success",
    Status.FAILED.label: "danger",
    "Stopping": "warning",
}


class FreezeDialog(AskOfLead, FreezeForm):
    pass


class ImportModelDialog(AskOfLead, ImportModelForm):
    pass


class ProjectDialog(AskOfLead, ProjectForm):
    pass


class PriorityDialog(Ask, PriorityForm):
    pass


@admin.register(Snapshot)
class SnapshotAdmin(Desk):
    list_display = ("__str__", "project", "rows", "labels_behind", "created_by", "created_at")
    list_filter = (BY_PROJECT, "kind")
    list_select_related = ("project", "created_by")
    search_fields = ("sha256",)
    actions_list = ("freeze",)
    actions_detail = ("check_file",)
    fields = (
        *("project", "kind", "counts", "rule", "other_rules", "source", "sha256", "folder"),
        *("used_by", "created_by", "created_at"),
    )
    readonly_fields = ("used_by",)

    @display(description="Rows")
    def rows(self, snapshot: Snapshot) -> int:
        return snapshot.counts.get("rows", 0)

    @display(description="Labels")
    def labels_behind(self, snapshot: Snapshot) -> int:
        return snapshot.counts.get("labels", 0)

    @display(description="Runs from it")
    def used_by(self, snapshot: Snapshot) -> str:
        return links((reverse("run", args=[run.project.slug, run.pk]), run) for run in related(snapshot.runs))

    @action(
        description="Freeze labels now",
        permissions=["lead"],
        icon="ac_unit",
        dialog=sure(
            "Freeze labels into a snapshot",
            "Gold items, held-out prompts and withdrawn labels stay out. The same labels give the same snapshot.",
            "Freeze",
            FreezeDialog,
        ),
    )
    def freeze(self, request: Request, form: Any) -> HttpResponse:
        chosen = form.cleaned_data
        rule = snapshots.Rule(simulated=chosen["simulated"])
        try:
            snapshot = snapshots.freeze(project=chosen["project"], kind=chosen["kind"], rule=rule, actor=request.user)
        except snapshots.NoRows as error:
            return self.done(request, self.here(), str(error), messages.WARNING)
        return self.done(request, self.here(snapshot), f"Frozen: {snapshots.in_words(snapshot, rule)}")

    @action(description="Check the file", permissions=["lead"], icon="verified")
    def check_file(self, request: Request, object_id: str) -> HttpResponse:
        snapshot = self.row(request, object_id)
        if snapshots.is_intact(snapshot):
            return self.done(request, self.here(snapshot), "The file holds what was frozen, byte for byte.")
        return self.done(request, self.here(snapshot), "The file is gone or has changed.", messages.ERROR)


@admin.register(Run)
class RunAdmin(Desk):
    list_display = ("__str__", "what", "project", "how", "progress", "took", "created_at", "page")
    list_filter = (BY_PROJECT, "status", "method")
    list_select_related = ("project", "created_by")
    actions_list = ("start",)
    actions_detail = ("live", "first", "prioritise", "cancel", "retry")
    fits = {
        "first": lambda run: run.status == Status.QUEUED,
        "prioritise": lambda run: run.status == Status.QUEUED,
        "cancel": lambda run: run.is_open and not run.cancel_requested,
        "retry": lambda run: run.status in (Status.FAILED, Status.CANCELLED),
    }
    readonly_fields = ("what", "how", "progress", "took", "trouble", "yielded", "log")
    fieldsets = (
        (None, {"fields": ("project", "what", "how", "progress", "took", "trouble")}),
        ("From and to", {"fields": ("snapshot", "base", "yielded")}),
        ("Settings", {"fields": ("settings", "eased", "seed")}),
        ("Results", {"fields": ("rows", "metrics")}),
        ("The end of its log", {"fields": ("log",)}),
        (
            "Where and when",
            {
                "classes": ("collapse",),
                "fields": (
                    ("attempt", "max_attempts"),
                    ("limit_minutes", "priority"),
                    ("devices", "spread"),
                    ("continues", "repeats"),
                    ("worker", "pid"),
                    "heartbeat_at",
                    "environment",
                    "created_by",
                    ("created_at", "started_at", "finished_at"),
                ),
            },
        ),
    )

    @display(description="What it does", ordering="method")
    def what(self, run: Run) -> str:
        return run.title

    @display(description="Status", label=STATUSES, ordering="status")
    def how(self, run: Run) -> str:
        return "Stopping" if run.cancel_requested and run.is_open else run.get_status_display()

    @display(description="Progress")
    def progress(self, run: Run) -> str:
        return f"{run.percent} % ({run.step} of {run.total})" if run.total else "–"

    @display(description="Took")
    def took(self, run: Run) -> str:
        return duration(run.seconds)

    @display(description="What went wrong")
    def trouble(self, run: Run) -> str:
        return " ".join(filter(None, (CAUSES[run.reason].title + ".", run.error, run.advice))) if run.reason else "–"

    @display(description="Yielded")
    def yielded(self, run: Run) -> str:
        versions = ModelVersion.objects.filter(run=run).select_related("project")
        return links((reverse("model", args=[one.project.slug, one.pk]), one) for one in versions)

    @display(description="Log")
    def log(self, run: Run) -> str:
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px">{}</pre>',
            run.log_tail() or "–",
        )

    @display(description="Page")
    def page(self, run: Run) -> str:
        return link(reverse("run", args=[run.project.slug, run.pk]), "Watch")

    @action(
        description="Start a run",
        permissions=["lead"],
        icon="play_arrow",
        dialog=sure("Start a run", "Its method and its settings are chosen next.", "Go on", ProjectDialog),
    )
    def start(self, request: Request, form: Any) -> HttpResponse:
        return self.done(request, reverse("start_run", args=[form.cleaned_data["project"].slug]))

    @action(description="Watch it live", permissions=["lead"], icon="monitoring")
    def live(self, request: Request, object_id: str) -> HttpResponse:
        run = self.row(request, object_id)
        return self.done(request, reverse("run", args=[run.project.slug, run.pk]))

    @action(
        description="To the front",
        permissions=["lead"],
        icon="vertical_align_top",
        dialog=sure(
            "Take this run next?", "The project's other queued runs follow it, in their order.", "To the front"
        ),
    )
    def first(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        run = self.row(request, object_id)
        if queueing.move(run=run, way="first", actor=request.user):
            return self.done(request, self.here(run), "It is the project's next run.")
        return self.done(request, self.here(run), "It waits no more, or is first already.", messages.WARNING)

    @action(
        description="Priority",
        permissions=["lead"],
        icon="low_priority",
        dialog=sure(
            "Its priority",
            "Among all projects' runs, higher ones are taken first; 0 is usual. Only superusers decide it.",
            "Set it",
            PriorityDialog,
        ),
    )
    def prioritise(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        run = self.row(request, object_id)
        try:
            queueing.prioritise(run=run, priority=form.cleaned_data["priority"], actor=request.user)
        except ValidationError as error:
            return self.done(request, self.here(run), " ".join(error.messages), messages.ERROR)
        return self.done(request, self.here(run), "The priority is set.")

    @action(
        description="Stop",
        permissions=["lead"],
        icon="stop_circle",
        dialog=sure("Stop this run?", "It saves where it is; retry goes on from there.", "Stop it"),
    )
    def cancel(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        run = self.row(request, object_id)
        if runs.cancel(run=run, actor=request.user):
            return self.done(request, self.here(run), "The run is being stopped.")
        return self.done(request, self.here(run), "The run had ended already.", messages.WARNING)

    @action(
        description="Retry",
        permissions=["lead"],
        icon="refresh",
        dialog=sure("Retry this run?", "It goes on from its last checkpoint, if it has one.", "Retry it"),
    )
    def retry(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        run = self.row(request, object_id)
        try:
            again = runs.retry(run=run, actor=request.user)
        except ValidationError as error:
            return self.done(request, self.here(run), " ".join(error.messages), messages.ERROR)
        if again:
            return self.done(request, self.here(run), "The run is in the queue again.")
        said = "Only a run that failed or was cancelled can be retried."
        return self.done(request, self.here(run), said, messages.WARNING)


@admin.register(ModelVersion)
class ModelVersionAdmin(Desk):
    list_display = ("name", "project", "what", "standing", "format", "parent", "run", "created_at", "page")
    list_filter = (BY_PROJECT, "kind", "stage")
    list_select_related = ("project", "parent", "run")
    search_fields = ("name", "sha256")
    actions_list = ("import_model",)
    actions_detail = ("live", "remove")
    readonly_fields = ("standing", "ancestry", "people", "judged")
    fieldsets = (
        (None, {"fields": ("project", "name", "kind", "standing")}),
        ("Where it comes from", {"fields": ("run", "ancestry", "people", "judged")}),
        ("What it is", {"fields": ("format", "location", "sha256", "card", "created_at")}),
    )

    @display(
        description="Kind",
        label={
            ModelKind.POLICY.label: "info",
            ModelKind.REWARD.label: "warning",
            ModelKind.CLASSIFIER.label: "success",
        },
        ordering="kind",
    )
    def what(self, version: ModelVersion) -> str:
        return version.get_kind_display()

    @display(
        description="Stage",
        label={Stage.CANDIDATE.label: "info", Stage.PRODUCTION.label: "success"},
        ordering="stage",
    )
    def standing(self, version: ModelVersion) -> str:
        return version.get_stage_display()

    @display(description="Grown from")
    def ancestry(self, version: ModelVersion) -> str:
        return links((self.here(one), one) for one in version.ancestry()[1:])

    @display(description="People behind it")
    def people(self, version: ModelVersion) -> str:
        return ", ".join(f"{name} ({labels} labels)" for name, labels in registry.people_behind(version)) or "–"

    @display(description="Answers judged")
    def judged(self, version: ModelVersion) -> int:
        return registry.judged_answers(version)

    @display(description="Page")
    def page(self, version: ModelVersion) -> str:
        return link(reverse("model", args=[version.project.slug, version.pk]), "Open")

    @action(description="Measure, compare or promote it", permissions=["lead"], icon="open_in_new")
    def live(self, request: Request, object_id: str) -> HttpResponse:
        version = self.row(request, object_id)
        return self.done(request, reverse("model", args=[version.project.slug, version.pk]))

    @action(
        description="Delete",
        permissions=["lead"],
        icon="delete",
        dialog=sure("Delete this model?", "Its files go for good. It stays if anything depends on it.", "Delete it"),
    )
    def remove(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        version = self.row(request, object_id)
        try:
            registry.delete(version=version, actor=request.user)
        except ValidationError as error:
            return self.done(request, self.here(version), " ".join(error.messages), messages.ERROR)
        return self.done(request, self.here(), f"{version} is deleted.")

    @action(
        description="Import a base model",
        permissions=["lead"],
        icon="download",
        dialog=sure(
            "Import a base model",
            "A run brings it into one layout. A project's first model becomes its production model.",
            "Import",
            ImportModelDialog,
        ),
    )
    def import_model(self, request: Request, form: Any) -> HttpResponse:
        chosen = form.cleaned_data
        try:
            run = registry.import_model(
                project=chosen["project"],
                name=chosen["name"],
                source=chosen["source"],
                licence=chosen["licence"],
                kind=chosen["kind"] or ModelKind.POLICY,
                actor=request.user,
            )
        except ValidationError as error:
            return self.done(request, self.here(), " ".join(error.messages), messages.ERROR)
        return self.done(request, reverse("admin:training_run_change", args=[run.pk]), "The model is being imported.")


class ExamplesInline(ReadOnlyInline):
    model = Generation.responses.through
    verbose_name_plural = "Answers"
    fields = ("prompt", "text", "tokens", "finished")
    readonly_fields = ("prompt", "text")
    per_page = 20

    def get_queryset(self, request: Request) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("response__prompt").order_by("response__prompt_id", "index")

    @display(description="Prompt")
    def prompt(self, sample: Any) -> str:
        return str(sample.response.prompt)

    @display(description="Answer")
    def text(self, sample: Any) -> str:
        return prose(sample.response.text)


@admin.register(Generation)
class GenerationAdmin(Desk):
    list_display = ("__str__", "project", "model_version", "answers", "created_at")
    list_filter = (BY_PROJECT,)
    list_select_related = ("project", "model_version")
    fields = ("project", "model_version", "run", "settings", "seed", "created_at")
    inlines = (ExamplesInline,)

    def get_queryset(self, request: Request) -> QuerySet[Generation]:
        return super().get_queryset(request).annotate(answers_count=count_of("samples"))

    @display(description="Answers", ordering="answers_count")
    def answers(self, generation: Any) -> int:
        return generation.answers_count


def related(rows: Any) -> QuerySet[Any]:
    return rows.select_related("project").order_by("id")


def links(pairs: Any) -> str:
    """Links side by side, or a dash."""
    return format_html_join(", ", "{}", ((link(url, text),) for url, text in pairs)) or "–"


def duration(seconds: float | None) -> str:
    """
    >>> duration(None), duration(42.4), duration(150), duration(7300)
    ('–', '42 s', '2 min 30 s', '2 h 1 min')
    """
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
