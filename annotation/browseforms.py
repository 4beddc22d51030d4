"""The forms of Browse: they validate and never write."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any

from django import forms
from django.utils import timezone

from annotation import filters, ordering
from annotation.models import Project, SavedView
from annotation.models.items import Kind
from annotation.models.prompts import Origin, Split

PRIORITIES = {"": "Leave as it is", "10": "Ask first", "0": "Ask as usual", "-10": "Ask last"}
DATE = forms.DateInput(attrs={"type": "date"})
NOTHING = {"": "Any"}


def _choices(known: dict[str, str]) -> list[tuple[str, str]]:
    return list((NOTHING | known).items())


def _of_project(choices: Callable[[Project], list[tuple[str, str]]], project: Project) -> list[tuple[str, str]]:
    return _choices(dict(choices(project)))


class BrowseForm(forms.Form):
    """Which rows, narrowed by what, in what order; what is for leads alone is no field of others."""

    view = forms.CharField(required=False)  # what is none of them shows prompts
    q = forms.CharField(required=False, max_length=300, label="Words")
    kind = forms.ChoiceField(required=False, choices=_choices(dict(Kind.choices)), label="Kind")
    state = forms.ChoiceField(required=False, label="State")
    tag = forms.CharField(required=False, max_length=64, label="Tag")
    language = forms.CharField(required=False, max_length=16, label="Language")
    split = forms.ChoiceField(required=False, choices=_choices(dict(Split.choices)), label="Split")
    person = forms.CharField(
        required=False, max_length=150, label="Labelled by", widget=forms.TextInput(attrs={"list": "people-names"})
    )
    flag = forms.ChoiceField(required=False, label="Quality flag")
    standing = forms.ChoiceField(required=False, choices=_choices(filters.STANDINGS), label="Labels")
    agreement = forms.ChoiceField(required=False, choices=_choices(filters.AGREEMENTS), label="Agreement")
    origin = forms.ChoiceField(required=False, choices=_choices(dict(Origin.choices)), label="Origin of answers")
    since = forms.DateField(required=False, widget=DATE, label="Dated from")
    until = forms.DateField(required=False, widget=DATE, label="Dated until")
    metadata = forms.CharField(
        required=False, max_length=300, label="Metadata", widget=forms.TextInput(attrs={"placeholder": "key = value"})
    )
    order = forms.ChoiceField(required=False, label="Order")

    def __init__(self, data: Any = None, *, project: Project, lead: bool) -> None:
        super().__init__(data)
        states = filters.STATES | (filters.LEADS_STATES if lead else {})
        self.fields["state"].choices = _choices(states)  # type: ignore[attr-defined]
        self.fields["flag"].choices = _choices({one: one for one in project.flags})  # type: ignore[attr-defined]
        for one in filters.every():
            if one.leads and not lead:
                self.fields.pop(one.name, None)
            elif one.choices is not None:
                known = partial(_of_project, one.choices, project)  # asked for where it is needed
                self.fields[one.name] = forms.ChoiceField(required=False, choices=known, label=one.label)
        orders = {"": "Usual", **ordering.words(self.rows_of)}
        self.fields["order"].choices = list(orders.items())  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.error_messages["invalid_choice"] = "“%(value)s” is no choice here any more: choose anew."

    @property
    def rows_of(self) -> str:
        """Prompts, answers or labels."""
        asked = str(self.data.get("view", ""))
        return asked if asked in filters.VIEWS else filters.PROMPTS

    def clean_metadata(self) -> str:
        said = str(self.cleaned_data["metadata"]).strip()
        if (said and not filters.fact(said)[0]) or (said and "=" not in said):
            raise forms.ValidationError("Write it as key = value, for example: source = help desk.")
        return said

    def clean_since(self) -> datetime | None:
        return self._midnight(self.cleaned_data["since"], 0)

    def clean_until(self) -> datetime | None:
        return self._midnight(self.cleaned_data["until"], 1)

    def _midnight(self, day: Any, later: int) -> datetime | None:
        try:
            return timezone.make_aware(datetime.combine(day + timedelta(days=later), time.min)) if day else None
        except OverflowError:
            raise forms.ValidationError("That day is too far away.") from None

    @property
    def values(self) -> dict[str, Any]:
        """What to narrow by; only where the form is valid."""
        given = self.cleaned_data
        return {name: value for name, value in given.items() if value not in (None, "") and name not in APART}

    @property
    def narrowed(self) -> bool:
        return self.is_valid() and bool(self.values)


APART = ("view", "order")


class SaveViewForm(forms.ModelForm):
    class Meta:
        model = SavedView
        fields = ("name", "shared")
        labels = {"name": "Name", "shared": "Colleagues see it too"}


class BulkForm(forms.Form):
    """What to change of the rows that are chosen, or of all that are found."""

    add_tags = forms.CharField(required=False, max_length=1500, label="Put on tags")
    remove_tags = forms.CharField(required=False, max_length=1500, label="Take off tags")
    priority = forms.TypedChoiceField(
        required=False, choices=list(PRIORITIES.items()), coerce=float, empty_value=None, label="How soon to ask"
    )
    of = forms.ChoiceField(choices=[("selected", "The rows ticked here"), ("found", "Everything that is found")])
    sure = forms.BooleanField(required=False)

    def clean_add_tags(self) -> list[str]:
        return self._tags("add_tags")

    def clean_remove_tags(self) -> list[str]:
        return self._tags("remove_tags")

    def _tags(self, name: str) -> list[str]:
        return [one.strip() for one in str(self.cleaned_data[name]).split(",") if one.strip()]

    def change(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("add_tags", "remove_tags", "priority")}
