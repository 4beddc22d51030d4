"""The form of the page where leads take data out. It validates and never writes."""

from typing import Any

from django import forms

from annotation.exporting.wanted import Wanted
from annotation.models.items import Kind
from annotation.percentfield import PercentField
from annotation.shapes.outgoing import SHAPES

SPLITS = {
    "": "What fits the format",
    "train": "Prompts to train on",
    "heldout": "Prompts held out for evaluation",
}
DECISIONS = {"": "Votes and reviewers' decisions", "none": "Votes alone", "only": "Reviewers' decisions alone"}
SIMULATED = {"": "As usual", "yes": "With them", "no": "Without them"}


class Listed(forms.CharField):
    """Texts with commas between them."""

    def to_python(self, value: Any) -> Any:
        return [part.strip() for part in str(value or "").split(",") if part.strip()]


class TakeOutForm(forms.Form):
    shape = forms.ChoiceField(
        choices=[(name, shape.title) for name, shape in SHAPES.items()],
        initial="touchstone",
        error_messages={"required": "Choose a format."},
    )
    kind = forms.ChoiceField(
        required=False,
        choices=[("", "Both kinds"), *Kind.choices],
        label="Items",
        help_text="Demonstrations to clean, comparisons to rank.",
    )
    split = forms.ChoiceField(
        required=False,
        choices=list(SPLITS.items()),
        label="Prompts",
        help_text="Rows to train on leave out held-out prompts, unless these are asked for.",
    )
    tags = Listed(required=False, max_length=2_000, help_text="Prompts with any of these, with commas between them.")
    languages = Listed(required=False, max_length=300, help_text="Such as en, de. Everything if empty.")
    decisions = forms.ChoiceField(required=False, choices=list(DECISIONS.items()), label="Labels")
    simulated = forms.ChoiceField(
        required=False,
        choices=list(SIMULATED.items()),
        label="Labels of simulated annotators",
        help_text="As usual: marked among everything, left out of rows to train on.",
    )
    minimum_agreement = PercentField(
        required=False,
        least=50,
        most=100,
        initial=0.5,
        label="Smallest majority, in %",
        help_text="For rows to train on: the share of votes that must have gone the same way.",
    )
    names = forms.BooleanField(
        required=False,
        label="User names in place of pseudonyms",
        help_text="Only where everything is taken out. It is put on record with your name.",
    )
    repository = forms.CharField(
        required=False,
        max_length=96,
        label="Put it on the hub as",
        help_text="For a Hugging Face dataset: owner and name, such as my-team/shop-desk. Private if it is new.",
    )

    def wanted(self) -> Wanted:
        asked = dict(self.cleaned_data)
        simulated = {"yes": True, "no": False}.get(asked["simulated"])
        share = asked["minimum_agreement"] or 0.5
        same = {name: asked[name] for name in ("kind", "split", "tags", "languages", "decisions", "names")}
        return Wanted(**same, simulated=simulated, minimum_agreement=share)
