"""Forms: they validate and never write. Fields are built from the pydantic settings, with their words and limits."""

from typing import Any, Literal, get_args, get_origin

from django import forms
from django.core.validators import MinValueValidator
from pydantic import BaseModel

from annotation.models import Project
from training.methods.weights import WAYS
from training.models.registry import ModelKind
from training.models.snapshots import SnapshotKind

ACRONYMS = {"apo", "grpo", "ipo", "kto", "rloo", "sppo"}


def setting_field(settings: type[BaseModel], name: str, label: str = "") -> forms.Field:
    """A form field for one setting: a number, a choice, or yes and no. Left empty, a number takes its default."""
    info = settings.model_fields[name]
    words: dict[str, Any] = {
        "label": label or info.title or name,
        "help_text": info.description or "",
        "initial": info.get_default(),
        "required": False,
    }
    if info.annotation is bool:
        return forms.BooleanField(**words)
    if get_origin(info.annotation) is Literal:
        choices = [(value, value_in_words(settings, name, value)) for value in get_args(info.annotation)]
        return forms.ChoiceField(choices=choices, **words)
    if info.annotation is str:
        return forms.CharField(**words)
    limits = {key: getattr(part, key) for part in info.metadata for key in ("ge", "gt", "le") if hasattr(part, key)}
    if info.annotation is int:
        return forms.IntegerField(min_value=limits.get("ge"), max_value=limits.get("le"), **words)
    field = forms.FloatField(min_value=limits.get("ge"), max_value=limits.get("le"), **words)
    if "gt" in limits:
        field.validators.append(AboveValidator(limits["gt"]))
    return field


def value_in_words(settings: type[BaseModel], name: str, value: Any) -> Any:
    """One of a few choices as the form names it, numbers without idle digits; anything else as it is."""
    if isinstance(value, float):
        return f"{value:g}"
    if get_origin(settings.model_fields[name].annotation) is not Literal:
        return value
    words = " ".join(word.upper() if word in ACRONYMS else word for word in str(value).split("_"))
    return WAYS.get(value) or words[:1].upper() + words[1:]


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
        help_text="Good answers to learn from, pairs of which people prefer one, or good and bad answers singly.",
    )
    simulated = forms.BooleanField(
        required=False, label="Use simulated labels", help_text="Include the labels of simulated annotators."
    )


class ImportModelForm(ProjectForm):
    kind = forms.ChoiceField(
        choices=[(ModelKind.POLICY, "Writes answers"), (ModelKind.CLASSIFIER, "Classifies texts")],
        required=False,
        label="What it does",
        help_text="A text classifier is for checks, such as of toxicity, and can neither be trained nor answer.",
    )
    name = forms.CharField(max_length=120, help_text="What the model is called here, for example base.")
    source = forms.CharField(
        max_length=500,
        help_text="A name on the Hugging Face hub, such as HuggingFaceTB/SmolLM2-135M-Instruct; or the address of an "
        "OpenAI-compatible endpoint with its model, such as https://host/v1#name, which can answer and not be trained. "
        "Superusers may also name a folder or a GGUF file on the machine of the gpu worker.",
    )
    licence = forms.CharField(
        max_length=120,
        required=False,
        help_text="Of the model, such as apache-2.0: it stands on the card of everything that grows from it.",
    )


class PriorityForm(forms.Form):
    priority = forms.IntegerField(min_value=-100, max_value=100, initial=0)


class GuideForm(forms.Form):
    """What the guide asks; what the project has, it counts by itself."""

    goal = forms.ChoiceField(
        label="What should get better?",
        widget=forms.RadioSelect,
        choices=[
            ("manner", "The manner: tone, form, length, what is said first"),
            ("preference", "The choice: the better of two good answers, more often"),
            ("unacceptable", "The failures: it says what it must not say"),
            ("knowledge", "The knowledge: it does not know our subject"),
            ("language", "The language: it is weak in one that we need"),
            ("scoring", "Nothing: answers are to be scored, good from bad"),
            ("sorting", "Nothing: prompts are to be sorted, by the tags that people give them"),
        ],
    )
    subject = forms.ChoiceField(
        label="How well does the model know the subject?",
        widget=forms.RadioSelect,
        choices=[
            ("known", "Well enough: its answers make sense, if not as we would give them"),
            ("new", "Hardly: the terms and the questions are new to it"),
        ],
    )
    means = forms.ChoiceField(
        label="What does it train on?",
        widget=forms.RadioSelect,
        choices=[
            ("processor", "A processor, no GPU"),
            ("one", "One GPU"),
            ("many", "Several GPUs, or a very large one"),
        ],
    )
