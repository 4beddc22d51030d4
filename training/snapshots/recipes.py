"""A recipe is a kind of data and a rule, as a file that one can keep in git: YAML, of which JSON is a part."""

import json
from dataclasses import dataclass
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from pydantic import ValidationError as SettingsError

from training.models.snapshots import SnapshotKind
from training.snapshots.rules import Rule

LARGEST = 64 * 1024
HEAD = "# What a snapshot is made of. Freeze it with: manage.py snapshot PROJECT --recipe FILE\n"


@dataclass(frozen=True)
class Recipe:
    kind: str
    rule: Rule


def written(recipe: Recipe, form: str = "yaml") -> str:
    """The file: what is not as it is by default. `form` is yaml or json.

    >>> print(written(Recipe("preferences", Rule(minimum_agreement=0.75, languages=["no"]))))
    # What a snapshot is made of. Freeze it with: manage.py snapshot PROJECT --recipe FILE
    kind: preferences
    minimum_agreement: 0.75
    languages:
    - 'no'
    <BLANKLINE>
    """
    content = {"kind": recipe.kind, **recipe.rule.told()}
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def read(data: bytes) -> Recipe:
    """What a file says. Raises ValidationError with what is wrong with it."""
    if len(data) > LARGEST:
        raise ValidationError("That file is too large for a recipe: it has 64 KB at most.")
    try:
        content: Any = yaml.safe_load(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" The trouble is in line {place.line + 1}." if place else ""
        raise ValidationError(f"That is no recipe: it is neither YAML nor JSON.{where}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValidationError("That is no recipe: write kind: and the names of a rule, each on a line.")
    kind = content.pop("kind", None)
    if kind not in SnapshotKind.values:
        raise ValidationError(f"A recipe begins with its kind: {', '.join(SnapshotKind.values)}.")
    return Recipe(str(kind), checked(content))


def checked(content: dict[str, Any]) -> Rule:
    """The rule. Raises ValidationError with a sentence for each thing that is wrong."""
    try:
        return Rule.model_validate(content)
    except SettingsError as error:
        raise ValidationError(sentences(error)) from error


def sentences(error: SettingsError) -> list[str]:
    found = []
    for one in error.errors():
        where = ".".join(str(part) for part in one["loc"])
        said = one["msg"].removeprefix("Value error, ").rstrip(".")
        found.append(f"{where}: {said}." if where else f"{said}.")
    return found
