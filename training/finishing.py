"""What becomes of a run that has ended: a model version, new answers, or an error a person can act on."""

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from annotation.asking import add_response
from annotation.models import Prompt
from annotation.models.events import record
from annotation.models.prompts import Origin
from annotation.text import as_seen
from training import artifacts, paraphrasing, registry, suggestions, toxicity
from training.causes import CAUSES
from training.easing import halved
from training.models import Generation, ModelVersion, Paraphrase, Run, Sample
from training.models.registry import Format, ModelKind
from training.models.runs import Status
from training.runs import checked_settings, give_up_waiting, method_of

BATCH = 2000


def finish(*, run: Run, result: dict[str, Any]) -> None:
    """Store the outcome of a claimed run: everything it yielded and its new status, or neither."""
    if result.get("status") != "ok":
        fail(run=run, reason=result.get("reason", "crashed"), error=result.get("error", "No reason was given."))
        return
    output = run.folder / result["output"] if "output" in result else None
    is_model = run.method == "convert" or method_of(run.method).produces is not None
    digest = registry.folder_hash(output) if is_model and output is not None else ""
    if output is not None:  # before there is a row that says where it is
        artifacts.keep(str(output.relative_to(registry.store())))
    wordings = paraphrasing.judged(run, output) if run.method == "paraphrase" and output is not None else []
    with transaction.atomic():
        is_ours = _end(
            run,
            status=Status.SUCCEEDED,
            metrics=result.get("metrics", {}),
            rows=result.get("rows", {}),
            environment={**run.environment, **result.get("environment", {})},
        )
        if not is_ours:
            return
        version = _register(run, result, digest) if is_model else run.base
        match run.method:
            case "generate" if output is not None:
                _take_in(run, output)
            case "classify" | "suggest" if version is not None:
                suggestions.take_in(run=run, version=version, path=run.folder / "suggestions.jsonl")
            case "toxicity" if output is not None:
                toxicity.take_in(run, output)
            case "paraphrase":
                Paraphrase.objects.bulk_create(wordings, batch_size=BATCH)


@transaction.atomic
def fail(*, run: Run, reason: str, error: str) -> None:
    """Record why a claimed run did not succeed, or queue it again where that may help.

    Tried again, while attempts are left: a stop or a kill that nobody here asked for, and, once, a run for which memory
    ran out, with half the batch.
    """
    fresh = Run.objects.select_for_update().get(pk=run.pk)
    reason = reason if reason in CAUSES else "crashed"
    attempts_left = fresh.attempt < fresh.max_attempts and not fresh.cancel_requested
    again = {"status": Status.QUEUED, "finished_at": None, "worker": "", "pid": None, "pid_started": None}
    if reason in ("cancelled", "killed") and attempts_left:
        _end(run, **again)
        return
    if reason == "out_of_memory" and attempts_left and not fresh.eased and (eased := _eased(fresh)):
        if _end(run, **again, eased=eased):
            record("run eased", run, project=run.project, actor=None, **eased)
        return
    if reason in ("cancelled", "killed") and fresh.cancel_requested:
        _end(run, status=Status.CANCELLED, reason="cancelled")
    else:
        _end(run, status=Status.FAILED, reason=reason, error=error)
    give_up_waiting()


def _eased(run: Run) -> dict[str, Any]:
    """Settings that need less memory; empty if there are none that the method allows."""
    eased = halved(run.settings)
    try:
        checked_settings(run.method, {**run.settings, **eased})
    except ValidationError:
        return {}
    return eased


def _end(run: Run, **changes: Any) -> bool:
    changes = {"finished_at": timezone.now(), **changes}
    mine = Run.objects.filter(pk=run.pk, status=Status.RUNNING, worker=run.worker, attempt=run.attempt)
    return bool(mine.update(**changes))


def _register(run: Run, result: dict[str, Any], digest: str) -> ModelVersion:
    kind = method_of(run.method).produces or run.inputs.get("kind", ModelKind.POLICY)
    parent = run.base
    if kind != ModelKind.POLICY and parent is not None and parent.kind == ModelKind.POLICY:
        parent = parent.full_weights()  # it was trained on these alone
    location = (run.folder / result["output"]).relative_to(registry.store())
    version = ModelVersion.objects.create(
        project=run.project,
        name=run.inputs.get("name") or f"{run.method}-{run.pk}",
        kind=kind,
        format=result["format"],
        parent=parent,
        run=run,
        location=str(location),
        sha256=digest,
        card={
            "metrics": result.get("metrics", {}),
            "rows": result.get("rows", {}),
            **({"labels": result["labels"]} if "labels" in result else {}),
            **({"licence": run.inputs["licence"]} if run.inputs.get("licence") else {}),
        },
    )
    first = not ModelVersion.objects.filter(project=run.project).production().exists()
    if run.method == "convert" and kind == ModelKind.POLICY and version.format != Format.ENDPOINT and first:
        registry.promote(version=version, reason="the project's first model")
    return version


def _take_in(run: Run, path: Path) -> Generation:
    """Sampled answers become responses; the link to the model that gave them stays in this room. An answer without a
    word is none, and the prompt is remembered if there is no other."""
    assert run.base is not None
    generation = Generation.objects.create(
        project=run.project, run=run, model_version=run.base, settings=run.settings, seed=run.seed
    )
    prompts = Prompt.objects.filter(project=run.project).in_bulk([row["id"] for row in run.inputs.get("prompts", [])])
    answered, silent = set(), set()
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            text = row["text"].replace("\x00", "").strip()
            if not as_seen(text):
                silent.add(row["prompt_id"])
                continue
            answered.add(row["prompt_id"])
            response, _ = add_response(prompt=prompts[row["prompt_id"]], text=text, origin=Origin.MODEL)
            Sample.objects.create(
                generation=generation,
                response=response,
                index=row["sample"],
                tokens=row["tokens"],
                finished=row["finished"],
            )
    generation.silent = sorted(silent - answered)
    generation.save(update_fields=["silent"])
    return generation
