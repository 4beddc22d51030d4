"""Recipes under a name. Saving one again makes its next version, and the earlier ones stay as they were."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from annotation.models import Project, User
from annotation.models.events import record
from annotation.text import why_unstorable
from training.models import RecipeVersion
from training.snapshots import filters
from training.snapshots.rules import Rule

LONGEST = 80


@transaction.atomic
def save(*, project: Project, name: str, kind: str, rule: Rule, actor: User | None = None) -> RecipeVersion:
    """Save a recipe under a name; if its newest version is the same, that one is returned.

    Raises ValidationError for a name that is none, or if the rule names what the project has not.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise ValidationError(f"Give the recipe a name of up to {LONGEST} characters.")
    if why := why_unstorable(name):
        raise ValidationError(f"The name {why}.")
    filters.check(project, rule)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two at once would take one number
    last = RecipeVersion.objects.filter(project=project, name=name).first()
    if last is not None and (last.kind, Rule.model_validate(last.rule)) == (kind, rule):
        return last
    number = last.number + 1 if last else 1
    made = RecipeVersion.objects.create(
        project=project, name=name, number=number, kind=kind, rule=rule.stored(), created_by=actor
    )
    record("recipe saved", made, project=project, actor=actor, name=name, number=number)
    return made


def newest(project: Project) -> QuerySet[RecipeVersion]:
    """The newest version of each of the project's recipes."""
    return RecipeVersion.objects.filter(project=project).order_by("name", "-number").distinct("name")
