"""Forms: they validate and never write."""

from typing import Any

from django import forms

from annotation.labelling import Said
from annotation.models import Assignment
from annotation.models.items import Kind


class LabelForm(forms.Form):
    """What both labelling pages send along."""

    client_uuid = forms.UUIDField()
    seconds = forms.FloatField(required=False, min_value=0, max_value=1e6)
    comment = forms.CharField(required=False, max_length=4000)

    def common(self) -> dict[str, Any]:
        return {key: self.cleaned_data[key] for key in ("client_uuid", "seconds", "comment")}

    def said(self) -> Said:
        raise NotImplementedError  # each page's form below says it in its own terms


class DemonstrationForm(LabelForm):
    verdict = forms.ChoiceField(
        choices=[("accept", "Accept"), ("edit", "Edit"), ("reject", "Reject")],
        error_messages={"required": "Choose accept, edit or reject."},
    )
    text = forms.CharField(required=False, max_length=200_000, strip=False)

    def said(self) -> Said:
        verdict = self.cleaned_data["verdict"]
        text = self.cleaned_data["text"].replace("\r\n", "\n") if verdict == "edit" else ""
        return Said(**self.common(), verdict=verdict, text=text)


class ComparisonForm(LabelForm):
    """Two answers: which is better and by how much. `unacceptable` means that both are."""

    choice = forms.ChoiceField(
        choices=[(name, name) for name in ("left", "right", "tie", "unacceptable")],
        error_messages={"required": "Choose the left or the right answer, a tie, or both unacceptable."},
    )
    strength = forms.IntegerField(required=False, min_value=1, max_value=20)

    def said(self) -> Said:
        choice = self.cleaned_data["choice"]
        ranks = {"left": (1, 2), "right": (2, 1)}.get(choice, (1, 1))
        bad = choice == "unacceptable"
        strength = self.cleaned_data["strength"] if choice in ("left", "right") else None
        return Said(**self.common(), ranks=ranks, unacceptable=(bad, bad), strength=strength)


def label_form(assignment: Assignment, data: Any = None) -> LabelForm:
    form = DemonstrationForm if assignment.item.kind == Kind.DEMONSTRATION else ComparisonForm
    return form(data)


class ImportForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="JSON Lines: one JSON object on each line.",
        error_messages={"required": "Choose a file to import.", "empty": "The file is empty."},
    )


class GuidelinesForm(forms.Form):
    guidelines = forms.CharField(
        required=False, max_length=200_000, strip=False, widget=forms.Textarea(attrs={"rows": 28})
    )
    note = forms.CharField(
        required=False,
        max_length=300,
        label="What changed",
        help_text="One sentence for those who have read the last version.",
    )
    asks_again = forms.BooleanField(
        required=False, initial=True, label="Ask everybody to read it again before they go on"
    )
