"""Public suites of questions, asked by EleutherAI's evaluation harness of a model and of the one it came from.

    python -m training.recipes.suite <folder>

    spec.json  {"method": "suite", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"reference": "<folder>"}, "settings": {"tasks": "arc_easy, hellaswag", ...}}

A line of `<folder>/scores.jsonl` is {"suite", "by", "scores"}: what each question of one suite was worth, by measure
and question, as in {"acc": {"arc_easy 0": 1.0}}; `by` is "model" or "reference". A suite of several tasks holds the
questions of all. A run that was stopped goes on with the next suite; without a reference the model is asked alone.

What the harness knows it fetches from a hub. A folder of one's own suites is named by `TOUCHSTONE_SUITES`.

Left out: measures that have no value for each question, such as a perplexity of whole texts, and suites that run what a
model writes.
"""

import os
from collections import defaultdict
from importlib.metadata import version
from numbers import Real
from typing import Any

from training.recipes.contract import BadData, Job, Journal, ModelSpec, main

NOT_HERE = "The evaluation harness is not installed here: pip install '.[suites]' where the gpu worker runs."


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models

    try:
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise BadData(NOT_HERE) from error

    settings = job.settings
    suites = names(settings.tasks)
    known = TaskManager(include_path=os.environ.get("TOUCHSTONE_SUITES") or None)
    if unknown := [name for name in suites if name not in known.all_tasks]:  # it would take a path, too
        raise BadData(f"The harness knows no suite {unknown[0]!r}: `lm-eval ls tasks` lists what it knows.")

    asked = {"model": job.model}
    if "reference" in job.spec.data:
        asked["reference"] = ModelSpec(base=job.data("reference"))
    written = Journal(job.folder / "scores.jsonl", writes=job.is_main)
    done = {(row["suite"], row["by"]) for row in written.keep(lambda row: True)}
    job.metrics.keep(lambda line: "event" in line)

    for by, spec in asked.items():
        if all((name, by) in done for name in suites):
            continue
        model = models.load_policy(spec, models.frozen_dtype()).to(models.device()).eval()
        if not isinstance(model, torch.nn.Module):
            raise BadData("The harness cannot ask a model with learned words in front: choose another.")
        tokenizer = models.load_tokenizer(spec.base)
        reader = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=settings.batch_size)
        for name in suites:
            job.stop.check()
            if (name, by) in done:
                continue
            scores = _asked(reader, known, name, settings, job.spec.seed)
            with job.stop.gently():
                written.append({"suite": name, "by": by, "scores": scores})
                done.add((name, by))
                job.metrics.append({"step": len(done), "total": len(asked) * len(suites)})
    job.stop.check()

    questions = sum(len(_questions(row["scores"])) for row in written.read() if row["by"] == "model")
    return {
        "output": "scores.jsonl",
        "metrics": {"suites": len(suites), "questions": questions},
        "environment": {**models.environment(models.frozen_dtype()), "lm_eval": version("lm_eval")},
    }


def names(tasks: str) -> list[str]:
    """
    >>> names(" arc_easy,hellaswag , arc_easy")
    ['arc_easy', 'hellaswag']
    """
    return list(dict.fromkeys(part.strip() for part in tasks.split(",") if part.strip()))


def _asked(reader: Any, known: Any, name: str, settings: Any, seed: int) -> dict[str, dict[str, float]]:
    """By measure, what each question was worth. Raises BadData if the questions cannot be had."""
    from datasets.exceptions import DatasetsError
    from lm_eval import simple_evaluate

    try:
        found = simple_evaluate(
            reader,
            tasks=[name],
            limit=settings.most,
            apply_chat_template=settings.chat,
            bootstrap_iters=0,  # intervals are the evaluation room's
            task_manager=known,
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
        )
    except (OSError, ImportError, ValueError, DatasetsError) as error:
        raise BadData(f"The suite {name} cannot be asked here: {error}") from error
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for task, samples in found["samples"].items():
        for sample in samples:
            way = "" if sample["filter"] == "none" else f", {sample['filter']}"
            for measure in sample["metrics"]:
                if isinstance(sample[measure], Real):
                    scores[measure + way][f"{task} {sample['doc_id']}"] = float(sample[measure])
    if not scores:
        raise BadData(f"The suite {name} has no measure that tells what one question was worth: choose another.")
    return dict(scores)


def _questions(scores: dict[str, dict[str, float]]) -> set[str]:
    return {question for by_question in scores.values() for question in by_question}


if __name__ == "__main__":
    main("suite", run)
