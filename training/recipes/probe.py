"""An instant reward model: the model stays as it is, and a linear head learns what people prefer.

    python -m training.recipes.probe <folder>

    spec.json  {"method": "probe", "seed": 17, "model": {"base": ..., "adapter": null},
                "data": {"train": "….parquet"}, "settings": {...}}

Each answer is read once. Bradley and Terry's model on a linear score is a logistic regression on the difference of
the two answers' features, without an intercept (which would prefer whichever is called the first). How strongly it is
held back (ridge) is chosen by the log loss on prompts left out in turn, and the accuracy there is reported; as one of
six was chosen by the same parts, it is a little too kind.

Left out: features of several layers at once and margins, which a few hundred pairs do not carry.
"""

import time
from typing import Any

from training.recipes.contract import BadData, Job, main


def run(job: Job) -> dict[str, Any]:
    import torch
    from transformers import AutoModel

    from training.recipes import heads, models, rows

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    examples = rows.preferences(job, tokenizer, too_long="read the end")
    texts = [
        rows.tokens(tokenizer, row["prompt"] + row[side])[-settings.max_length :]
        for row in examples.kept
        for side in ("chosen", "rejected")
    ]

    model = AutoModel.from_pretrained(job.model.base, dtype=torch.float32, **models.AS_DATA)  # nosec B615  # a folder
    model.to(models.device()).eval()
    layer = max(1, round(settings.depth * model.config.get_text_config().num_hidden_layers))
    found = torch.zeros(len(texts), model.config.get_text_config().hidden_size)
    job.metrics.keep(lambda line: "event" in line)
    order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    batches = [order[start : start + settings.batch_size] for start in range(0, len(order), settings.batch_size)]
    for number, batch in enumerate(batches, start=1):
        job.stop.check()
        started = time.monotonic()
        ids, mask = models.padded([texts[one] for one in batch], tokenizer.pad_token_id, model.device)
        with torch.inference_mode():
            found[batch] = heads.pooled(model, ids, mask, layer).cpu()
        speed = round(int(mask.sum()) / max(time.monotonic() - started, 1e-9), 1)
        job.metrics.append({"step": number, "total": len(batches), "tokens_per_second": speed})

    groups = examples.keys(0)
    weight, metrics = fitted((found[0::2] - found[1::2]).double().numpy(), groups, settings.folds)
    heads.save_head(job.folder / "model", torch.tensor(weight, dtype=torch.float32), layer)
    return {
        "output": "model",
        "format": "adapter",
        "metrics": {**metrics, "layer": layer},
        "rows": examples.counts(),
        "environment": models.environment(torch.float32),
    }


def fitted(differences: Any, groups: list[str], folds: int) -> tuple[Any, dict[str, Any]]:
    """The weights (hidden size) that make `differences` (pairs × hidden size, chosen less rejected) positive, and how
    well pairs of other prompts are told apart.

    >>> import numpy
    >>> pairs = numpy.array([[1.0, 0.2], [0.9, -0.3], [1.1, 0.1], [1.2, -0.2]])
    >>> weight, metrics = fitted(pairs, ["a", "b", "c", "d"], 4)
    >>> bool(weight[0] > abs(weight[1])), metrics["accuracy"]
    (True, 1.0)
    """
    import numpy
    from sklearn.model_selection import GroupKFold

    from training.recipes.linear import STRENGTHS, logistic

    prompts = len(set(groups))
    if prompts < 2:
        raise BadData("All pairs answer one prompt, so nothing can be said about others: compare answers to more.")
    scale = numpy.sqrt((differences**2).mean(axis=0)) + 1e-9
    pairs = differences / scale

    def weights(some: Any, strength: float) -> Any:
        both = numpy.concatenate([some, -some])  # each pair either way round
        sides = numpy.repeat([1, 0], len(some))
        return logistic(both, sides, strength, intercept=False)[0]

    parts = list(GroupKFold(min(folds, prompts)).split(pairs, groups=groups))
    scores = {
        strength: numpy.concatenate([pairs[test] @ weights(pairs[train], strength) for train, test in parts])
        for strength in STRENGTHS
    }
    losses = {strength: float(numpy.logaddexp(0, -found).mean()) for strength, found in scores.items()}
    best = min(losses, key=lambda strength: (losses[strength], strength))
    metrics = {
        "accuracy": float((scores[best] > 0).mean() + 0.5 * (scores[best] == 0).mean()),
        "loss": losses[best],
        "pairs": len(pairs),
        "prompts": prompts,
        "strength": best,
    }
    return weights(pairs, best) / scale, metrics


if __name__ == "__main__":
    main("probe", run)
