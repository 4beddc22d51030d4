"""Projects and the rules their items follow."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from annotation.admin.people import PeopleOfProject, welcome
from annotation.desk import Desk, count_of, link
from annotation.models import Item, Membership, Project
from annotation.models.people import Role
from annotation.requests import Request


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(data) != (initial or [])


class ProjectForm(forms.ModelForm):
    strength_levels = LinesField(
        help_text="How much better an answer can be, one degree on each line, the weakest first. "
        "Labels remember the number of the line: do not change the order once people have labelled."
    )
    criteria = LinesField(required=False, help_text="One on each line, for example helpful.")
    flags = LinesField(
        required=False, help_text="What may be wrong with an answer, one on each line; people tick them with the label."
    )

    class Meta:
        model = Project
        fields = "__all__"  # noqa: DJ007  # the admin page lists them

    def clean_strength_levels(self) -> list[str]:
        levels = self.cleaned_data["strength_levels"]
        if not 1 <= len(levels) <= 20:
            raise ValidationError("Name one to twenty degrees, one on each line.")
        return levels

    def clean_flags(self) -> list[str]:
        flags = list(dict.fromkeys(self.cleaned_data["flags"]))
        if len(flags) > 20 or any(len(flag) > 64 for flag in flags):
            raise ValidationError("Name up to twenty flags, each of 64 letters at most.")
        return flags


@admin.register(Project)
class ProjectAdmin(Desk):
    """Whoever makes a project leads it. Its address stays, since files are kept under it."""

    project_lookup = "pk"
    addable = changeable = True
    form = ProjectForm
    list_display = ("name", "slug", "people", "prompts", "waiting", "standing", "page")
    list_filter = ("archived",)
    search_fields = ("name", "slug", "description")
    inlines = (PeopleOfProject,)
    actions_detail = ("open_page",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "licence")}),
        (
            "How labels are collected",
            {
                "description": "These hold for new items, and doubt for judged ones; the queue stays as it was asked.",
                "fields": (
                    "labels_per_item",
                    "most_labels_per_item",
                    "lease_minutes",
                    "skip_policy",
                    "ties_allowed",
                ),
            },
        ),
        ("What a comparison says", {"fields": ("strength_levels", "criteria")}),
        ("What may be wrong with an answer", {"fields": ("flags",)}),
        (
            "Keeping models honest",
            {
                "description": "Held-out prompts measure models and are never trained on. A prompt keeps its side "
                "for ever: a new share holds for prompts that come later.",
                "fields": ("heldout_share", "gold_share"),
            },
        ),
        ("Putting it away", {"fields": ("archived",)}),
    )

    def get_queryset(self, request: Request) -> QuerySet[Project]:
        return super().get_queryset(request).annotate(people_count=count_of("memberships"))

    def get_prepopulated_fields(self, request: Request, obj: Any = None) -> dict[str, Any]:
        return {} if obj else {"slug": ["name"]}

    def get_readonly_fields(self, request: Request, obj: Any = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def save_related(self, request: Request, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            Membership.objects.update_or_create(
                person=request.user, project=form.instance, defaults={"role": Role.LEAD}
            )
            self.record("project created", request, form.instance)

    def save_formset(self, request: Request, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        welcome(request, formset)

    @display(description="People", ordering="people_count")
    def people(self, project: Any) -> int:
        return project.people_count

    @display(description="Prompts")
    def prompts(self, project: Project) -> int:
        return project.prompts.count()

    @display(description="Open items")
    def waiting(self, project: Project) -> int:
        return Item.objects.open().work().filter(project=project).count()

    @display(description="State", label={"Active": "success", "Archived": None}, ordering="archived")
    def standing(self, project: Project) -> str:
        return "Archived" if project.archived else "Active"

    @display(description="Page")
    def page(self, project: Project) -> str:
        return link(project.get_absolute_url(), "Open")

    @action(description="Open the project", permissions=["lead"], icon="open_in_new")
    def open_page(self, request: Request, object_id: str) -> HttpResponse:
        return self.done(request, self.row(request, object_id).get_absolute_url())
