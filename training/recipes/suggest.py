"""Tags for prompts, from a classifier that was trained before.

    python -m training.recipes.suggest <folder>

    spec.json  {"method": "suggest", "model": {"base": ..., "adapter": "…, the classifier's folder"},
                "data": {"untagged": "….jsonl"}, "settings": {...}}

A line of the prompts is {"id", "messages"}; a line of `<folder>/suggestions.jsonl` is {"id", "tag", "confidence"}, for
each tag whose probability reaches its threshold. Everything is read as when the classifier was trained.

Left out: prompts that have tags; which to read is for the caller to say.
"""

from typing import Any

from training.recipes.contract import BadData, Job, main


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models, tagging

    heads = tagging.load(job.model.adapter)
    asked = tagging.prompts(job.data("untagged"))
    if not asked:
        raise BadData("There is no prompt to suggest tags for: choose some and start again.")
    job.metrics.keep(lambda line: False)
    reader = tagging.Reader(job, depth=heads.depth, max_length=heads.max_length)
    features = reader.features(asked, job.settings.batch_size)
    counts = reader.counts(len(asked))
    job.event("rows", **counts)
    return {
        "output": "suggestions.jsonl",
        "metrics": {"looked_at": len(asked), "suggestions": tagging.suggest(job, heads, asked, features)},
        "rows": counts,
        "environment": models.environment(torch.float32),
    }


if __name__ == "__main__":
    main("suggest", run)
