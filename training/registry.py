"""The registry: importing base models, promoting versions, and walking from answers to labels and back."""

import hashlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q

from annotation.models import Label, Project, Response, User
from annotation.models.events import record
from training import artifacts, runs
from training.models import ModelVersion, Run, Snapshot
from training.models.registry import Format, ModelKind, Stage

ENDPOINT = re.compile(r"https?://[^\s/@#?]+(/[^\s#?]*)?#\S+")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
IMPORTED = (ModelKind.POLICY.value, ModelKind.CLASSIFIER.value)


def store() -> Path:
    return Path(settings.ARTIFACTS)


def folder_hash(folder: Path) -> str:
    """sha256 over the names and bytes of a folder's files, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def bring(version: ModelVersion) -> None:
    """Have this version, and the one whose weights it lies on, on this machine, if several share a store."""
    for one in {version.full_weights(), version}:
        artifacts.bring(one.location, lambda folder, one=one: folder_hash(folder) == one.sha256)  # type: ignore[misc]


def import_model(
    *,
    project: Project,
    name: str,
    source: str,
    licence: str = "",
    kind: str = ModelKind.POLICY,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue the import of a base model from a folder, a GGUF file or a hub name, or of the address of an endpoint with
    the name of its model (https://host/v1#model); the run yields the version. A classifier comes from a folder or a hub
    name.

    Raises ValidationError if the project has a model of this name, or is importing one, if a kind is named that is
    trained and not imported, or if somebody other than a superuser names a path: folders on the server may hold other
    projects' models.
    """
    if kind not in IMPORTED:
        raise ValidationError(f"A model that is imported is one of {', '.join(IMPORTED)}.")
    if kind == ModelKind.CLASSIFIER and (ENDPOINT.fullmatch(source) or source.endswith(".gguf")):
        raise ValidationError("A classifier comes from the hub or from a folder, with its weights as safetensors.")
    elsewhere = HUB_NAME.fullmatch(source) or ENDPOINT.fullmatch(source)
    if actor is not None and not actor.is_superuser and (Path(source).exists() or not elsewhere):
        raise ValidationError(
            "Give a name on the hub, such as HuggingFaceTB/SmolLM2-135M, or an endpoint as https://host/v1#model; "
            "paths are for superusers."
        )
    if ModelVersion.objects.filter(project=project, name=name).exists():
        raise ValidationError(f"This project has a model called {name} already.")
    if Run.objects.open().filter(project=project, method="convert", inputs__name=name).exists():
        raise ValidationError(f"A model called {name} is being imported already.")
    inputs = {"source": source, "name": name, **({"licence": licence} if licence else {})}
    if kind != ModelKind.POLICY:
        inputs["kind"] = kind
    return runs.start(project=project, method="convert", inputs=inputs, actor=actor, wake=wake)


def merge(*, version: ModelVersion, actor: User | None = None, wake: bool = True) -> Run:
    """Queue a run that adds an adapter to the weights it lies on; it yields a whole model, a child of this version.

    Raises ValidationError for what has no adapter, or answers nothing.
    """
    if version.format != Format.ADAPTER or version.kind != ModelKind.POLICY:
        raise ValidationError("Only the adapter of a model that answers can be merged.")
    return runs.start(project=version.project, method="merge", base=version, actor=actor, wake=wake)


