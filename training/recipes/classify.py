"""A text classifier over tags: the model stays as it is, and for each tag a linear head learns which prompts have it.

    python -m training.recipes.classify <folder>

    spec.json  {"method": "classify", "seed": 17, "model": {"base": ..., "adapter": null},
                "data": {"prompts": "….jsonl", "untagged": "….jsonl"}, "settings": {...}}

A line of the prompts is {"id", "messages", "tags", "split"}. Those of the split "train" are learned from; the others
only measure. A prompt's features are one layer's hidden states, each brought to one length, in the mean over its tokens
(the states of a few tokens are many times as long as all others', and would be the mean).

For each tag that enough of them carry there is one logistic regression against the rest. How strongly it is held back
and from which probability on the tag is said to be there are chosen by prompts left out in turn; what is reported is
cross-fitted (linear.py). A tag that is told no better than by chance is never suggested.

In the end tags are suggested for the prompts without any: `<folder>/suggestions.jsonl`.

Left out: features of several layers at once; weights for rare tags, as the threshold does their work.
"""

from collections import Counter
from typing import Any

from training.methods.tagging import learnable
from training.recipes.contract import BadData, Job, main


def run(job: Job) -> dict[str, Any]:
    import numpy
    import torch

    from training.recipes import linear, models, tagging

    settings = job.settings

    asked = tagging.prompts(job.data("prompts"))
    taught = Counter(tuple(sorted(row["tags"])) for row in asked if row["split"] == "train")
    known = learnable(taught, settings.wanted, settings.fewest)
    if known.problem:
        raise BadData(known.problem)
    asked = [row for row in asked if set(row["tags"]) & set(known.tags)]
    untagged = tagging.prompts(job.data("untagged"))

    job.metrics.keep(lambda line: False)
    reader = tagging.Reader(job, depth=settings.depth, max_length=settings.max_length)
    features = reader.features(asked + untagged, settings.batch_size, further=len(known.tags))
    counts = reader.counts(len(asked))
    job.event("rows", **counts)

    of_train = numpy.array([row["split"] == "train" for row in asked])
    groups = [_question(row["messages"]) for row in asked if row["split"] == "train"]
    train, heldout = features[: len(asked)][of_train], features[: len(asked)][~of_train]
    heads, table = [], []
    batches = -(-len(features) // settings.batch_size)
    for number, tag in enumerate(known.tags, start=1):
        job.stop.check()
        has = numpy.array([tag in row["tags"] for row in asked])
        head = linear.one_against_rest(train, has[of_train], groups, settings.folds)
        heads.append((tag, head))
        line = {"tag": tag, **head.figures, "threshold": head.threshold, "strength": head.strength, "heldout": None}
        if len(heldout):
            logits = heldout @ head.weight + head.bias
            said = linear.probabilities(logits) >= head.threshold
            figures = linear.counted(said, has[~of_train]) | linear.ranked(logits, has[~of_train])
            line["heldout"] = {name: value for name, value in figures.items() if name != "learned"}
        table.append(line)
        job.metrics.append({"step": batches + number, "total": batches + len(known.tags)})

    stored = tagging.save(
        job.folder / "model", heads, layer=reader.layer, depth=settings.depth, max_length=settings.max_length
    )
    suggestions = tagging.suggest(job, stored, untagged, features[len(asked) :])
    return {
        "output": "model",
        "format": "adapter",
        "metrics": {
            "prompts": int(of_train.sum()),
            "heldout": len(heldout),
            "tags": len(table),
            "learned": sum(line["learned"] for line in table),
            "looked_at": len(untagged),
            "suggestions": suggestions,
            "layer": reader.layer,
            "by_tag": table,
        },
        "rows": counts,
        "environment": models.environment(torch.float32),
    }


def _question(messages: list[dict[str, str]]) -> str:
    """What is asked last, but for case and spaces: the same question in two conversations is left out with both.

    >>> _question([{"role": "user", "content": "Why  is that?"}])
    'why is that?'
    """
    return " ".join(messages[-1]["content"].lower().split()) if messages else ""


if __name__ == "__main__":
    main("classify", run)
