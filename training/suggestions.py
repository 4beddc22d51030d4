"""Tags that a classifier suggests: asked for, taken in, accepted or dismissed.

A suggestion is accepted by putting its tag on the prompt, by whichever door: `tags_changed` is told by the annotators'
room (settings.TAGS_CHANGED) within the same transaction. So whoever put the tag on is the one who accepted it, and
undoing that change opens the suggestion again.
"""

import json
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from django.utils import timezone

from annotation import bulk
from annotation.models import Project, Prompt, User
from annotation.models.events import record
from training import runs, tagged
from training.methods import METHODS
from training.models import ModelVersion, Run, TagSuggestion
from training.models.registry import ModelKind
from training.models.runs import Status
from training.models.suggestions import DECIDED, State

SUGGEST = METHODS["suggest"]
AT_ONCE = 1000
MOST_DECIDED = bulk.SELECTED  # by hand, at once
NOT_READ = (Status.FAILED, Status.CANCELLED)  # what such runs were given to read


def knows_tags(version: ModelVersion) -> bool:
    """Whether a classifier was trained here, on tags; one that was imported has labels of its own."""
    return version.kind == ModelKind.CLASSIFIER and version.run is not None and version.run.method == "classify"


def table(version: ModelVersion) -> list[dict[str, Any]]:
    """What is known of each tag, as the run measured it (training/recipes/classify.py)."""
    return version.card.get("metrics", {}).get("by_tag", []) if knows_tags(version) else []


def standing(version: ModelVersion) -> list[dict[str, Any]]:
    """The table, and of each tag how many suggestions are open, accepted and dismissed."""
    given = TagSuggestion.objects.filter(model_version=version)
    decided = given.filter(state__in=DECIDED).values("tag", "state").order_by()
    counts = {(row["tag"], row["state"]): row["n"] for row in decided.annotate(n=Count("pk"))}
    waiting = given.open().values("tag").order_by().annotate(n=Count("pk"))
    counts |= {(row["tag"], State.OPEN.value): row["n"] for row in waiting}
    names = [State.OPEN.value, *(state.value for state in DECIDED)]
    return [{**one, **{name: counts.get((one["tag"], name), 0) for name in names}} for one in table(version)]


@transaction.atomic
def ask(
    *, version: ModelVersion, settings: dict[str, Any] | None = None, actor: User | None = None, wake: bool = True
) -> Run:
    """Queue a run in which a classifier suggests tags for prompts that it has not read yet.

    Raises ValidationError if it knows no tags, or if there is no such prompt.
    """
    if not knows_tags(version):
        raise ValidationError(f"{version} was not trained on tags, and cannot suggest any.")
    chosen = runs.checked_settings(SUGGEST.name, settings or {})
    names = [one["tag"] for one in table(version)]
    reading = Run.objects.filter(base=version, method=SUGGEST.name).exclude(status__in=NOT_READ)
    before = [version.run_id, *reading.values_list("pk", flat=True)]
    found = tagged.untagged(version.project, names, chosen["suggest"], [pk for pk in before if pk is not None])
    if not found:
        raise ValidationError("Every prompt has one of its tags, or was read already: there is none to suggest for.")
    inputs = {"untagged": found}
    return runs.start(
        project=version.project,
        method=SUGGEST.name,
        base=version,
        settings=settings,
        inputs=inputs,
        actor=actor,
        wake=wake,
    )


def take_in(*, run: Run, version: ModelVersion, path: Path) -> int:
    """Store what a run suggests, in the caller's transaction; returns how many are new. Safe to call again.

    On the prompts it read its word replaces what other models suggested of the same tags and nobody decided. What was
    decided stays decided, and what a prompt was given meanwhile is not suggested.
    """
    names = [one["tag"] for one in table(version)]
    read = [row["id"] for row in run.inputs.get("untagged", [])]
    others = TagSuggestion.objects.filter(project=run.project_id, state=State.OPEN, tag__in=names)
    others.filter(prompt__in=read).exclude(model_version=version).update(state=State.REPLACED)
    before = TagSuggestion.objects.filter(model_version=version).count()
    with path.open(encoding="utf-8") as file:  # by lines as they were written: a tag may hold other ends of lines
        lines = [json.loads(line) for line in file]
    for start in range(0, len(lines), AT_ONCE):
        some = lines[start : start + AT_ONCE]
        own = Prompt.objects.filter(project=run.project_id, pk__in={line["id"] for line in some})
        tags = dict(own.values_list("pk", "tags"))
        found = [
            TagSuggestion(
                project=run.project,
                prompt_id=line["id"],
                tag=line["tag"],
                model_version=version,
                run=run,
                confidence=line["confidence"],
            )
            for line in some
            if line["id"] in tags and line["tag"] not in tags[line["id"]]
        ]
        _open_again(version, found)
        TagSuggestion.objects.bulk_create(found, ignore_conflicts=True)
    return TagSuggestion.objects.filter(model_version=version).count() - before


