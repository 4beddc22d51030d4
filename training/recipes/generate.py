"""Writing new answers: several for each prompt, drawn at random, to be ranked by people next.

    python -m training.recipes.generate <folder>

    spec.json  {"method": "generate", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"prompts": "….jsonl"}, "settings": {...}}

A line of the prompts file is {"id": …, "messages": [...]}; a line of `<folder>/responses.jsonl` is
{"prompt_id", "sample", "text", "tokens", "finished"}, where `finished` says that the model ended its answer
by itself. With `few_shot`, demonstrations from the Parquet file `"train"` stand before each prompt. Batches are
made of prompts of like length, the longest first, and seeded by their number: a run that was stopped leaves out
what it has written and ends with the same answers as one that was not.

With `"endpoint": {"url": ..., "model": ...}` in place of the model the answers come from an endpoint in the form of
OpenAI's chat completions. It is asked for as many answers side by side as a batch has.

Left out: speculative decoding, quantised weights and a separate inference server: they pay where many people
wait, and here a queue does.
"""

import json
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from training.recipes.contract import BadData, EndpointSpec, Job, Journal, main


def run(job: Job) -> dict[str, Any]:
    return answered(job, prompts(job.data("prompts")))


def answered(job: Job, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """Answers to these prompts, by the model or by the endpoint that the job names."""
    return from_endpoint(job, job.spec.endpoint, asked) if job.spec.endpoint else from_model(job, asked)


def from_model(job: Job, asked: list[dict[str, Any]]) -> dict[str, Any]:
    from training.recipes import models
    from training.recipes.sampling import Drawing, draw_answers

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype).to(models.device()).eval()
    ends = models.end_of_turn(tokenizer, model)
    encoded, counts = fitting(job, asked, tokenizer, model)

    names = sorted(encoded, key=lambda name: -len(encoded[name]))

    def answers(number: int, batch: list[Any]) -> list[list[dict[str, Any]]]:
        drawn = draw_answers(
            model,
            [encoded[name] for name in batch],
            each=settings.samples_per_prompt,
            longest=settings.max_new_tokens,
            ends=ends,
            pad=tokenizer.pad_token_id,
            drawing=Drawing(settings.temperature, settings.top_p, seed=job.spec.seed * 1_000_003 + number),
        )
        return [
            [
                {
                    "text": tokenizer.decode(answer.tokens, skip_special_tokens=True).strip(),
                    "tokens": len(answer.tokens),
                    "finished": answer.finished,
                }
                for answer in answers
            ]
            for answers in drawn
        ]

    return write(job, names, answers, counts, models.environment(dtype))


def from_endpoint(job: Job, asked_of: EndpointSpec, prompts: list[dict[str, Any]]) -> dict[str, Any]:
    from training.recipes import endpoint

    settings = job.settings
    there = endpoint.Endpoint(asked_of.url, asked_of.model)
    asked = {prompt["id"]: prompt["messages"] for prompt in prompts}
    counts = {"read": len(asked), "kept": len(asked), "dropped": 0, "cut": 0, "longest_tokens": 0}
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)

    def answer(name: Any, sample: int, number: int) -> dict[str, Any]:
        said = endpoint.patiently(
            there,
            job.stop,
            asked[name],
            max_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=(job.spec.seed * 1_000_003 + number * 1_009 + sample) % 2**31,
        )
        return {"text": said.text.strip(), "tokens": said.tokens, "finished": said.finished}

    def answers(number: int, batch: list[Any]) -> list[list[dict[str, Any]]]:
        with ThreadPoolExecutor(settings.batch_size) as pool:
            rows = [
                [pool.submit(answer, name, sample, number) for sample in range(settings.samples_per_prompt)]
                for name in batch
            ]
            return [[one.result() for one in row] for row in rows]

    environment = {"python": platform.python_version(), "endpoint": asked_of.url, "model": asked_of.model}
    return write(job, list(asked), answers, counts, environment)


def write(
    job: Job,
    names: list[Any],
    answers: Callable[[int, list[Any]], list[list[dict[str, Any]]]],
    counts: dict[str, int],
    environment: dict[str, Any],
) -> dict[str, Any]:
    """Answer batch by batch, going on after what is written already, and return the result.

    `answers` gives, for a batch's number and prompts, each prompt's answers: text, tokens, finished.
    """
    settings = job.settings
    size = max(1, settings.batch_size // settings.samples_per_prompt)
    batches = [names[start : start + size] for start in range(0, len(names), size)]
    responses = Journal(job.folder / "responses.jsonl", writes=job.is_main)
    done = written_batches(responses, batches, settings.samples_per_prompt)
    job.metrics.keep(lambda line: line.get("step", 0) <= done)

    for number in range(done, len(batches)):
        job.stop.check()
        started = time.monotonic()
        written = [
            {"prompt_id": name, "sample": sample, **row}
            for name, rows in zip(batches[number], answers(number, batches[number]), strict=True)
            for sample, row in enumerate(rows)
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
        "environment": environment,
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


def fitting(
    job: Job, asked: list[dict[str, Any]], tokenizer: Any, model: Any
) -> tuple[dict[Any, list[int]], dict[str, int]]:
    """The tokens of the prompts that leave the model room for an answer, by id, and the counts, which are reported.

    Raises BadData if there are none.
    """
    from training.recipes import rows

    few = getattr(job.settings, "few_shot", 0)
    pool = rows.examples_of(job.data("train")) if few else []
    encoded = {}
    for prompt in asked:
        examples = rows.drawn(
            pool, rows.key(prompt["messages"], 0), few, Random(f"few-shot {job.spec.seed} {prompt['id']}")
        )
        messages = rows.shown(examples, prompt["messages"])
        encoded[prompt["id"]] = rows.tokens(tokenizer, messages, answer_next=True)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    context = min(context, getattr(job.settings, "max_length", context))  # where it is trained on, too
    kept = {name: ids for name, ids in encoded.items() if len(ids) + job.settings.max_new_tokens <= context}
    counts = {
        "read": len(asked),
        "kept": len(kept),
        "dropped": len(asked) - len(kept),
        "cut": 0,
        "longest_tokens": max(len(ids) for ids in encoded.values()),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)
    if not kept:
        raise BadData(f"No prompt leaves room for an answer in the {context} tokens the model can read: shorten them.")
    return kept, counts


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
