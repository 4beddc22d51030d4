"""The form by which a classifier is named that reads for toxicity. It validates and never writes."""

from typing import Any

from django import forms

from training import toxicity
from training.models import ModelVersion, ToxicityPolicy


class ToxicityForm(forms.Form):
    """Of one classifier: which of its labels mean toxic, and from when on that is a finding."""

    labels = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Classes that mean toxic"
    )
    threshold = forms.FloatField(
        min_value=toxicity.LEAST,
        max_value=toxicity.MOST,
        label="Least probability",
        help_text="A lower one finds more, and more that is harmless.",
    )

    def __init__(self, data: Any = None, *, version: ModelVersion, policy: ToxicityPolicy | None) -> None:
        known = version.card["labels"]
        named = policy if policy is not None and policy.model_version_id == version.pk else None
        super().__init__(
            data,
            prefix=f"model-{version.pk}",
            initial={
                "labels": named.labels if named else toxicity.proposed(known),
                "threshold": policy.threshold if policy else toxicity.THRESHOLD,
            },
        )
        self.version, self.named = version, named is not None
        self.fields["labels"].choices = [(label, label) for label in known]  # type: ignore[attr-defined]
        self.fields["threshold"].widget.attrs["step"] = "any"
