"""Forms: they validate and never write."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from pydantic import BaseModel
from pydantic import ValidationError as SettingsError

from annotation.percentfield import PercentField
from evaluation import second_opinion
from evaluation.head_to_head import PROMPTS
from evaluation.models import Aim, GatePolicy, RoundPolicy
from evaluation.policy import RoundSettings
from training.forms import ProjectForm, setting_field
from training.methods import DpoSettings, GenerateSettings, JudgeSettings, RewardSettings, SftSettings, SuiteSettings
from training.models import ModelVersion


@dataclass(frozen=True)
class Setting:
    """One field of the form: `part` is a method's own settings within the round's, or empty."""

    model: type[BaseModel]
    name: str
    part: str = ""
    label: str = ""

    @property
    def field(self) -> str:
        return f"{self.part}_{self.name}" if self.part in ("sft", "reward", "dpo") else self.name


BASIC = [
    Setting(RoundSettings, "minimum_comparisons"),
    Setting(RoundSettings, "fresh_prompts"),
    Setting(RoundSettings, "heldout_prompts"),
    Setting(GenerateSettings, "samples_per_prompt", "generate"),
    Setting(RoundSettings, "new_items"),
]
ADVANCED = [
    Setting(SftSettings, "epochs", "sft", "Good answers: passes over them"),
    Setting(SftSettings, "learning_rate", "sft", "Good answers: learning rate"),
    Setting(RewardSettings, "epochs", "reward", "Reward model: passes over the pairs"),
    Setting(RewardSettings, "learning_rate", "reward", "Reward model: learning rate"),
    Setting(DpoSettings, "epochs", "dpo", "Preference tuning: passes over the pairs"),
    Setting(DpoSettings, "learning_rate", "dpo", "Preference tuning: learning rate"),
    Setting(DpoSettings, "beta", "dpo", "Preference tuning: loyalty to the model before (beta)"),
    Setting(GenerateSettings, "max_new_tokens", "generate"),
    Setting(GenerateSettings, "temperature", "generate"),
    Setting(RoundSettings, "measured_prompts"),
    Setting(RoundSettings, "random_share"),
    Setting(RoundSettings, "simulated"),
    Setting(RoundSettings, "seed"),
]
PARTS: dict[str, type[BaseModel]] = {
    "sft": SftSettings,
    "reward": RewardSettings,
    "dpo": DpoSettings,
    "generate": GenerateSettings,
}


class RoundForm(forms.Form):
    """What a lead may choose when starting a round. An empty number takes its default."""

    skip_sft = forms.BooleanField(
        required=False,
        label="Leave out learning from good answers",
        help_text="Goes straight to preferences, from the base model as it is.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for setting in [*BASIC, *ADVANCED]:
            self.fields[setting.field] = setting_field(setting.model, setting.name, setting.label)
        self.order_fields([*(setting.field for setting in [*BASIC, *ADVANCED[:2]]), "skip_sft"])

    @property
    def basic_fields(self) -> Iterator[forms.BoundField]:
        return (self[setting.field] for setting in BASIC)

    @property
    def advanced_fields(self) -> Iterator[forms.BoundField]:
        basic = {setting.field for setting in BASIC}
        return (self[name] for name in self.fields if name not in basic and name != "project")

    def clean(self) -> dict[str, Any]:
        """What the settings refuse together becomes an error of the form."""
        for part, model in PARTS.items():
            try:
                model.model_validate(self.settings().get(part, {}))
            except SettingsError as error:
                if not self.errors:
                    words = [problem["msg"].removeprefix("Value error, ") for problem in error.errors()]
                    raise ValidationError([word[:1].upper() + word[1:] for word in words]) from None
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """For `rounds.start`: only what was filled in; the settings know the rest."""
        chosen: dict[str, Any] = {"skip": ["sft"] if self.cleaned_data.get("skip_sft") else []}
        for setting in [*BASIC, *ADVANCED]:
            value = self.cleaned_data.get(setting.field)
            if value is not None:
                target = chosen.setdefault(setting.part, {}) if setting.part else chosen
                target[setting.name] = value
        return chosen

    @staticmethod
    def initial_from(settings: dict[str, Any]) -> dict[str, Any]:
        """The form filled as an earlier round was started."""
        initial: dict[str, Any] = {"skip_sft": "sft" in settings.get("skip", [])}
        for setting in [*BASIC, *ADVANCED]:
            source = settings.get(setting.part, {}) if setting.part else settings
            if setting.name in source:
                initial[setting.field] = source[setting.name]
        return initial


class AimForm(forms.Form):
    """What the next comparisons are chosen for."""

    aim = forms.ChoiceField(
        choices=[
            (
                Aim.KNOWING,
                "To know people's taste: whose better answer is hard to foresee, which teaches a reward model most",
            ),
            (
                Aim.TUNING,
                "To tune the model: whose answers should be worth very different things, which DPO learns most from",
            ),
        ],
        widget=forms.RadioSelect,
        label="What comparisons are chosen for",
    )


class RoundPolicyForm(forms.ModelForm):
    """When the next round starts by itself."""

    minimum_agreement = PercentField(
        most=100,
        label="Least agreement, in %",
        help_text="In so many of a hundred cases two people who judge the same pair must say the same. 0 starts "
        "without anything judged twice.",
    )

    class Meta:
        model = RoundPolicy
        fields = (
            *("enabled", "new_labels", "minimum_agreement", "cooldown_hours"),
            *("label_budget", "minutes_budget"),
        )


class StartRoundForm(RoundForm, ProjectForm):
    """The same in the admin, where the project is chosen too."""

    field_order = ("project",)


class GateForm(forms.ModelForm):
    """What a project asks of a new model; an empty limit asks nothing."""

    min_accuracy = PercentField(
        required=False,
        most=100,
        label="Agreement with people, in %",
        help_text="On judged held-out pairs the model, and the reward model of its round, must prefer what people "
        "preferred more often than this (50 is tossing a coin), with 95 % certainty.",
    )
    min_win_rate = PercentField(
        required=False,
        most=100,
        label="Blind comparisons won, in %",
        help_text="People must prefer its answers to the present model's more often than this, with 95 % certainty, "
        "and also once length is taken out.",
    )
    max_length_growth = PercentField(
        required=False,
        most=1000,
        label="Longer answers, in %",
        help_text="How much longer its answers may be than the present model's on the same prompts.",
    )
    max_forgetting = PercentField(
        required=False,
        most=1000,
        label="Forgetting, in %",
        help_text="How much more surprised than the base model it may be by general questions and plain text.",
    )

    class Meta:
        model = GatePolicy
        fields = (
            *("min_accuracy", "min_win_rate", "blind_prompts"),
            *("max_length_growth", "max_forgetting", "max_distance"),
        )


class HeadToHeadForm(forms.Form):
    prompts = forms.IntegerField(
        min_value=1,
        max_value=1000,
        initial=PROMPTS,
        label="Prompts",
        help_text="So many held-out prompts are answered by both models. Fifty are enough where four in five "
        "comparisons are won; two in three need about eighty, and close models hundreds.",
    )


class SecondOpinionForm(forms.Form):
    judge = forms.ModelChoiceField(
        queryset=ModelVersion.objects.none(),
        empty_label=None,
        label="Who is asked",
        help_text="A model behind an endpoint. It is sent held-out prompts, both models' answers, pairs that people "
        "have compared, and the guidelines.",
    )
    pairs = forms.IntegerField(
        min_value=1,
        max_value=second_opinion.MOST_PAIRS,
        initial=second_opinion.PAIRS,
        label="Pairs",
        help_text="At most so many of the two models, and as many that people have compared; each is asked twice.",
    )
    most_tokens = setting_field(JudgeSettings, "most_tokens")
    max_new_tokens = setting_field(JudgeSettings, "max_new_tokens")

    def __init__(self, *args: Any, version: ModelVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.judges = second_opinion.judges(version)
        self.fields["judge"].queryset = self.judges  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """As `second_opinion.ask` takes it; what is left empty keeps its default."""
        given = super().clean() or {}
        settings = {name: given.pop(name, None) for name in ("most_tokens", "max_new_tokens")}
        return {**given, "settings": {name: value for name, value in settings.items() if value is not None}}


class SuitesForm(forms.Form):
    tasks = setting_field(SuiteSettings, "tasks")
    most = setting_field(SuiteSettings, "most")
    chat = setting_field(SuiteSettings, "chat")

    def settings(self) -> dict[str, Any]:
        """As `suites.ask` takes them; what is left empty keeps its default."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