def _open_again(version: ModelVersion, found: Collection[TagSuggestion]) -> None:
    """What a version says again that another's word had replaced, of which none stands now."""
    said = {(one.prompt_id, one.tag) for one in found}
    standing = TagSuggestion.objects.exclude(state=State.REPLACED).filter(
        prompt=OuterRef("prompt"), tag=OuterRef("tag")
    )
    replaced = version.tag_suggestions.filter(
        ~Exists(standing), state=State.REPLACED, prompt__in={pk for pk, _ in said}
    )
    again = [pk for pk, *what in replaced.values_list("pk", "prompt", "tag") if tuple(what) in said]
    TagSuggestion.objects.filter(pk__in=again).update(state=State.OPEN)


@transaction.atomic
def accept(*, project: Project, suggestions: Collection[int], actor: User) -> int:
    """Put these suggestions' (ids) tags on their prompts, by a change that can be undone under Changes; returns how
    many were open. Raises ValidationError for more than are decided by hand."""
    wanted = _open(project, suggestions)
    for tag, prompts in _by_tag(wanted).items():
        bulk.start(project=project, actor=actor, prompts=prompts, add_tags=[tag])
        # Where somebody else was quicker, and a tag that was imported with a space before it, which is put on without.
        tags_changed(project=project.pk, tag=tag, on=True, prompts=prompts, actor=actor, undoes=False)
    return len(wanted)


@transaction.atomic
def dismiss(*, project: Project, suggestions: Collection[int], actor: User) -> int:
    """Say that these suggestions (ids) are wrong, so that no model makes them again; returns how many were open.
    Raises ValidationError for more than are decided by hand."""
    wanted = _open(project, suggestions)
    found = TagSuggestion.objects.filter(pk__in=[one.pk for one in wanted], state=State.OPEN)
    count = found.update(state=State.DISMISSED, decided_by=actor, decided_at=timezone.now())
    for tag, prompts in _by_tag(wanted).items():
        record("tags dismissed", project, project=project, actor=actor, tag=tag, prompts=prompts)
    return count


def _open(project: Project, suggestions: Collection[int]) -> list[TagSuggestion]:
    if len(suggestions) > MOST_DECIDED:
        raise ValidationError(f"{MOST_DECIDED} suggestions at once are the most that are decided by hand.")
    rows = TagSuggestion.objects.open().filter(project=project, pk__in=suggestions)
    prompts = Prompt.objects.filter(project=project, pk__in=rows.values("prompt")).order_by("pk")
    list(prompts.select_for_update(no_key=True).values_list("pk"))  # first, as whoever puts tags on them does
    return list(rows.select_for_update(of=["self"]).order_by("pk"))


def _by_tag(suggestions: Collection[TagSuggestion]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for one in suggestions:
        found[one.tag].append(one.prompt_id)
    return found


def of_tag(project: Project, tag: str, prompts: Collection[int]) -> list[int]:
    """The open suggestions (ids) of a tag for these prompts (ids)."""
    rows = TagSuggestion.objects.open().filter(project=project, tag=tag, prompt__in=prompts)
    return list(rows.values_list("pk", flat=True))


def of_prompts(prompts: Collection[int]) -> dict[int, list[TagSuggestion]]:
    """The open suggestions for these prompts (ids), the surest first."""
    found: dict[int, list[TagSuggestion]] = defaultdict(list)
    rows = TagSuggestion.objects.open().filter(prompt__in=prompts).select_related("model_version")
    for one in rows.defer("model_version__card").order_by("-confidence", "tag"):
        found[one.prompt_id].append(one)
    return found


def tags_changed(*, project: int, tag: str, on: bool, prompts: Collection[int], actor: User, undoes: bool) -> None:
    """What becomes of suggestions when somebody has put a tag on these prompts (ids), or taken it off."""
    rows = TagSuggestion.objects.filter(project=project, tag=tag, prompt__in=prompts)
    decided = {"decided_by": actor, "decided_at": timezone.now()}
    if on:
        rows.filter(state__in=[State.OPEN, State.DISMISSED]).update(state=State.ACCEPTED, **decided)
    elif undoes:
        rows.filter(state=State.ACCEPTED).update(state=State.OPEN, decided_by=None, decided_at=None)
    else:
        rows.filter(state__in=[State.OPEN, State.ACCEPTED]).update(state=State.DISMISSED, **decided)
