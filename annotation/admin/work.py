"""What is asked: prompts, answers, items, and who was given them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.html import format_html_join
from django.utils.text import Truncator
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from annotation import overlap, reviewing
from annotation.desk import BY_PROJECT, Desk, ReadOnlyInline, count_of, led_by, prose, sure
from annotation.models import Assignment, Item, ItemResponse, Prompt, Response
from annotation.models.items import Purpose, State
from annotation.models.prompts import Split
from annotation.requests import Request

STATES = {
    State.LEASED.label: "info",
    State.SUBMITTED.label: "success",
    State.SKIPPED.label: "warning",
    State.EXPIRED.label: "warning",
    State.RETRACTED.label: "danger",
}


@admin.register(Prompt)
class PromptAdmin(Desk):
    changeable = True
    formfield_overrides = {ArrayField: {"widget": UnfoldAdminTextInputWidget}}
    list_display = ("text", "project", "side", "language", "tags", "answers")
    list_filter = (BY_PROJECT, "split", "language")
    list_select_related = ("project",)
    search_fields = ("messages", "sha256")
    fields = ("project", "conversation", "side", "language", "tags", "metadata", "sha256", "created_at")
    readonly_fields = ("project", "conversation", "side", "metadata", "sha256", "created_at")

    def get_queryset(self, request: Request) -> QuerySet[Prompt]:
        return super().get_queryset(request).annotate(answers_count=count_of("responses"))

    @display(description="Prompt")
    def text(self, prompt: Prompt) -> str:
        return Truncator(prompt.last_turn).chars(90)

    @display(description="Side", label={Split.TRAIN.label: "info", Split.HELDOUT.label: "warning"}, ordering="split")
    def side(self, prompt: Prompt) -> str:
        return prompt.get_split_display()

    @display(description="Answers", ordering="answers_count")
    def answers(self, prompt: Any) -> int:
        return prompt.answers_count

    @display(description="Conversation")
    def conversation(self, prompt: Prompt) -> str:
        turns = ((turn.get("role", ""), prose(turn.get("content", ""))) for turn in prompt.messages)
        return format_html_join("", '<div style="margin-bottom: 1em"><b>{}</b>{}</div>', turns)


@admin.register(Response)
class ResponseAdmin(Desk):
    project_lookup = "prompt__project"
    list_display = ("excerpt", "prompt", "origin", "created_at")
    list_filter = ("origin",)
    list_select_related = ("prompt",)
    search_fields = ("text",)
    fields = ("prompt", "whole", "origin", "edited_from", "sha256", "created_at")
    readonly_fields = ("whole",)

    @display(description="Answer")
    def excerpt(self, response: Response) -> str:
        return Truncator(response.text).chars(90)

    @display(description="Answer")
    def whole(self, response: Response) -> str:
        return prose(response.text)


class AnswersInline(ReadOnlyInline):
    model = ItemResponse
    verbose_name_plural = "Answers"
    fields = ("order", "text")
    readonly_fields = ("text",)

    @display(description="Answer")
    def text(self, answer: ItemResponse) -> str:
        return prose(answer.response.text)


class AssignmentsInline(ReadOnlyInline):
    model = Assignment
    verbose_name_plural = "Who was asked"
    fields = ("person", "review", "state", "leased_at", "ended_at", "skip_reason")


class ItemForm(forms.ModelForm):
    class Meta:
        model = Item
        fields = ("priority", "wanted", "dropped")

    def clean_wanted(self) -> int:
        taken = Item.objects.values_list("taken", flat=True).get(pk=self.instance.pk)
        if self.cleaned_data["wanted"] < max(1, taken):
            raise ValidationError(f"{max(1, taken)} or more: so many labels are given or being written already.")
        return self.cleaned_data["wanted"]

    def clean_dropped(self) -> bool:
        if self.instance.set_aside and not self.cleaned_data["dropped"]:
            raise ValidationError(
                "Its prompt or one of its answers is excluded: bring that back, and it is asked again."
            )
        return self.cleaned_data["dropped"]


@admin.register(Item)
class ItemAdmin(Desk):
    """What is asked cannot change; how soon, how often and whether at all can."""

    changeable = True
    form = ItemForm
    list_display = ("__str__", "asked", "project", "purpose", "soon", "done", "standing")
    list_filter = (BY_PROJECT, "kind", "purpose", "dropped")
    list_select_related = ("project", "prompt")
    search_fields = ("prompt__messages",)
    readonly_fields = ("project", "prompt", "kind", "purpose", "taken", "selection", "created_at")
    fieldsets = (
        (None, {"fields": ("project", "prompt", "kind", "purpose")}),
        ("In the queue", {"fields": ("priority", "wanted", "taken", "dropped")}),
        ("How it was chosen", {"fields": ("selection", "created_at")}),
    )
    inlines = (AnswersInline, AssignmentsInline)
    actions_detail = ("send_to_review",)
    fits = {"send_to_review": lambda item: item.purpose != Purpose.GOLD and not item.dropped}

    @action(
        description="Send to review",
        permissions=["lead"],
        icon="gavel",
        dialog=sure(
            "Send this item to the reviewers?",
            "A reviewer sees what people said of it, without their names, and decides.",
            "Send it",
        ),
    )
    def send_to_review(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        item = self.row(request, object_id)
        try:
            reviewing.open_case(item=item, reason=reviewing.Reason.ASKED, actor=request.user)
        except ValidationError as error:
            return self.done(request, self.here(item), " ".join(error.messages), messages.ERROR)
        return self.done(request, self.here(item), "The item is with the reviewers.")

    actions = ("ask_one", "ask_two", "ask_three", "ask_five")

    @action(description="Ask 1 person", permissions=["lead"])
    def ask_one(self, request: Request, items: QuerySet[Item]) -> None:
        self._ask(request, items, 1)

    @action(description="Ask 2 people", permissions=["lead"])
    def ask_two(self, request: Request, items: QuerySet[Item]) -> None:
        self._ask(request, items, 2)

    @action(description="Ask 3 people", permissions=["lead"])
    def ask_three(self, request: Request, items: QuerySet[Item]) -> None:
        self._ask(request, items, 3)

    @action(description="Ask 5 people", permissions=["lead"])
    def ask_five(self, request: Request, items: QuerySet[Item]) -> None:
        self._ask(request, items, 5)

    def _ask(self, request: Request, items: QuerySet[Item], people: int) -> None:
        """The chosen items, of one project or of several; who has judged one already keeps their place."""
        changed = 0
        for project in led_by(request).filter(pk__in=items.values("project")):
            changed += overlap.ask_people(project=project, items=items, people=people, actor=request.user)
        messages.success(request, f"{changed} items changed. Those that more than {people} have already keep them.")

    @display(description="Prompt")
    def asked(self, item: Item) -> str:
        return Truncator(str(item.prompt)).chars(70)

    @display(description="Priority", ordering="priority")
    def soon(self, item: Item) -> str:
        return f"{item.priority:.2f}"

    @display(
        description="State", label={"Open": "info", "Full": "success", "Dropped": "warning", "Set aside": "warning"}
    )
    def standing(self, item: Item) -> str:
        if item.dropped:
            return "Set aside" if item.set_aside else "Dropped"
        return "Open" if item.taken < item.wanted else "Full"

    @display(description="Taken")
    def done(self, item: Item) -> str:
        return f"{item.taken} of {item.wanted}"


@admin.register(Assignment)
class AssignmentAdmin(Desk):
    project_lookup = "item__project"
    list_display = ("item", "person", "how", "leased_at", "lease_until", "ended_at")
    list_filter = (("item__project", admin.RelatedOnlyFieldListFilter), "state")
    list_select_related = ("item", "person")
    search_fields = ("person__username",)
    exclude = ("draft",)

    @display(description="State", label=STATES, ordering="state")
    def how(self, assignment: Assignment) -> str:
        return assignment.get_state_display()
