"""One answer, walked back to the labels behind the models that gave it; and a model's answers, to their labels."""

from typing import Any

from django.db.models import Prefetch, QuerySet

from annotation.models import Label, Response
from training import registry
from training.models import ModelVersion, Sample


def of_response(response: Response) -> dict[str, Any]:
    """Response → generations → model versions and their ancestors → runs → snapshots → labels → people."""
    samples = (
        Sample.objects.filter(response=response)
        .select_related("generation__model_version", "generation__run")
        .order_by("id")
    )
    generations = {sample.generation_id: sample.generation for sample in samples}
    return {
        "response": response.pk,
        "prompt": response.prompt_id,
        "origin": response.origin,
        "edited_from": response.edited_from_id,
        "generations": [
            {
                "generation": pk,
                "run": generation.run_id,
                "shown": generation.run.snapshot_id,
                "model": of_model(generation.model_version),
            }
            for pk, generation in generations.items()
        ],
    }


def of_model(version: ModelVersion) -> dict[str, Any]:
    """A version with its ancestors, each with the run and the snapshot it came from, and the labels behind it all."""
    labels = registry.labels_behind(version).order_by("id").values_list("pk", flat=True)
    return {
        "id": version.pk,
        "name": version.name,
        "ancestry": [
            {
                "id": one.pk,
                "name": one.name,
                "run": one.run_id,
                "method": one.run.method if one.run else None,
                "snapshot": one.run.snapshot_id if one.run else None,
                "others": [source.snapshot_id for source in one.run.sources.all()] if one.run else [],
                "teacher": one.run.teacher_id if one.run else None,
            }
            for one in version.ancestry()
        ],
        "labels": list(labels),
        "people": [{"person": name, "labels": n} for name, n in registry.people_behind(version)],
    }


def answers_of(version: ModelVersion, *, judged: bool | None = None, run: int | None = None) -> QuerySet[Response]:
    """The answers this version gave, each with the live labels of items that showed it (`label.item.labels`).

    `judged` keeps those that have such a label, or those that have none; `run` those that this run sampled.
    """
    samples = Sample.objects.filter(generation__model_version=version)
    if run is not None:
        samples = samples.filter(generation__run_id=run)
    rows = Response.objects.filter(pk__in=samples.values("response"))
    if judged is not None:
        said = Label.objects.live().values("item__answers__response")
        rows = rows.filter(pk__in=said) if judged else rows.exclude(pk__in=said)
    live = Label.objects.live().select_related("person").order_by("id")
    return rows.prefetch_related("items", Prefetch("items__labels", live, to_attr="live_labels"))
