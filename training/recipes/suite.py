"""Public suites of questions, asked by EleutherAI's evaluation harness of a model and of the one it came from.

    python -m training.recipes.suite <folder>

    spec.json  {"method": "suite", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"reference": "<folder>"}, "settings": {"tasks": "arc_easy, hellaswag", ...}}

A line of `<folder>/scores.jsonl` is {"suite", "by", "scores"}: what each question of one suite was worth, by measure
and question, as in {"acc": {"arc_easy 0": 1.0}}; `by` is "model" or "reference". A suite of several tasks holds the
questions of all. A run that was stopped goes on with the next suite; without a reference the model is asked alone.

The harness fetches its questions from a hub. A folder of one's own suites is named by `TOUCHSTONE_SUITES`.

Left out: measures that are no mean over questions, such as a perplexity, those that are programs from the hub, and
suites that the harness marks as running what a model writes.
"""

import os
from collections import defaultdict
from importlib.metadata import version
from math import isclose, isfinite
from numbers import Real
from random import Random
from typing import Any

from training.causes import is_disk_full
from training.recipes.contract import BadData, Failed, Job, Journal, ModelSpec, main

LOWER = ", lower is better"
LONGEST_MEASURE = 46  # characters, so that what the evaluation room adds still fits
Scores = dict[str, dict[str, float]]


def run(job: Job) -> dict[str, Any]:
    from training.recipes import models

    loaded = suites(job.settings.suites)
    asked = {"model": job.model}
    if "reference" in job.spec.data:
        asked["reference"] = ModelSpec(base=job.data("reference"))
    written = Journal(job.folder / "scores.jsonl", writes=job.is_main)
    done = {(row["suite"], row["by"]) for row in written.keep(lambda row: True)}
    job.metrics.keep(lambda line: "event" in line)

    for by, spec in asked.items():
        waiting = [name for name in loaded if (name, by) not in done]
        if not waiting:
            continue
        reader = _reader(spec, job.settings.batch_size)
        for name in waiting:
            job.stop.check()
            scores = _scores(reader, loaded[name], job)
            if not scores:
                raise BadData(f"The suite {name} has no measure that is a mean over questions: choose another.")
            with job.stop.gently():
                written.append({"suite": name, "by": by, "scores": scores})
                done.add((name, by))
                job.metrics.append({"step": len(done), "total": len(asked) * len(loaded)})
        del reader  # its memory is wanted for the next one
    job.stop.check()

    own = [row["scores"] for row in written.read() if row["by"] == "model"]
    questions = sum(len({one for worth in scores.values() for one in worth}) for scores in own)
    return {
        "output": "scores.jsonl",
        "metrics": {"suites": len(loaded), "questions": questions},
        "environment": {**models.environment(models.frozen_dtype()), "lm_eval": version("lm_eval")},
    }


def suites(names: list[str]) -> dict[str, Any]:
    """The tasks of each suite, with their questions. Raises BadData for one that cannot be asked here, and Failed if
    the questions cannot be fetched now."""
    os.environ["HF_EVALUATE_OFFLINE"] = "1"  # a measure from the hub is a program
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise BadData(
            "The evaluation harness is not installed here: pip install '.[suites]' where the gpu worker runs."
        ) from error

    known = TaskManager(include_path=os.environ.get("TOUCHSTONE_SUITES") or None)
    loaded = {}
    for name in names:
        if name not in known.all_tasks:  # it would take a path, too
            raise BadData(f"The harness knows no suite {name!r}: `lm-eval ls tasks` lists what it knows.")
        try:
            loaded[name] = known.load([name])
        except Exception as error:  # of the hub's and of the suite's own making
            if is_disk_full(error):
                raise
            if isinstance(error, ConnectionError):
                raise Failed(f"The questions of {name} could not be fetched: see to the hub, then retry.") from error
            raise BadData(f"The suite {name} cannot be asked here: {error}") from error
        for task in loaded[name]["tasks"].values():
            if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
                raise BadData(f"The suite {name} runs what a model writes, or shows pictures: choose another.")
    return loaded


def _reader(spec: ModelSpec, batch_size: int) -> Any:
    import torch
    from lm_eval.models.huggingface import HFLM

    from training.recipes import models

    model = models.load_policy(spec, models.frozen_dtype()).to(models.device()).eval()
    if not isinstance(model, torch.nn.Module):
        raise BadData("The harness cannot ask a model with learned words in front: choose another.")
    return HFLM(pretrained=model, tokenizer=models.load_tokenizer(spec.base), batch_size=batch_size)


def _scores(reader: Any, suite: Any, job: Job) -> Scores:
    """By measure, what each question was worth; the same questions whoever is asked."""
    from lm_eval.evaluator import evaluate
    from transformers import set_seed

    set_seed(job.spec.seed)
    drawn = {}
    for name, task in suite["tasks"].items():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=job.spec.seed)
        count = len(task.eval_docs)
        drawn[name] = sorted(Random(job.spec.seed).sample(range(count), min(count, job.settings.most)))
    found = evaluate(
        reader,
        suite,
        samples=drawn,
        apply_chat_template=job.settings.chat,
        bootstrap_iters=0,  # intervals are the evaluation room's
    )
    scores: Scores = defaultdict(dict)
    for task, samples in found["samples"].items():
        worth: Scores = defaultdict(dict)
        for sample in samples:
            for measure in sample["metrics"]:
                if isinstance(sample[measure], Real):
                    worth[f"{measure},{sample['filter']}"][f"{task} {sample['doc_id']}"] = float(sample[measure])
        for measure, by_question in worth.items():
            if _is_mean(found["results"][task].get(measure), list(by_question.values())):
                better = found["higher_is_better"].get(task, {}).get(measure.partition(",")[0], True)
                scores[_named(measure, better)] |= by_question
    return dict(scores)


def _is_mean(told: Any, values: list[float]) -> bool:
    """Whether the harness, too, takes the mean over questions, and not something else of them."""
    mean = sum(values) / len(values)
    return isinstance(told, Real) and isfinite(mean) and isclose(float(told), mean, rel_tol=1e-6, abs_tol=1e-9)


def _named(measure: str, higher_is_better: bool | None) -> str:
    """
    >>> _named("acc,none", True), _named("exact_match,strict-match", True), _named("brier_score,none", False)
    ('acc', 'exact_match, strict-match', 'brier_score, lower is better')
    """
    name, _, filtered = measure.partition(",")
    said = name if filtered in ("", "none") else f"{name}, {filtered}"
    ends = LOWER if higher_is_better is False else ""
    return said[: LONGEST_MEASURE - len(ends)] + ends


if __name__ == "__main__":
    main("suite", run)