@transaction.atomic
def promote(*, version: ModelVersion, actor: User | None = None, reason: str = "") -> None:
    """Make a policy the project's production model; the one before is retired. Rollback is this, on an older one.

    Raises ValidationError for a model that does not answer, and for one whose weights are not here.
    """
    if version.kind != ModelKind.POLICY:
        raise ValidationError("Only a policy can be promoted.")
    if version.format == Format.ENDPOINT:
        raise ValidationError(f"{version} answers elsewhere, and its weights are not here: it cannot be promoted.")
    Project.objects.select_for_update(no_key=True).get(pk=version.project_id)
    before = ModelVersion.objects.filter(project_id=version.project_id).production().exclude(pk=version.pk).first()
    if before is not None:
        ModelVersion.objects.filter(pk=before.pk).update(stage=Stage.RETIRED)
    changed = ModelVersion.objects.filter(pk=version.pk).exclude(stage=Stage.PRODUCTION)
    if changed.update(stage=Stage.PRODUCTION):
        record(
            "model promoted",
            version,
            project=version.project,
            actor=actor,
            before=before.pk if before else None,
            reason=reason,
        )
    version.refresh_from_db()


def depending(version: ModelVersion) -> list[str]:
    """What hangs on a version, in words; empty if nothing does."""
    found = ["it is the production model"] if version.stage == Stage.PRODUCTION else []
    rows: defaultdict[Any, set[int]] = defaultdict(set)  # a round may name one version twice
    for relation in ModelVersion._meta.related_objects:
        which = relation.related_model._default_manager.filter(**{relation.field.name: version})
        rows[relation.related_model._meta] |= set(which.values_list("pk", flat=True))
    for names, hanging in rows.items():
        if hanging:
            found.append(f"{len(hanging)} {names.verbose_name if len(hanging) == 1 else names.verbose_name_plural}")
    return found


def delete(*, version: ModelVersion, actor: User | None = None) -> None:
    """Take a version out of the registry, with its files; the run that made it stays on record.

    Raises ValidationError, naming what, if something depends on it.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=version.project_id)
        fresh = ModelVersion.objects.select_for_update(of=["self"]).get(pk=version.pk)
        if hanging := depending(fresh):
            raise ValidationError(f"{fresh} cannot be deleted: {', '.join(hanging)}.")
        record("model deleted", fresh, project=fresh.project, actor=actor, name=fresh.name, sha256=fresh.sha256)
        path, location = fresh.path, fresh.location
        fresh.delete()
        if not Path(location).is_absolute():  # what lies elsewhere is not ours
            transaction.on_commit(lambda: artifacts.forget(path, location))


def behind(version: ModelVersion) -> list[ModelVersion]:
    """This version and all it was made of: its ancestors, the models that it or they learnt from, those
    that made rows of their data, and all of theirs.
    """
    found: dict[int, ModelVersion] = {}
    waiting = [version]
    while waiting:
        for one in waiting.pop().ancestry():
            if one.pk not in found:
                found[one.pk] = one
                if one.run and one.run.teacher:
                    waiting.append(one.run.teacher)
                for snapshot in one.run.snapshots if one.run else []:
                    made_by = snapshot.counts.get("made_by", {})
                    waiting += ModelVersion.objects.filter(project_id=one.project_id, pk__in=made_by)
    return list(found.values())


def labels_behind(version: ModelVersion) -> "Any":
    """Every label that some snapshot of this version, or of a model it was made of, holds."""
    ids = [one.pk for one in behind(version)]
    data = Snapshot.objects.filter(Q(runs__model_version__in=ids) | Q(mixed_into__run__model_version__in=ids))
    return Label.objects.filter(snapshots__in=data).distinct()


def people_behind(version: ModelVersion) -> list[tuple[str, int]]:
    """Who made this model: (user name, number of labels), most first."""
    rows = labels_behind(version).order_by().values("person__username").annotate(n=Count("id", distinct=True))
    return sorted(((row["person__username"], row["n"]) for row in rows), key=lambda pair: (-pair[1], pair[0]))


def authors_of(response: Response) -> list[ModelVersion]:
    """The model versions that gave this answer."""
    return list(ModelVersion.objects.filter(generations__samples__response=response).distinct())


def judged_answers(version: ModelVersion) -> int:
    """How many answers of this version have been judged by people."""
    return (
        Response.objects.filter(samples__generation__model_version=version, judgements__isnull=False).distinct().count()
    )
