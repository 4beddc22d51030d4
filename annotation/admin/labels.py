"""What people said, and who did what."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from unfold.decorators import action, display

from annotation import access, labelling, ranking
from annotation.desk import BY_PROJECT, Desk, ReadOnlyInline, prose, sure
from annotation.models import Event, Judgement, Label
from annotation.models.people import Role
from annotation.requests import Request
from annotation.wording import in_words


class JudgementsInline(ReadOnlyInline):
    model = Judgement
    verbose_name_plural = "Answers, as they stood on the screen"
    fields = ("position", "rank", "unacceptable", "text")
    readonly_fields = ("text",)

    @display(description="Answer")
    def text(self, judgement: Judgement) -> str:
        return prose(judgement.response.text)


@admin.register(Label)
class LabelAdmin(Desk):
    """What people said is never changed; it can be withdrawn, and stays on record."""

    list_display = ("__str__", "item", "said", "who", "standing", "created_at")
    list_filter = (BY_PROJECT, "item__kind", "verdict", "simulated")
    list_select_related = ("project", "item", "person", "superseded_by")
    search_fields = ("person__username", "comment")
    inlines = (JudgementsInline,)
    actions_detail = ("withdraw",)
    fits = {"withdraw": lambda label: label.retracted_at is None and not hasattr(label, "superseded_by")}
    readonly_fields = ("said", "who", "standing", "kept", "better_in")
    fields = (
        ("project", "item"),
        ("person", "who"),
        "said",
        "kept",
        "strength",
        "better_in",
        "flags",
        "comment",
        "seconds",
        "standing",
        "supersedes",
        "client_uuid",
        "created_at",
    )

    def get_queryset(self, request: Request) -> QuerySet[Label]:
        return super().get_queryset(request).prefetch_related("judgements")

    @display(description="Said")
    def said(self, label: Label) -> str:
        return in_words(label)

    @display(description="Text kept")
    def kept(self, label: Label) -> str:
        return prose(label.response.text) if label.response else "–"

    @display(description="Criteria")
    def better_in(self, label: Label) -> str:
        places = {judged.response_id: judged.position for judged in label.judgements.all()}
        better = ranking.by_position(label.criteria, places).items()
        return (
            "; ".join(f"{name}: {'no difference' if at is None else f'answer {at + 1}'}" for name, at in better) or "–"
        )

    @display(description="By", label={"Person": "info", "Simulated": "warning"})
    def who(self, label: Label) -> str:
        return "Simulated" if label.simulated else "Person"

    @display(description="Standing", label={"Live": "success", "Revised since": "warning", "Withdrawn": "danger"})
    def standing(self, label: Label) -> str:
        if label.retracted_at:
            return "Withdrawn"
        return "Revised since" if hasattr(label, "superseded_by") else "Live"

    @action(
        description="Withdraw",
        permissions=["lead"],
        icon="undo",
        dialog=sure(
            "Withdraw this label?",
            "It stays on record, counts for nothing from now on, and its item is asked again.",
            "Withdraw it",
        ),
    )
    def withdraw(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        label = self.row(request, object_id)
        try:
            labelling.retract(label=label, actor=access.membership(request.user, label.project.slug, Role.LEAD))
        except ValidationError as error:
            return self.done(request, self.here(label), " ".join(error.messages), messages.ERROR)
        return self.done(request, self.here(label), "The label was withdrawn.")


@admin.register(Event)
class EventAdmin(Desk):
    list_display = ("created_at", "verb", "target", "who", "project")
    list_display_links = ("verb",)
    list_filter = (BY_PROJECT, "verb")
    list_select_related = ("actor", "project")
    search_fields = ("verb", "target", "actor__username")
    ordering = ("-id",)

    @display(description="Who", ordering="actor")
    def who(self, event: Event) -> str:
        return str(event.actor) if event.actor else "Touchstone itself"
