"""What a project's tags can teach, and which prompts have none."""

from collections.abc import Collection
from random import Random
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet

from annotation.models import Project, Prompt
from annotation.models.prompts import Split
from training.methods.tagging import ClassifySettings, Learnable, learnable

MOST_TAUGHT = 10_000  # prompts that a model learns from
MOST_MEASURED = 2_000  # held-out prompts that it is measured on


def prompts(project: Project) -> QuerySet[Prompt]:
    return Prompt.objects.kept().originals().filter(project=project)


def teaches(project: Project, settings: ClassifySettings) -> Learnable:
    """What the tags of the training prompts are enough for."""
    rows = prompts(project).filter(split=Split.TRAIN).exclude(tags=[]).values("tags").order_by()
    counts = {tuple(row["tags"]): row["n"] for row in rows.annotate(n=Count("pk"))}
    return learnable(counts, settings.wanted, settings.fewest)


def inputs(project: Project, settings: ClassifySettings, known: Learnable, seed: int) -> dict[str, Any]:
    """What a run is given: tagged prompts of both splits, drawn by the seed if there are very many, and the newest
    without any of the tags."""
    drawn = [
        pk
        for split, most in ((Split.TRAIN, MOST_TAUGHT), (Split.HELDOUT, MOST_MEASURED))
        for pk in _drawn(prompts(project).filter(split=split, tags__overlap=list(known.tags)), most, seed)
    ]
    found = Prompt.objects.in_bulk(drawn)
    rows = [
        {"id": pk, "messages": found[pk].messages, "tags": found[pk].tags, "split": found[pk].split} for pk in drawn
    ]
    return {"prompts": rows, "untagged": untagged(project, known.tags, settings.suggest)}


def untagged(project: Project, tags: Collection[str], most: int, read_by: Collection[int] = ()) -> list[dict[str, Any]]:
    """The newest prompts without any of the tags that none of these runs has read."""
    rows = prompts(project).exclude(tags__overlap=list(tags)).exclude(pk__in=_read(read_by))
    return [dict(row) for row in rows.order_by("-pk").values("id", "messages")[:most]]


def _drawn(rows: QuerySet[Prompt], most: int, seed: int) -> list[int]:
    ids = list(rows.order_by("sha256").values_list("pk", flat=True))
    return ids if len(ids) <= most else Random(seed).sample(ids, most)


def _read(runs: Collection[int]) -> list[int]:
    """Without fetching what the runs were given to read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT (jsonb_array_elements(inputs -> 'untagged') ->> 'id')::bigint FROM training_run "
            "WHERE id = ANY(%s)",
            [list(runs)],
        )
        return [row[0] for row in cursor.fetchall()]
