"""The forms of runs: one to start, how it is carried out, and training what came of it further."""

from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.timezone import localtime
from pydantic import ValidationError as SettingsError

from annotation.models import Project
from training import paraphrasing, snapshots
from training.forms import setting_field
from training.methods import Method
from training.models import ModelVersion, Run, Snapshot
from training.models.registry import Format, ModelKind
from training.models.runs import Spread
from training.models.snapshots import SnapshotKind
from training.runs import Plan

MOST_MINUTES = 7 * 24 * 60
BASIC = {  # the settings shown first, by method
    "sft": ("tuning", "epochs", "learning_rate", "batch_size"),
    "reward": ("tuning", "epochs", "learning_rate", "batch_size"),
    "dpo": ("tuning", "epochs", "learning_rate", "batch_size", "beta"),
    "probe": ("depth", "folds", "batch_size", "max_length"),
    "classify": ("tags", "fewest", "suggest"),
    "kto": ("epochs", "learning_rate", "batch_size", "beta"),
    "distill": ("prompts", "epochs", "learning_rate", "batch_size"),
    "rlhf": ("prompts", "learning_rate", "beta", "kl_limit"),
    "orpo": ("epochs", "learning_rate", "batch_size", "odds_weight"),
}
GROUPS = {  # further ones that belong together, by title; the rest is "More settings"
    "How much of the model": (
        *("lora_rank", "lora_alpha", "lora_dropout", "virtual_tokens", "layers", "layer_decay", "head_rate"),
    ),
    "Other data, and in what parts": ("others", "replay_share", "mix_by", "mix_alpha", "mix_weights"),
    "Against learning by heart": ("validation_share", "patience", "weight_decay", "neftune"),
}
TEACHERS = {  # what is said of the model to learn from, by its kind
    "reward": "A reward model, whose score is what is learnt from. One that is seldom right on held-out pairs teaches "
    "nonsense: look at its page first.",
    "policy": "A larger model with the same tokenizer, such as another size of the same family.",
}


class SnapshotChoice(forms.ModelChoiceField):
    def label_from_instance(self, snapshot: Any) -> str:
        rows = snapshot.counts.get("rows", 0)
        return f"{snapshot}: {rows} rows, frozen {date_format(localtime(snapshot.created_at), 'j M, H:i')}"


class SnapshotsChoice(SnapshotChoice, forms.ModelMultipleChoiceField):
    pass


class PlanForm(forms.Form):
    """How a run is carried out, apart from what it learns."""

    after = forms.ModelMultipleChoiceField(
        Run.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="After these runs",
        help_text="It waits until all of them have succeeded. If one of them fails, this one is not begun.",
    )
    limit_minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_MINUTES,
        label="Time limit (minutes)",
        help_text="After so long it is stopped, with a checkpoint from which a retry goes on. Empty: the limit of this "
        "installation, six days unless it was changed.",
    )
    devices = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=64,
        initial=1,
        label="Devices",
        help_text="How many GPUs work on it together. Each takes batches of its own, so that two see twice as many "
        "examples in every step. A worker with fewer devices never takes the run.",
    )
    spread = forms.ChoiceField(
        choices=Spread.choices,
        required=False,
        label="With several devices",
        help_text="If the model and its optimiser fit on one device, the first is the fastest. The others divide them, "
        "for models that do not fit.",
    )

    def plan(self) -> Plan:
        chosen = self.cleaned_data
        return Plan(
            limit_minutes=chosen["limit_minutes"],
            after=tuple(chosen["after"]),
            devices=chosen["devices"] or 1,
            spread=chosen["spread"] or Spread.DDP,
        )


class ContinueForm(forms.Form):
    epochs = forms.FloatField(
        min_value=0.01,
        max_value=100,
        initial=1,
        label="More passes over the data",
        help_text="A new run trains the model that this one made, on the same data and with the same settings.",
    )


