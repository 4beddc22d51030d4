"""The forms of the page on which data is cleaned. They validate and never write."""

from typing import Any

from django import forms

from annotation import tidying
from annotation.leaving_out import LONGEST_REASON
from annotation.models.cleaning import Check, Decision


class FindingsForm(forms.Form):
    """Which findings to show; without a word about the state the open ones."""

    kind = forms.ChoiceField(choices=[("", "All"), *Check.choices], required=False, label="What was found")
    state = forms.ChoiceField(choices=[("", "All"), *Decision.choices], required=False)
    text = forms.ChoiceField(
        choices=[("", "Both"), ("prompt", "Prompts"), ("answer", "Answers")], required=False, label="In"
    )
    language = forms.CharField(max_length=16, required=False)
    tag = forms.CharField(max_length=64, required=False)

    @classmethod
    def of(cls, query: Any) -> "FindingsForm":
        given = {name: query.get(name, "") for name in cls.base_fields}
        return cls({**given, "state": query.get("state", Decision.OPEN)})

    def wanted(self) -> dict[str, str]:
        """What the fields say that say something sensible; the open ones where that of the state makes no sense."""
        self.is_valid()
        return {"state": str(Decision.OPEN), **self.cleaned_data}


class DecisionForm(forms.Form):
    """What to do with which findings: those that are ticked, or all that fit what is shown."""

    verb = forms.ChoiceField(
        choices=[(name, name) for name in (*tidying.VERBS, "preview")],
        error_messages={"required": "Choose what to do.", "invalid_choice": "Choose what to do."},
    )
    finding = forms.TypedMultipleChoiceField(coerce=int, required=False)
    all = forms.BooleanField(required=False)
    because = forms.CharField(max_length=LONGEST_REASON, required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        sent = [one for one in data.getlist("finding") if one.isascii() and one.isdigit() and len(one) < 19]
        self.fields["finding"].choices = [(one, one) for one in sent[: tidying.MOST]]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not data.get("finding") and not data.get("all"):
            raise forms.ValidationError("Tick the findings first, or all that fit.")
        if data.get("verb") == "exclude" and not data.get("because", "").strip():
            raise forms.ValidationError("Say why they are excluded: whoever finds them gone wants to know.")
        return data
