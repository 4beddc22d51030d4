"""Writing new answers: several for each prompt, drawn at random, to be ranked by people next.

    python -m training.recipes.generate <folder>

    spec.json  {"method": "generate", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"prompts": "….jsonl"}, "settings": {...}}

A line of the prompts file is {"id": …, "messages": [...]}; a line of `<folder>/responses.jsonl` is
{"prompt_id", "sample", "text", "tokens", "finished"}, where `finished` says that the model ended its answer
by itself. With `few_shot`, demonstrations from the Parquet file `"train"` stand before each prompt. Batches are
made of prompts of like length, the longest first, and seeded by their number: a run that was stopped leaves out
what it has written and ends with the same answers as one that was not.

Left out: speculative decoding, quantised weights and a separate inference server: they pay where many people
wait, and here a queue does.
"""

import json
import time
from pathlib import Path
from random import Random
from typing import Any

from training.recipes.contract import BadData, Job, Journal, main


def run(job: Job) -> dict[str, Any]:
    from training.recipes import models, rows
    from training.recipes.sampling import Drawing, draw_answers

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    asked = prompts(job.data("prompts"))
    pool = rows.examples_of(job.data("train")) if settings.few_shot else []
    encoded = {}
    for prompt in asked:
        random = Random(f"few-shot {job.spec.seed} {prompt['id']}")
        examples = rows.drawn(pool, prompt["messages"], settings.few_shot, random)
        messages = rows.shown(examples, prompt["messages"])
        encoded[prompt["id"]] = rows.tokens(tokenizer, messages, answer_next=True)

    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype).to(models.device()).eval()
    ends = models.end_of_turn(tokenizer, model)

    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    fitting = [name for name, ids in encoded.items() if len(ids) + settings.max_new_tokens <= context]
    counts = {
        "read": len(asked),
        "kept": len(fitting),
        "dropped": len(asked) - len(fitting),
        "cut": 0,
        "longest_tokens": max(len(ids) for ids in encoded.values()),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)
    if not fitting:
        raise BadData(f"No prompt leaves room for an answer in the {context} tokens the model can read: shorten them.")

    fitting.sort(key=lambda name: -len(encoded[name]))
    size = max(1, settings.batch_size // settings.samples_per_prompt)
    batches = [fitting[start : start + size] for start in range(0, len(fitting), size)]
    responses = Journal(job.folder / "responses.jsonl", writes=job.is_main)
    done = written_batches(responses, batches, settings.samples_per_prompt)
    job.metrics.keep(lambda line: line.get("step", 0) <= done)

    for number in range(done, len(batches)):
        job.stop.check()
        started = time.monotonic()
        answers = draw_answers(
            model,
            [encoded[name] for name in batches[number]],
            each=settings.samples_per_prompt,
            longest=settings.max_new_tokens,
            ends=ends,
            pad=tokenizer.pad_token_id,
            drawing=Drawing(settings.temperature, settings.top_p, seed=job.spec.seed * 1_000_003 + number),
        )
        written = [
            {
                "prompt_id": name,
                "sample": sample,
                "text": tokenizer.decode(answer.tokens, skip_special_tokens=True).strip(),
                "tokens": len(answer.tokens),
                "finished": answer.finished,
            }
            for name, samples in zip(batches[number], answers, strict=True)
            for sample, answer in enumerate(samples)
        ]
        tokens = sum(row["tokens"] for row in written)
        speed = round(tokens / max(time.monotonic() - started, 1e-9), 1)
        with job.stop.gently():
            responses.append(*written)
            line = {"step": number + 1, "total": len(batches), "tokens": tokens, "tokens_per_second": speed}
            job.metrics.append(line)
    job.stop.check()

    return {
        "output": "responses.jsonl",
        "metrics": closing_figures(responses.read(), job.metrics.read()),
        "rows": counts,
        "environment": models.environment(dtype),
    }


def prompts(path: str) -> list[dict[str, Any]]:
    if not Path(path).is_file():
        raise BadData("The prompts file is not there: choose the prompts again and start a new run.")
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            found.append(
                {
                    "id": row["id"],
                    "messages": [{k: m[k] for k in ("role", "content")} for m in row["messages"]],
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(
                f'Line {number} of the prompts is not {{"id": ..., "messages": [...]}}: correct it.'
            ) from error
    if not found:
        raise BadData("There are no prompts to answer: choose some and start again.")
    if len({row["id"] for row in found}) < len(found):
        raise BadData("The same prompt id stands twice in the prompts file: give each prompt once.")
    return found


def written_batches(responses: Journal, batches: list[list[Any]], each: int) -> int:
    """How many batches are written whole; what was written of the next one is dropped."""
    names = [(row["prompt_id"], row["sample"]) for row in responses.read()]
    done = lines = 0
    for batch in batches:
        expected = [(name, sample) for name in batch for sample in range(each)]
        if names[lines : lines + len(expected)] != expected:
            break
        done, lines = done + 1, lines + len(expected)
    whole = set(names[:lines])
    responses.keep(lambda row: (row["prompt_id"], row["sample"]) in whole)
    return done


def closing_figures(responses: list[dict[str, Any]], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """How much was written and how it ended.

    >>> rows = [{"tokens": 4, "finished": True, "text": "Yes."}, {"tokens": 8, "finished": False, "text": ""}]
    >>> closing_figures(rows, [{"step": 1, "tokens_per_second": 12.0}])
    {'responses': 2, 'tokens': 12, 'mean_tokens': 6.0, 'finished': 0.5, 'empty': 1, 'tokens_per_second': 12.0}
    """
    tokens = sum(row["tokens"] for row in responses)
    speeds = sorted(line["tokens_per_second"] for line in metrics if "step" in line)
    return {
        "responses": len(responses),
        "tokens": tokens,
        "mean_tokens": round(tokens / len(responses), 2),
        "finished": round(sum(row["finished"] for row in responses) / len(responses), 4),
        "empty": sum(not row["text"] for row in responses),
        "tokens_per_second": speeds[len(speeds) // 2],
    }


if __name__ == "__main__":
    main("generate", run)
