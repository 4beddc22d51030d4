"""The first comparisons of a project: pairs among one model's own answers, before there is anything to select by."""

from itertools import combinations
from random import Random

from annotation.asking import ask
from annotation.models import Response
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Split
from annotation.text import as_seen
from training.models import Run
from training.models.runs import Status


def compare_samples(run: Run) -> int:
    """Queue the pairs that `training.sampling.sample` promised; returns how many are new. Safe to call again."""
    wanted = run.inputs.get("after", {}).get("pairs_per_prompt", 0)
    if run.status != Status.SUCCEEDED or not wanted:
        return 0
    by_prompt: dict[int, list[Response]] = {}
    for response in run.generation.responses.select_related("prompt").distinct().order_by("id"):
        by_prompt.setdefault(response.prompt_id, []).append(response)
    queued = 0
    for responses in by_prompt.values():
        different = {as_seen(response.text): response for response in reversed(responses)}
        pairs = list(combinations(sorted(different.values(), key=lambda response: response.pk), 2))
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
