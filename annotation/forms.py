"""Forms: they validate and never write."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from annotation import consensus, history, ranking
from annotation.labelling import Said
from annotation.models import Assignment
from annotation.models.items import Kind
from annotation.talk import THEN

TURN = re.compile(r"turn_(\d{1,4})", re.A)
LONGEST = 200_000  # characters of an answer, or of a turn


def turns_in(data: Mapping[str, Any]) -> dict[int, str]:
    """The earlier turns that a page sends along: `turn_3` is the fourth of the conversation."""
    found = ((TURN.fullmatch(name), text) for name, text in data.items())
    return {int(name[1]): str(text).replace("\r\n", "\n") for name, text in found if name}


class LabelForm(forms.Form):
    """What both labelling pages send along."""

    client_uuid = forms.UUIDField()
    seconds = forms.FloatField(required=False, min_value=0, max_value=1e6)
    comment = forms.CharField(required=False, max_length=4000)
    flags = forms.Field(required=False, widget=forms.MultipleHiddenInput)

    def common(self) -> dict[str, Any]:
        kept = {key: self.cleaned_data[key] for key in ("client_uuid", "seconds", "comment")}
        return {**kept, "flags": self.cleaned_data["flags"] or ()}

    def said(self) -> Said:
        raise NotImplementedError  # each page's form below says it in its own terms


class DemonstrationForm(LabelForm):
    verdict = forms.ChoiceField(
        choices=[("accept", "Accept"), ("edit", "Edit"), ("reject", "Reject")],
        error_messages={"required": "Choose accept, edit or reject."},
    )
    text = forms.CharField(required=False, max_length=LONGEST, strip=False)

    def clean(self) -> dict[str, Any]:
        if any(len(text) > LONGEST for text in turns_in(self.data).values()):
            raise forms.ValidationError(f"An earlier turn is longer than {LONGEST:,} characters.")
        return self.cleaned_data

    def said(self) -> Said:
        verdict = self.cleaned_data["verdict"]
        if verdict != "edit":
            return Said(**self.common(), verdict=verdict)
        text = self.cleaned_data["text"].replace("\r\n", "\n")
        return Said(**self.common(), verdict=verdict, text=text, turns=turns_in(self.data))


class ComparisonForm(LabelForm):
    """What can be said of several answers besides which is better. Answers go by their place as shown, from 0."""

    strength = forms.IntegerField(required=False, min_value=1, max_value=20)
    text = forms.CharField(required=False, max_length=200_000, strip=False)
    text_of = forms.IntegerField(required=False)

    def __init__(self, data: Any = None, *, answers: int, criteria: Sequence[str]) -> None:
        super().__init__(data)
        self.answers, self.criteria = answers, criteria
        places = [(str(place), str(place)) for place in range(answers)]
        for place in range(answers):
            self.fields[f"unacceptable_{place}"] = forms.BooleanField(required=False)
        for name in criteria:
            self.fields[f"criterion_{name}"] = forms.ChoiceField(
                required=False, choices=[("equal", "No difference"), *places]
            )

    def ranks(self) -> list[int]:
        raise NotImplementedError

    def unacceptable(self) -> list[bool]:
        return [self.cleaned_data[f"unacceptable_{place}"] for place in range(self.answers)]

    def clean(self) -> None:
        edited, place = self.cleaned_data.get("text_of"), ranking.best(self.ranks())
        if self.cleaned_data.get("text", "").strip() and None not in (edited, place) and edited != place:
            self.add_error(None, "You edited an answer that is not the best one now: rank it best, or drop the edit.")

    def said(self) -> Said:
        better = {name: self.cleaned_data[f"criterion_{name}"] for name in self.criteria}
        return Said(
            **self.common(),
            ranks=self.ranks(),
            unacceptable=self.unacceptable(),
            strength=self.cleaned_data["strength"] if ranking.best(self.ranks()) is not None else None,
            criteria={name: None if place == "equal" else int(place) for name, place in better.items() if place},
            text=self.cleaned_data["text"].replace("\r\n", "\n"),
        )


class PairForm(ComparisonForm):
    """Which of two answers is better. The choice `unacceptable` means that both are, and neither is better."""

    choice = forms.ChoiceField(
        choices=[(name, name) for name in ("left", "right", "tie", "unacceptable")],
        error_messages={"required": "Choose the left or the right answer, a tie, or both unacceptable."},
    )

    def ranks(self) -> list[int]:
        return {"left": [1, 2], "right": [2, 1]}.get(self.cleaned_data.get("choice", ""), [1, 1])

    def unacceptable(self) -> list[bool]:
        return [True, True] if self.cleaned_data["choice"] == "unacceptable" else super().unacceptable()


class RankingForm(ComparisonForm):
    """A rank for each of more than two answers."""

    def __init__(self, data: Any = None, *, answers: int, criteria: Sequence[str]) -> None:
        super().__init__(data, answers=answers, criteria=criteria)
        for place in range(answers):
            self.fields[f"rank_{place}"] = forms.IntegerField(required=False, min_value=1, max_value=answers)

    def ranks(self) -> list[int]:
        return [self.cleaned_data.get(f"rank_{place}") or 0 for place in range(self.answers)]

    def clean(self) -> None:
        super().clean()
        if 0 in self.ranks() and not self.errors:
            self.add_error(None, "Give each answer a rank.")


def label_form(assignment: Assignment, data: Any = None) -> LabelForm:
    if assignment.item.kind == Kind.DEMONSTRATION:
        return DemonstrationForm(data)
    answers = len(assignment.order)
    form = PairForm if answers == 2 else RankingForm
    return form(data, answers=answers, criteria=assignment.item.project.criteria)


class OwnLabelsForm(forms.Form):
    """Which of one's own labels to list."""

    q = forms.CharField(required=False, max_length=200, label="Words in the prompt")
    kind = forms.ChoiceField(required=False, choices=[("", "Both kinds"), *Kind.choices])
    verdict = forms.ChoiceField(required=False, choices=[("", "Any verdict"), *history.VERDICTS.items()])
    state = forms.ChoiceField(required=False, choices=[("", "Any state"), *history.STATES.items()])


class CommentForm(forms.Form):
    say = forms.CharField(max_length=4000, error_messages={"required": "Write something first."})
    flag = forms.BooleanField(required=False)


class SettleForm(forms.Form):
    answer = forms.CharField(required=False, max_length=3800)
    then = forms.ChoiceField(required=False, choices=list(THEN.items()))


class CheckForm(forms.Form):
    """A text to check, and perhaps the person's assignment that it answers."""

    text = forms.CharField(required=False, max_length=LONGEST, strip=False)
    assignment = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


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
    after = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)


class JudgePersonForm(forms.Form):
    """What a lead does about a person whose ways are unusual."""

    verb = forms.ChoiceField(choices=[(name, name) for name in ("exclude", "include")])
    because = forms.CharField(max_length=300, required=False)


class ConsensusForm(forms.Form):
    method = forms.ChoiceField(choices=list(consensus.METHODS.items()))
