"""The form of a recipe: what a snapshot is made of, in fields."""

import csv
import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import QueryDict

from annotation.models import Project, Prompt
from training import paraphrasing
from training.models import ModelVersion, RecipeVersion
from training.models.registry import ModelKind
from training.models.snapshots import SnapshotKind
from training.snapshots import recipes
from training.snapshots.recipes import Recipe
from training.snapshots.rules import HEAVIEST, WEIGHTS, Rule

UNKNOWN = "?"  # the language that nobody has named
MOST_LANGUAGES, MOST_NAMED = 40, 12
JUDGED = "preferences unpaired"
MODELS = ("answered_by", "taught_by", "guessed_by", "paraphrased_by")  # fields of a rule that name models by id


class NamesField(forms.CharField):
    """Names with commas between them; one that has a comma stands in quotes."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        try:
            rows = list(csv.reader(text.splitlines(), skipinitialspace=True))
        except csv.Error as error:
            raise ValidationError("Put commas between the names, and quotes around one that has a comma.") from error
        return [name.strip() for row in rows for name in row if name.strip()]


def joined(names: list[str]) -> str:
    """What NamesField reads back.

    >>> joined(["tea", "hours, late"]) == 'tea, "hours, late"'
    True
    """
    quoted = ['"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name for name in names]
    return ", ".join(quoted)


class MetadataField(forms.CharField):
    """A line for each: name = value. Numbers, true and false are such; quotes make a text of them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        found: dict[str, Any] = {}
        for line in (super().to_python(value) or "").splitlines():
            name, equals, said = (part.strip() for part in line.partition("="))
            if not line.strip():
                continue
            if not equals or not name:
                raise ValidationError(f"“{line.strip()}” is not name = value.")
            try:
                read = json.loads(said)
            except (ValueError, RecursionError):
                read = said
            found[name] = read if isinstance(read, str | int | float | bool) else said
        return found


def metadata_lines(metadata: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in metadata.items())


