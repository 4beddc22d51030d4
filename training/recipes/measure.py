"""What a model has learned and what it has lost, beside the model it started from: exact numbers for each text.

    python -m training.recipes.measure <folder>

    spec.json  {"method": "measure", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"texts": "….jsonl", "prompts": "….jsonl", "reference": "<folder>"}, "settings": {...}}

A line of the texts is {"id", "messages", "text"}: a conversation up to an answer (or an empty one, for plain text) and
the answer. A line of `<folder>/measures.jsonl` is {"id", "tokens", "log_prob", "reference"}: how many tokens the text
has, and the sum of their log probabilities by the model and by its reference. The prompts, if there are any, are
answered by both; a line of `<folder>/answers.jsonl` is {"id", "by", "text", "tokens", "finished", "kl"}, where `by` is
"model" or "reference", and `kl` (of the model's alone) adds up over the answer how far the model's distribution of
the next token is from the reference's: KL(model ‖ reference), in nats, exact at each token.

The reference is the model without its adapter, or the folder named as `reference`. Both read each batch while it is
at hand, and only the last positions, from the first answer's start on, are turned into probabilities of the whole
vocabulary: that is the dear part.

Left out: public suites of tasks, which say little about a project's own (training/recipes/suite.py asks them).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from training.recipes.contract import BadData, Job, Journal, ModelSpec, main

Encoded = tuple[Any, list[int], int]  # its id, the tokens, and where the answer begins


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models, rows
    from training.recipes.generate import prompts as read_prompts
    from training.recipes.score import answers as read_texts

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    texts = read_texts(job.data("texts"))
    asked = read_prompts(job.data("prompts")) if "prompts" in job.spec.data else []

    dtype = torch.float32  # on every device: what is compared is small beside what bfloat16 rounds away
    model = models.load_policy(job.model, dtype, adapter="train").to(models.device()).eval()
    reference = None
    if "reference" in job.spec.data:
        reference = models.load_policy(ModelSpec(base=job.data("reference")), dtype).to(models.device()).eval()
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    limit = min(settings.max_length, context)

    encoded = [encode(tokenizer, text) for text in texts]
    counts = {
        "read": len(texts),
        "kept": len(texts),
        "dropped": 0,
        "cut": sum(len(tokens) > limit for _, tokens, _ in encoded),
        "longest_tokens": max(len(tokens) for _, tokens, _ in encoded),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)
    job.metrics.keep(lambda line: "event" in line)

    written = Journal(job.folder / "measures.jsonl", writes=job.is_main)
    known = {row["id"] for row in written.keep(lambda row: True)}
    waiting = sorted((one for one in encoded if one[0] not in known), key=lambda one: -len(one[1]))
    batches = _batches([(name, *_last(tokens, start, limit)) for name, tokens, start in waiting], settings.batch_size)
    prompts = {prompt["id"]: rows.tokens(tokenizer, prompt["messages"], answer_next=True) for prompt in asked}
    prompts = {name: tokens for name, tokens in prompts.items() if len(tokens) + settings.max_new_tokens <= context}
    groups = _batches(sorted(prompts.items(), key=lambda one: -len(one[1])), settings.batch_size)
    total = len(batches) + len(groups)

    for number, batch in enumerate(batches, start=1):
        job.stop.check()
        started = time.monotonic()
        own, other = _by_both(model, reference, partial(_log_probs, batch=batch, pad=tokenizer.pad_token_id))
        with job.stop.gently():
            written.append(
                *(
                    {"id": name, "tokens": len(tokens) - start, "log_prob": mine, "reference": theirs}
                    for (name, tokens, start), (mine, _), (theirs, _) in zip(batch, own, other, strict=True)
                )
            )
            speed = sum(len(tokens) for _, tokens, _ in batch) / max(time.monotonic() - started, 1e-9)
            job.metrics.append({"step": number, "total": total, "tokens_per_second": round(speed, 1)})

    answers = Journal(job.folder / "answers.jsonl", writes=job.is_main)
    done = {row["id"] for row in answers.keep(lambda row: True)}
    ends = models.end_of_turn(tokenizer, model)
    for number, group in enumerate(groups, start=len(batches) + 1):
        job.stop.check()
        group = [(name, tokens) for name, tokens in group if name not in done]
        if group:
            found = _answered(job, model, reference, tokenizer, group, ends, number)
            with job.stop.gently():
                answers.append(*found)
                job.metrics.append({"step": number, "total": total})
    job.stop.check()

    measured = written.read()
    metrics = {"texts": len(measured), "answers": len(answers.read()), "log_prob": _per_token(measured, "log_prob")}
    return {
        "output": "measures.jsonl",
        "metrics": {**metrics, "reference": _per_token(measured, "reference")},
        "rows": counts,
        "environment": models.environment(dtype),
    }


def encode(tokenizer: Any, text: dict[str, Any]) -> Encoded:
    """The tokens of a text as the model reads it, and where those begin that count. Of plain text the first token,
    which follows nothing, does not."""
    from jinja2 import TemplateError

    from training.recipes import rows

    if not text["messages"]:
        tokens = tokenizer(text["text"], add_special_tokens=False)["input_ids"]
        if len(tokens) < 2:
            raise BadData(f"The text {text['id']!r} is too short to measure: leave it out.")
        return text["id"], tokens, 1
    said = [{"role": "assistant", "content": text["text"]}]
    try:
        before = rows.tokens(tokenizer, text["messages"], answer_next=True)
        whole = rows.tokens(tokenizer, text["messages"] + said)
    except TemplateError as error:
        raise BadData(f"The model's chat template refuses the text {text['id']!r}: leave it out.") from error
    start = next((place for place, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), len(before))
    return text["id"], whole, min(start, len(whole) - 1)


def _last(tokens: list[int], start: int, limit: int) -> tuple[list[int], int]:
    """Of what is too long only the end is read, where the answer stands."""
    over = max(0, len(tokens) - limit)
    return tokens[over:], max(1, start - over)


def _batches(rows: list[Any], size: int) -> list[list[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _by_both(
    model: Any, reference: Any, ask: Callable[[Any], Any], during_own: Callable[[Any], Any] = nullcontext
) -> tuple[Any, Any]:
    """What `ask` finds with the model, then with its reference; a model without an adapter is its own."""
    with during_own(model):
        own = ask(model)
    if reference is not None:
        return own, ask(reference)
    if not hasattr(model, "peft_config"):
        return own, own
    with model.disable_adapter():
        return own, ask(model)


def _log_probs(
    model: Any, batch: list[Encoded], pad: int, keep: Callable[[Any], Any] = lambda logits: None
) -> list[tuple[float, Any]]:
    """For each text the sum of the log probabilities of its tokens from its start on, in float32, and what `keep` makes
    of the logits (tokens × vocabulary) behind them.

    Padded on the right, so that what a text gets does not depend on the texts beside it.
    """
    import torch

    from training.recipes import models

    width = max(len(tokens) for _, tokens, _ in batch)
    first = min(start for _, _, start in batch)
    ids = torch.tensor([tokens + [pad] * (width - len(tokens)) for _, tokens, _ in batch], device=model.device)
    mask = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for _, t, _ in batch], device=model.device)
    last = models.last(width - first + 1, ids.device)
    found = []
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=last).logits
        for row, (_, tokens, start) in enumerate(batch):
            own = logits[row, start - first : len(tokens) - first].float()  # the token at i is told by position i - 1
            chosen = own.gather(1, ids[row, start : len(tokens), None])[:, 0]
            found.append((float((chosen - own.logsumexp(dim=1)).sum()), keep(own)))
    return found


def _answered(
    job: Job, model: Any, reference: Any, tokenizer: Any, group: list[Any], ends: list[int], number: int
) -> list[dict[str, Any]]:
    """One answer to each prompt by the model and by its reference, and how far apart they are on the model's."""
    from training.recipes.sampling import Drawing, draw_answers

    settings, pad = job.settings, tokenizer.pad_token_id
    drawing = Drawing(settings.temperature, settings.top_p, seed=job.spec.seed * 1_000_003 + number)
    prompts = [tokens for _, tokens in group]

    def write(one: Any) -> list[Any]:
        return draw_answers(one, prompts, each=1, longest=settings.max_new_tokens, ends=ends, pad=pad, drawing=drawing)

    found, drawn = [], []
    for by, answers in zip(("model", "reference"), _by_both(model, reference, write, _merged), strict=True):
        for (name, _), (answer,) in zip(group, answers, strict=True):
            text = tokenizer.decode(answer.tokens, skip_special_tokens=True).strip()
            row = {"id": name, "by": by, "text": text, "tokens": len(answer.tokens), "finished": answer.finished}
            found.append(row)
            if by == "model":
                row["kl"] = 0.0
                drawn.append((row, answer.tokens))
    given = [
        (row, (name, tokens + answer, len(tokens)))
        for (row, answer), (name, tokens) in zip(drawn, group, strict=True)
        if answer
    ]
    for part in _batches(given, settings.batch_size):
        texts = [encoded for _, encoded in part]
        read = partial(_log_probs, batch=texts, pad=pad, keep=lambda own: own.log_softmax(1))
        mine, theirs = _by_both(model, reference, read)
        for (row, _), (_, near), (_, far) in zip(part, mine, theirs, strict=True):
            row["kl"] = float((near.exp() * (near - far)).sum())
    return found


@contextmanager
def _merged(model: Any) -> Iterator[None]:
    """The adapter added to the weights for as long as an answer is written: each token goes through them once more."""
    merges = hasattr(model, "peft_config") and hasattr(model.base_model, "merge_adapter")
    if merges:
        model.base_model.merge_adapter()
    try:
        yield
    finally:
        if merges:
            model.base_model.unmerge_adapter()


def _per_token(measured: list[dict[str, Any]], name: str) -> float:
    return sum(row[name] for row in measured) / sum(row["tokens"] for row in measured)


if __name__ == "__main__":
    main("measure", run)
