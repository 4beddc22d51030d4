"""What room 1 must not know and its leads may: which model gave an answer, and which tags models suggest. Browse gets
at it by name (settings.MORE_FILTERS, settings.WRITTEN_BY)."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.db.models import Exists, OuterRef, Q

from annotation.filters import ANSWER, PROMPT, Filter, Rare
from annotation.models import Project
from training import suggestions
from training.models import ModelVersion, Sample, TagSuggestion
from training.models.registry import ModelKind


def _gave_it(view: str, value: Any) -> Q:
    given = Sample.objects.filter(generation__model_version__name=value, response=OuterRef("pk"))
    return Q(Exists(given.filter(generation__project=OuterRef("prompt__project"))))


def _rare(project: Project, view: str, value: Any) -> Rare:
    samples = Sample.objects.filter(generation__project=project, generation__model_version__name=value)
    return Rare(samples, ANSWER, "response_id")


def _names(project: Project) -> list[tuple[str, str]]:
    names = ModelVersion.objects.policies().filter(project=project).order_by("-pk").values_list("name", flat=True)
    return [(name, name) for name in names]


BY_MODEL = Filter("model", lambda view, value: ANSWER, _gave_it, _rare, leads=True, label="Model", choices=_names)


def _is_suggested(view: str, value: Any) -> Q:
    return Q(Exists(TagSuggestion.objects.open().filter(tag=value, prompt=OuterRef("pk"))))


def _rare_suggestions(project: Project, view: str, value: Any) -> Rare:
    return Rare(TagSuggestion.objects.open().filter(project=project, tag=value), PROMPT, "prompt_id")


def _tags(project: Project) -> list[tuple[str, str]]:
    """All that some model of the project can suggest, whether any such suggestion waits or not: an address that was
    kept still says what it said."""
    models = ModelVersion.objects.filter(project=project, kind=ModelKind.CLASSIFIER).select_related("run")
    known = {
        one["tag"] for version in models.defer("run__inputs") for one in suggestions.table(version) if one["learned"]
    }
    return [(tag, tag) for tag in sorted(known)]


BY_SUGGESTION = Filter(
    "suggested",
    lambda view, value: PROMPT,
    _is_suggested,
    _rare_suggestions,
    leads=True,
    label="Suggested tag",
    choices=_tags,
)


def written_by(responses: Collection[int]) -> dict[int, list[str]]:
    """The names of the models that gave these answers, by the answer's id."""
    found: dict[int, list[str]] = defaultdict(list)
    samples = Sample.objects.filter(response__in=responses).order_by("generation__model_version_id")
    for response, name in samples.values_list("response_id", "generation__model_version__name").distinct():
        found[response].append(name)
    return found
