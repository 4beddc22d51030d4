"""Forms: they validate and never write. Fields are built from the pydantic settings, with their words and limits."""

from typing import Any

from django import forms
from django.core.validators import MinValueValidator
from pydantic import BaseModel

from annotation.models import Project
from training.models.snapshots import SnapshotKind


def setting_field(settings: type[BaseModel], name: str, label: str = "") -> forms.Field:
    """A form field for one numeric or boolean setting. Left empty, a number takes its default."""
    info = settings.model_fields[name]
    words: dict[str, Any] = {
        "label": label or info.title or name,
        "help_text": info.description or "",
        "initial": info.get_default(),
        "required": False,
    }
    if info.annotation is bool:
        return forms.BooleanField(**words)
    limits = {key: getattr(part, key) for part in info.metadata for key in ("ge", "gt", "le") if hasattr(part, key)}
    if info.annotation is int:
        return forms.IntegerField(min_value=limits.get("ge"), max_value=limits.get("le"), **words)
    field = forms.FloatField(min_value=limits.get("ge"), max_value=limits.get("le"), **words)
    if "gt" in limits:
        field.validators.append(AboveValidator(limits["gt"]))
    return field


class AboveValidator(MinValueValidator):
    message = "Ensure this value is greater than %(limit_value)s."

    def compare(self, a: Any, b: Any) -> bool:
        return a <= b


class ProjectForm(forms.Form):
    """What starts with the choice of a project that the person leads."""

    project = forms.ModelChoiceField(queryset=Project.objects.none())

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        led = Project.objects.led_by(user).active()
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = led
        if led.count() == 1:
            field.initial = led.get().pk


class FreezeForm(ProjectForm):
    kind = forms.ChoiceField(
        choices=SnapshotKind.choices,
        help_text="Good answers to learn from, or pairs of which people prefer one.",
    )
    simulated = forms.BooleanField(
        required=False, label="Use simulated labels", help_text="Include the labels of simulated annotators."
    )


class ImportModelForm(ProjectForm):
    name = forms.CharField(max_length=120, help_text="What the model is called here, for example base.")
    source = forms.CharField(
        max_length=500,
        help_text="A name on the Hugging Face hub, such as HuggingFaceTB/SmolLM2-135M-Instruct. Superusers may also "
        "name a folder or a GGUF file on the machine of the gpu worker.",
    )
