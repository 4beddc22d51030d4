"""The first comparisons of a project: pairs among one model's own answers, before there is anything to select by."""

from itertools import combinations
from random import Random
from typing import Any

from annotation.asking import ask
from annotation.models import Project, Prompt, Response, User
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Split
from training import runs
from training.models import ModelVersion, Run
from training.models.runs import Status


def sample_and_compare(
    *,
    project: Project,
    model: ModelVersion,
    prompts: list[Prompt],
    pairs_per_prompt: int,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    actor: User | None = None,
) -> Run:
    """Have a model answer prompts; when it has, pairs of its answers to each prompt are queued to be ranked."""
    return runs.start(
        project=project,
        method="generate",
        base=model,
        settings=settings,
        inputs={
            "prompts": [{"id": prompt.pk, "messages": prompt.messages} for prompt in prompts],
            "after": {"pairs_per_prompt": pairs_per_prompt},
        },
        seed=seed,
        actor=actor,
    )


def compare_samples(run: Run) -> int:
    """Queue the pairs that `sample_and_compare` promised; returns how many are new. Safe to call again."""
    wanted = run.inputs.get("after", {}).get("pairs_per_prompt", 0)
    if run.status != Status.SUCCEEDED or not wanted:
        return 0
    by_prompt: dict[int, list[Response]] = {}
    for response in run.generation.responses.select_related("prompt").distinct().order_by("id"):
        by_prompt.setdefault(response.prompt_id, []).append(response)
    queued = 0
    for responses in by_prompt.values():
        pairs = list(combinations(responses, 2))
        Random(run.seed).shuffle(pairs)
        for first, second in pairs[:wanted]:
            heldout = first.prompt.split == Split.HELDOUT
            _, created = ask(
                project=run.project,
                prompt=first.prompt,
                kind=Kind.COMPARISON,
                responses=[first, second],
                purpose=Purpose.HEAD_TO_HEAD if heldout else Purpose.TRAIN,
                selection={"selector": "random", "run": run.pk},
            )
            queued += created
    return queued