class RecipeForm(forms.Form):
    """Kind and rule. It lists what the project has to choose from."""

    kind = forms.ChoiceField(
        choices=SnapshotKind.choices,
        help_text="Good answers to learn from, pairs of which people prefer one, or good and bad answers singly.",
    )
    aggregation = forms.ChoiceField(
        choices=[
            ("majority", "The majority decides"),
            ("weighted", "Votes count by reliability"),
            ("all_votes", "Every vote is a row"),
        ],
        label="Several votes",
        required=False,
        help_text="By reliability: a vote counts by how often the others agree with that person.",
    )
    minimum_agreement = forms.FloatField(
        required=False,
        min_value=0.5,
        max_value=1,
        label="Least agreement",
        help_text="Share of the votes that must agree, from 0.5 to 1.",
    )
    minimum_votes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=100,
        label="Fewest votes",
        help_text="Behind each row. A reviewer's decision is enough by itself.",
    )
    edits_as_preferences = forms.BooleanField(
        required=False, label="Edits are preferences", help_text="An edited answer is preferred over its original."
    )
    simulated = forms.BooleanField(
        required=False, label="Use simulated labels", help_text="Include the labels of simulated annotators."
    )
    purposes = forms.MultipleChoiceField(
        choices=[("train", "Training"), ("head_to_head", "Head to head"), ("audit", "Audit")],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Asked for",
        help_text="None chosen: all. Gold is never data.",
    )
    languages = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, help_text="None chosen: all."
    )
    tags = NamesField(required=False, label="Only these tags")
    without_tags = NamesField(required=False, label="None of these tags")
    metadata = MetadataField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One a line, such as: source = letters"
    )
    people = NamesField(required=False, label="Only labels of")
    without_people = NamesField(required=False, label="No labels of")
    answered_by = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Only answers of",
        help_text="Items that show an answer of one of these models. None chosen: all.",
    )
    since = forms.DateField(required=False, label="From", widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(required=False, label="Up to", widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    flags = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Only labels flagged", help_text="None chosen: all."
    )
    without_flags = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="No labels flagged",
        help_text="None chosen: nothing is left out for a flag.",
    )
    taught_by = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Answers of models, too",
        help_text="Where nobody judged. They are marked as such for ever.",
    )
    guessed_by = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Guesses of reward models, too",
        help_text="Where nobody compared. They are marked as such for ever.",
    )
    paraphrased_by = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="In other words, too",
        help_text="People's prompts once more in the words of these models, with people's own answers. They are marked "
        "as such for ever.",
    )
    confidence = forms.FloatField(
        required=False,
        min_value=0.5,
        max_value=1,
        label="How sure the reward model must be",
        help_text="From 0.5 to 1.",
    )
    most_made = forms.FloatField(
        required=False, min_value=0, max_value=1, label="Share of rows by models, at most", help_text="From 0 to 1."
    )

    def __init__(self, *args: Any, project: Project, recipe: Recipe | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("initial", initial(recipe or Recipe(SnapshotKind.PREFERENCES, Rule())))
        super().__init__(*args, **kwargs)
        self.project = project
        prompts = Prompt.objects.filter(project=project).order_by()
        spoken = prompts.values_list("language", flat=True).distinct()[:MOST_LANGUAGES]
        self._choose("languages", [(one or UNKNOWN, one or "Unknown") for one in sorted(spoken)])
        for name in ("flags", "without_flags"):
            self._choose(name, [(flag, flag) for flag in project.flags])
        models = ModelVersion.objects.filter(project=project)
        answering = [(str(one.pk), one.name) for one in models.filter(generations__isnull=False).distinct()]
        self._choose("answered_by", answering)
        self._choose("taught_by", answering)
        judges = models.filter(kind=ModelKind.REWARD)
        self._choose("guessed_by", [(str(one.pk), one.name) for one in judges])
        self._choose("paraphrased_by", [(str(one.pk), one.name) for one in paraphrasing.makers(project)])
        for name in ("tags", "without_tags"):
            self.fields[name].help_text = _there(_tags(project))
        people = project.memberships.annotate(labels=Count("person__labels")).order_by("-labels", "person__username")
        named = list(people.values_list("person__username", flat=True)[: MOST_NAMED + 1])
        for name in ("people", "without_people"):
            self.fields[name].help_text = _there(named)
        for name, words in WEIGHTS.items():
            self.fields[f"weight_{name}"] = forms.FloatField(
                required=False, min_value=0, max_value=HEAVIEST, label=words[:1].upper() + words[1:]
            )
            self.fields[f"weight_{name}"].widget.attrs |= {"placeholder": "1", "step": "any"}
        for name in ("aggregation", "minimum_agreement"):
            self.fields[name].widget.attrs |= {"data-only-with": "kind", "data-only-for": JUDGED}
        for name, kind in (
            ("edits_as_preferences", "preferences"),
            ("taught_by", "demonstrations"),
            ("guessed_by", "preferences"),
            ("confidence", "preferences"),
            ("most_made", "" if "paraphrased_by" in self.fields else "demonstrations preferences"),
        ):
            if kind and name in self.fields:
                self.fields[name].widget.attrs |= {"data-only-with": "kind", "data-only-for": kind}
        for name in ("minimum_agreement", "confidence", "most_made"):
            self.fields[name].widget.attrs |= {"step": "any"}

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        """What the initial rule names may be chosen, too: a flag that was taken away still stands on old labels."""
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        given = self.data.getlist(name) if isinstance(self.data, QueryDict) else self.initial.get(name, [])
        known = {value for value, _ in choices}
        field.choices = [*choices, *((one, one) for one in given if one not in known)]
        if not field.choices:
            del self.fields[name]

    def _fields(self, *names: str) -> list[forms.BoundField]:
        return [self[name] for name in names if name in self.fields]

    @property
    def rows_fields(self) -> list[forms.BoundField]:
        return self._fields("kind", "aggregation", "minimum_agreement", "minimum_votes", "edits_as_preferences")

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Further fields by title, and whether one of them says something."""
        groups = {
            "Which prompts": ("languages", "tags", "without_tags", "metadata"),
            "Which labels": ("people", "without_people", "since", "until", "purposes", "flags", "without_flags"),
            "Whose answers": ("answered_by", "taught_by", "guessed_by", "confidence", "paraphrased_by", "most_made"),
            "Weights": tuple(f"weight_{name}" for name in WEIGHTS),
        }
        found = [(title, self._fields(*names)) for title, names in groups.items()]
        found[1][1].append(self["simulated"])
        if not {"taught_by", "guessed_by", "paraphrased_by"} & set(self.fields):
            found[2] = (found[2][0], self._fields("answered_by"))
        told = {name for name, value in self._said().items() if value not in (None, "", [], {}, False)}
        return [(title, fields, any(one.name in told for one in fields)) for title, fields in found if fields]

    def _said(self) -> dict[str, Any]:
        """What is filled in beyond the defaults, for what is shown open."""
        values = {name: self[name].value() for name in self.fields}
        usual = initial(Recipe(SnapshotKind.PREFERENCES, Rule()))
        return {name: value for name, value in values.items() if str(value) != str(usual.get(name))}

    def clean(self) -> dict[str, Any]:
        """What the rule itself refuses stands beside its field."""
        if not self.errors:
            try:
                self.cleaned_data["rule"] = recipes.checked(self.content())
            except ValidationError as error:
                self.add_error(None, error)
        return self.cleaned_data

    def content(self) -> dict[str, Any]:
        given = self.cleaned_data
        names = [name for name in Rule.model_fields if name in self.fields]
        content = {name: given[name] for name in names if given[name] not in (None, "", [], {})}
        if "languages" in content:
            content["languages"] = ["" if one == UNKNOWN else one for one in content["languages"]]
        for name in MODELS:
            if name in content:
                content[name] = [int(one) if one.isdecimal() else one for one in content[name]]
        weights = {name: given[f"weight_{name}"] for name in WEIGHTS}
        return {**content, "weights": {name: one for name, one in weights.items() if one not in (None, 1)}}

    def recipe(self) -> Recipe:
        return Recipe(self.cleaned_data["kind"], self.cleaned_data["rule"])


def initial(recipe: Recipe) -> dict[str, Any]:
    """A recipe as the form shows it."""
    said = recipe.rule.stored()
    weights = said.pop("weights")
    for name in ("tags", "without_tags", "people", "without_people"):
        said[name] = joined(said[name])
    said["languages"] = [one or UNKNOWN for one in said["languages"]]
    for name in MODELS:
        said[name] = [str(one) for one in said[name]]
    said["metadata"] = metadata_lines(said["metadata"])
    return {"kind": recipe.kind, **said, **{f"weight_{name}": value for name, value in weights.items()}}


def _tags(project: Project) -> list[str]:
    """Those of the newest prompts: enough to show what tags are like, however many prompts there are."""
    newest = Prompt.objects.filter(project=project).order_by("-id").values_list("tags", flat=True)[:2000]
    return sorted({tag for tags in newest for tag in tags})


def _there(names: list[str]) -> str:
    if not names:
        return "Commas between them."
    more = ", …" if len(names) > MOST_NAMED else ""
    return f"Commas between them. There are: {joined(names[:MOST_NAMED])}{more}"


class RecipeFileForm(forms.Form):
    file = forms.FileField(label="A recipe from a file", help_text="YAML or JSON, as a recipe is downloaded.")

    def clean_file(self) -> Recipe:
        sent = self.cleaned_data["file"]
        return recipes.read(sent.read(recipes.LARGEST + 1))


class SaveForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name of the recipe")


def recipe_of(saved: RecipeVersion) -> Recipe:
    return Recipe(saved.kind, Rule.model_validate(saved.rule))
