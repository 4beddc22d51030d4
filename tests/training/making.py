"""What people said about items, models without weights, and runs that have ended as if a worker had done them."""

import itertools
import json
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from annotation import labelling
from annotation.asking import ask
from annotation.labelling import Said
from annotation.models import Assignment, Item, Label, Membership, Project, Prompt
from tests.annotation.making import a_prompt, an_answer
from training import finishing, runs
from training.models import ModelVersion, Run

_number = itertools.count(1)


def says(member: Membership, item: Item, **said: Any) -> Label:
    """The member judges this very item; `ranks` run over its answers in the order they were asked about."""
    now = timezone.now()
    order = list(item.answers.order_by("order").values_list("response_id", flat=True))
    Item.objects.filter(pk=item.pk).update(taken=F("taken") + 1)
    assignment = Assignment.objects.create(
        item=item, person=member.person, leased_at=now, lease_until=now + timedelta(hours=1), order=order
    )
    return labelling.submit(assignment=assignment, said=Said(**said))


def compares(prompt: Prompt, *texts: str, **more: Any) -> Item:
    responses = [an_answer(prompt, text) for text in texts]
    more.setdefault("wanted", 9)
    return ask(project=prompt.project, prompt=prompt, kind="comparison", responses=responses, **more)[0]


def demonstrates(prompt: Prompt, draft: str | None = "A draft.", **more: Any) -> Item:
    responses = [] if draft is None else [an_answer(prompt, draft)]
    more.setdefault("wanted", 9)
    return ask(project=prompt.project, prompt=prompt, kind="demonstration", responses=responses, **more)[0]


def a_preference(member: Membership, prompt: Prompt | None = None, **more: Any) -> Label:
    """The first of two answers is better."""
    prompt = prompt or a_prompt(member.project)
    number = next(_number)
    return says(member, compares(prompt, f"good {number}", f"bad {number}", **more), ranks=(1, 2), strength=2)


def an_edit(member: Membership, prompt: Prompt | None = None) -> Label:
    prompt = prompt or a_prompt(member.project)
    number = next(_number)
    return says(member, demonstrates(prompt, f"draft {number}"), verdict="edit", text=f"clean {number}")


def a_model(project: Project, name: str = "base", **more: Any) -> ModelVersion:
    """A row of the registry without any weights behind it."""
    values = {"kind": "policy", "format": "full", "location": f"{project.slug}/{name}", **more}
    return ModelVersion.objects.create(project=project, name=name, **values)


def a_model_on_disk(project: Project, name: str = "base", **more: Any) -> ModelVersion:
    """The same, with a folder that looks like a model's."""
    version = a_model(project, name, **more)
    version.path.mkdir(parents=True)
    (version.path / "config.json").write_text("{}")
    return version


def a_classifier(project: Project, base: ModelVersion, *tags: str) -> ModelVersion:
    """A row of the registry that says it was trained on these tags, and learned them."""
    run = Run.objects.create(project=project, method="classify", base=base, status="succeeded")
    card = {"metrics": {"by_tag": [{"tag": tag, "learned": True} for tag in tags]}}
    return a_model(project, "tags", kind="classifier", format="adapter", parent=base, run=run, card=card)


def claimed(run: Run | None = None, *, worker: str = "elsewhere:1") -> Run:
    """The oldest queued run, or this one, as a worker holds it."""
    found = runs.claim(worker=worker, run_id=run.pk if run else None)
    assert found is not None, "there is no queued run"
    return found


def succeeds(run: Run, lines: list[dict[str, Any]] | None = None, **metrics: Any) -> Run:
    """End a queued run well, with a folder as its recipe leaves it: a model, or `lines` in the file it names; of a
    classifier both."""
    run = claimed(run)
    method = runs.method_of(run.method)
    result: dict[str, Any] = {
        "status": "ok",
        "metrics": {"steps": 1, **metrics},
        "rows": {"kept": 1},
        "environment": {},
    }
    run.folder.mkdir(parents=True, exist_ok=True)
    if method.produces or run.method == "convert":
        (run.folder / "model").mkdir(exist_ok=True)
        (run.folder / "model" / "weights").write_text(f"weights of run {run.pk}")
        result |= {"output": "model", "format": "full" if run.method == "convert" else "adapter"}
        if run.method == "classify":
            (run.folder / "suggestions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines or []))
    else:
        names = dict.fromkeys(("generate", "paraphrase"), "responses.jsonl")
        names |= {"score": "scores.jsonl", "measure": "measures.jsonl", "suggest": "suggestions.jsonl"}
        name = names.get(run.method, "features.jsonl")
        (run.folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines or []))
        result["output"] = name
    finishing.finish(run=run, result=result)
    run.refresh_from_db()
    assert run.status == "succeeded"
    return run


def fails(run: Run, *, reason: str = "bad_data", error: str = "No row was left.") -> Run:
    run = claimed(run)
    finishing.finish(run=run, result={"status": "failed", "reason": reason, "error": error})
    run.refresh_from_db()
    return run
