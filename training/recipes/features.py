"""What the project's own model makes of answers, in a few hundred numbers each, to predict what people prefer.

    python -m training.recipes.features <folder>

    spec.json  {"method": "features", "model": {"base": ..., "adapter": "…"},
                "data": {"answers": "….jsonl"}, "settings": {...}}

A line of the answers file is {"id": …, "messages": [...], "text": …}, as for scores. A line of
`<folder>/features.jsonl` is {"id", "vector"}: the model's hidden states at two fifths and two thirds of its depth,
averaged over the answer's tokens and brought to a fixed width by a projection that is always the same. So vectors of
one model can be compared, whichever run made them, and take the same room whatever the model's width.

Left out: the layers after these, which are not even run.
"""

import time
from typing import Any

from training.recipes.contract import BadData, Failed, Job, Journal, main


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models, pooling, rows
    from training.recipes.score import answers

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    if models.is_scorer(job.model.base):
        raise BadData("This is a reward model, and features are read from a model that answers: choose one that does.")
    asked = answers(job.data("answers"))
    encoded = {}
    for answer in asked:
        said = [{"role": "assistant", "content": answer["text"]}]
        whole = rows.tokens(tokenizer, answer["messages"] + said)
        before = len(rows.tokens(tokenizer, answer["messages"], answer_next=True))
        encoded[answer["id"]] = whole, max(1, len(whole) - before)

    policy = models.load_policy(job.model, torch.float32)
    context = getattr(policy.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    decoder, looked_at = pooling.shortened(policy.to(models.device()))

    limit = min(settings.max_length, context)
    counts = {
        "read": len(asked),
        "kept": len(asked),
        "dropped": 0,
        "cut": sum(len(ids) > limit for ids, _ in encoded.values()),
        "longest_tokens": max(len(ids) for ids, _ in encoded.values()),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)

    written = Journal(job.folder / "features.jsonl", writes=job.is_main)
    known = {row["id"] for row in written.keep(lambda row: True)}
    waiting = sorted((name for name in encoded if name not in known), key=lambda name: -len(encoded[name][0]))
    batches = [waiting[start : start + settings.batch_size] for start in range(0, len(waiting), settings.batch_size)]
    job.metrics.keep(lambda line: "event" in line)
    for number, batch in enumerate(batches, start=1):
        job.stop.check()
        started = time.monotonic()
        conversations = [encoded[name][0][-limit:] for name in batch]
        answered = [encoded[name][1] for name in batch]
        means = pooling.pooled(decoder, looked_at, conversations, answered, tokenizer.pad_token_id)
        found = pooling.projected(means).round(5).tolist()
        tokens, seconds = sum(len(ids) for ids in conversations), max(time.monotonic() - started, 1e-9)
        with job.stop.gently():
            written.append(*({"id": name, "vector": vector} for name, vector in zip(batch, found, strict=True)))
            line = {"step": number, "total": len(batches), "tokens_per_second": round(tokens / seconds, 1)}
            job.metrics.append(line)
    job.stop.check()

    vectors = [row["vector"] for row in written.read()]
    if any(None in vector for vector in vectors):  # what is no number is written as null
        raise Failed("The model makes nothing of some answers: choose another version to read features from.")
    return {
        "output": "features.jsonl",
        "metrics": {"answers": len(vectors), "numbers": len(vectors[0])},
        "rows": counts,
        "environment": models.environment(torch.float32),
    }


if __name__ == "__main__":
    main("features", run)