class StartRunForm(PlanForm):
    """One training run: from which model, on what, with which settings. An empty number takes its default."""

    base = forms.ModelChoiceField(
        ModelVersion.objects.none(),
        label="Model to start from",
        empty_label=None,
        help_text="The one in production, unless another is chosen.",
    )
    snapshot = SnapshotChoice(
        Snapshot.objects.none(),
        required=False,
        empty_label="The labels as they are now",
        label="Data to learn from",
        help_text="The labels as they are now are frozen first, so that the run can be repeated.",
    )
    others = SnapshotsChoice(
        Snapshot.objects.none(),
        required=False,
        label="Other data mixed in",
        widget=forms.CheckboxSelectMultiple,
        help_text="Earlier data, so that a new round does not undo the old; or another task's.",
    )
    simulated = forms.BooleanField(
        required=False,
        label="Use simulated labels",
        help_text="Where labels are frozen now: include those of simulated annotators.",
    )
    made_by = forms.ModelMultipleChoiceField(
        ModelVersion.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Learn from models, too",
    )
    paraphrased_by = forms.ModelMultipleChoiceField(
        ModelVersion.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Ask in other words, too",
        help_text="Where labels are frozen now: people's prompts once more in the words of these models, with people's "
        "own answers. Read what they wrote first, on the page of the run that wrote it.",
    )
    most_made = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        initial=snapshots.Rule.model_fields["most_made"].default,
        label="Share of rows by models",
        help_text="The most that rows made by models may be of all, from 0 to 1. They are marked as such for ever.",
    )
    teacher = forms.ModelChoiceField(ModelVersion.objects.none(), label="Model to learn from", empty_label=None)
    seed = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        initial=17,
        help_text="The same data, settings and seed give the same model.",
    )

    def __init__(self, *args: Any, project: Project, method: Method, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.method = method
        policies = ModelVersion.objects.filter(project=project).policies().exclude(format=Format.ENDPOINT)
        base, snapshot = self.fields["base"], self.fields["snapshot"]
        assert isinstance(base, forms.ModelChoiceField)
        assert isinstance(snapshot, forms.ModelChoiceField)
        base.queryset = policies
        base.initial = policies.production().values_list("pk", flat=True).first()
        snapshot.queryset = Snapshot.objects.filter(project=project, kind=method.snapshot_kind)
        after = self.fields["after"]
        assert isinstance(after, forms.ModelMultipleChoiceField)
        after.queryset = Run.objects.open().filter(project=project)
        self.can_wait = after.queryset.exists()
        others = self.fields["others"]
        assert isinstance(others, forms.ModelMultipleChoiceField)
        others.queryset = snapshot.queryset
        if "replay_share" not in method.settings.model_fields or not snapshot.queryset.exists():
            del self.fields["others"]
        judges = ModelVersion.objects.filter(project=project, kind=ModelKind.REWARD)
        made_by = self.fields["made_by"]
        assert isinstance(made_by, forms.ModelMultipleChoiceField)
        if method.snapshot_kind == SnapshotKind.DEMONSTRATIONS:
            teachers = ModelVersion.objects.filter(project=project, generations__isnull=False).distinct()
            made_by.queryset = teachers
            made_by.help_text = (
                "Where labels are frozen now: the finished answers of these models to training prompts, where nobody "
                "judged them. So a small model learns from a larger one."
            )
        elif method.snapshot_kind == SnapshotKind.PREFERENCES:
            made_by.queryset = judges
            made_by.help_text = (
                "Where labels are frozen now: what these reward models are 90 % sure that people would prefer, of the "
                "answers they have scored to prompts on which nobody compared any."
            )
        rewording = self.fields["paraphrased_by"]
        assert isinstance(rewording, forms.ModelMultipleChoiceField)
        if method.snapshot_kind:
            rewording.queryset = paraphrasing.makers(project)
        for name in [
            name for name, field in (("made_by", made_by), ("paraphrased_by", rewording)) if not field.queryset
        ]:
            del self.fields[name]
        if not {"made_by", "paraphrased_by"} & set(self.fields):
            del self.fields["most_made"]
        if method.learns_from:
            teacher = self.fields["teacher"]
            assert isinstance(teacher, forms.ModelChoiceField)
            teacher.queryset = judges if method.learns_from == ModelKind.REWARD else policies
            teacher.initial = teacher.queryset.values_list("pk", flat=True).first()
            teacher.help_text = TEACHERS[method.learns_from]
        else:
            del self.fields["teacher"]
        if method.snapshot_kind is None:
            del self.fields["snapshot"], self.fields["simulated"]
        for name in method.settings.model_fields:
            self.fields[name] = setting_field(method.settings, name)
        for name, (other, values) in method.settings.conditions().items():
            self.fields[name].widget.attrs |= {"data-only-with": other, "data-only-for": " ".join(sorted(values))}
        if "tuning" in self.fields:  # the rate that suits it is filled in where none is given
            self.fields["learning_rate"].initial = None
            self.fields["learning_rate"].widget.attrs["placeholder"] = "automatic"
        self.lacks = ""
        if not policies.exists():
            self.lacks = "model"
        elif method.learns_from == ModelKind.REWARD and not judges.exists():
            self.lacks = "teacher"

    @property
    def what_fields(self) -> list[forms.BoundField]:
        return [
            self[name]
            for name in ("base", "teacher", "snapshot", "simulated", "made_by", "paraphrased_by", "most_made")
            if name in self.fields
        ]

    @property
    def basic_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in BASIC[self.method.name]]

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Further settings by title, and whether they are to be seen at once: where one is wrong or was proposed."""
        shown = {"base", "snapshot", "simulated", *BASIC[self.method.name]}
        grouped = {title: [name for name in names if name in self.fields] for title, names in GROUPS.items()}
        shown.update(name for names in grouped.values() for name in names)
        grouped["More settings"] = [name for name in (*self.method.settings.model_fields, "seed") if name not in shown]
        return [
            (title, [self[name] for name in names], any(name in self.errors or name in self.initial for name in names))
            for title, names in grouped.items()
            if names
        ]

    @property
    def plan_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in PlanForm.base_fields if name != "after" or self.can_wait]

    def clean(self) -> dict[str, Any]:
        """What the settings themselves refuse stands beside its field."""
        try:
            self.method.settings.model_validate(self.settings())
        except SettingsError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                if name not in self.errors:
                    self.add_error(name if name in self.fields else None, problem["msg"].removeprefix("Value error, "))
        return self.cleaned_data

    def rule(self) -> snapshots.Rule:
        """By which labels are frozen, if they are frozen now."""
        chosen = self.cleaned_data
        made_by = [version.pk for version in chosen.get("made_by", [])]
        given: dict[str, Any] = {"simulated": chosen.get("simulated", False)}
        if made_by:
            teaches = self.method.snapshot_kind == SnapshotKind.DEMONSTRATIONS
            given["taught_by" if teaches else "guessed_by"] = made_by
        given["paraphrased_by"] = [version.pk for version in chosen.get("paraphrased_by", [])]
        if chosen.get("most_made") is not None:
            given["most_made"] = chosen["most_made"]
        return snapshots.Rule(**given)

    def settings(self) -> dict[str, Any]:
        """Only what was filled in; the settings know the rest."""
        names = self.method.settings.model_fields
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data.get(name) not in (None, "")}
