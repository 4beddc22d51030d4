"""Scores from a reward model: one exact number for each answer.

    python -m training.recipes.score <folder>

    spec.json  {"method": "score", "model": {"base": ..., "adapter": "…"},
                "data": {"answers": "….jsonl"}, "settings": {...}}

A line of the answers file is {"id": …, "messages": [...], "text": …}: the conversation up to the answer, and
the answer. A line of `<folder>/scores.jsonl` is {"id", "score"}. Scores are compared with each other, across
runs too, so they are computed in float32 on every device, and an answer's score does not depend on the
answers beside it.

Left out: the trainer's own `predict`, which loses rows at the last batch and reports means of batch means.
"""

import json
import time
from pathlib import Path
from typing import Any

from training.recipes.contract import BadData, Failed, Job, Journal, main


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models, rows

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    asked = answers(job.data("answers"))
    encoded = {}
    for answer in asked:
        said = [{"role": "assistant", "content": answer["text"]}]
        encoded[answer["id"]] = rows.tokens(tokenizer, answer["messages"] + said)

    model = models.load_judge(job.model, tokenizer.pad_token_id)

    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    limit = min(settings.max_length, context)
    counts = {
        "read": len(asked),
        "kept": len(asked),
        "dropped": 0,
        "cut": sum(len(ids) > limit for ids in encoded.values()),
        "longest_tokens": max(len(ids) for ids in encoded.values()),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)

    written = Journal(job.folder / "scores.jsonl", writes=job.is_main)
    known = {row["id"] for row in written.keep(lambda row: True)}
    waiting = sorted((name for name in encoded if name not in known), key=lambda name: -len(encoded[name]))
    batches = [waiting[start : start + settings.batch_size] for start in range(0, len(waiting), settings.batch_size)]
    job.metrics.keep(lambda line: "event" in line)
    for number, batch in enumerate(batches, start=1):
        job.stop.check()
        started = time.monotonic()
        conversations = [encoded[name][-limit:] for name in batch]
        found = models.scores(model, conversations, tokenizer.pad_token_id)
        tokens, seconds = sum(len(ids) for ids in conversations), max(time.monotonic() - started, 1e-9)
        with job.stop.gently():
            written.append(*({"id": name, "score": score} for name, score in zip(batch, found, strict=True)))
            line = {"step": number, "total": len(batches), "tokens_per_second": round(tokens / seconds, 1)}
            job.metrics.append(line)
    job.stop.check()

    scores = [row["score"] for row in written.read()]
    if None in scores:  # what is no number is written as null
        raise Failed("The reward model gives some answers no score: train it again with a lower learning rate.")
    mean = sum(scores) / len(scores)
    return {
        "output": "scores.jsonl",
        "metrics": {"scores": len(scores), "mean": mean, "lowest": min(scores), "highest": max(scores)},
        "rows": counts,
        "environment": models.environment(torch.float32),
    }


def answers(path: str) -> list[dict[str, Any]]:
    if not Path(path).is_file():
        raise BadData("The answers file is not there: choose the answers again and start a new run.")
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            messages = [{k: m[k] for k in ("role", "content")} for m in row["messages"]]
            found.append({"id": row["id"], "messages": messages, "text": row["text"]})
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f'Line {number} of the answers is not {{"id", "messages", "text"}}: correct it.') from error
    if not found:
        raise BadData("There are no answers to score: choose some and start again.")
    if len({row["id"] for row in found}) < len(found):
        raise BadData("The same id stands twice in the answers file: give each answer once.")
    return found


if __name__ == "__main__":
    main("score", run)
