"""The form that has prompts said in other words, and what a person decides of one. Forms validate and never write."""

from typing import Any

from django import forms
from pydantic import ValidationError as SettingsError

from annotation.models import Project
from training import paraphrasing
from training.forms import setting_field
from training.methods import ParaphraseSettings
from training.models import ModelVersion

FIRST = ("samples_per_prompt", "instruction")  # of the settings, what is not folded away


class ParaphraseForm(forms.Form):
    """Which model, how many prompts, and the method's own settings. An empty number takes its default."""

    model = forms.ModelChoiceField(
        ModelVersion.objects.none(),
        label="Model that writes",
        empty_label=None,
        help_text="Small models often answer instead of rewriting, or change what is asked. One behind an endpoint "
        "may do better.",
    )
    prompts = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=paraphrasing.MOST_PROMPTS,
        initial=paraphrasing.USUAL,
        label="Prompts",
        help_text="How many at most: training prompts with an accepted or edited answer, or with a comparison. Those "
        "that this model has not reworded yet come first. Held-out prompts are left alone.",
    )
    seed = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        initial=17,
        help_text="The same prompts, settings and seed give the same words.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policies = ModelVersion.objects.filter(project=project).policies()
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = policies
        model.initial = policies.production().values_list("pk", flat=True).first()
        for name in ParaphraseSettings.model_fields:
            self.fields[name] = setting_field(ParaphraseSettings, name)
        self.fields["instruction"].widget = forms.Textarea(attrs={"rows": 4})
        self.lacks_model = not policies.exists()

    @property
    def first_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("model", "prompts", "samples_per_prompt")]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in (*ParaphraseSettings.model_fields, "seed") if name not in FIRST]

    @property
    def more_is_wrong(self) -> bool:
        return any(field.errors for field in self.more_fields)

    def clean(self) -> dict[str, Any]:
        """What the settings themselves refuse stands beside its field."""
        try:
            ParaphraseSettings.model_validate(self.settings())
        except SettingsError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                if name not in self.errors:
                    self.add_error(name if name in self.fields else None, problem["msg"].removeprefix("Value error, "))
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """Only what was filled in; the settings know the rest."""
        names = ParaphraseSettings.model_fields
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data.get(name) not in (None, "")}


class DecideForm(forms.Form):
    keep = forms.TypedChoiceField(
        choices=[("yes", "Take it back"), ("no", "Refuse")], coerce=lambda said: said == "yes"
    )
