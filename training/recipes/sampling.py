"""Drawing answers for a batch of prompts: each prompt is read once, however many answers it gets.

The library's own `generate` reads a prompt again for every answer and carries finished answers along until
the longest one ends. On a CPU these two are most of the time, so the loop is written out here: read the
prompts, copy what was read for each answer, then draw token by token and let finished answers go.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from training.recipes import models

NUCLEUS = 512  # the likeliest tokens looked at first; the rare distribution that is flatter is sorted whole


@dataclass
class Drawing:
    """How tokens are drawn. The random numbers of an answer are its own: nobody else's ending changes
    them.
    """

    temperature: float
    top_p: float
    seed: int


@dataclass
class Answer:
    tokens: list[int]
    finished: bool


@torch.inference_mode()
def draw_answers(
    model: Any,
    prompts: list[list[int]],
    *,
    each: int,
    longest: int,
    ends: list[int],
    pad: int,
    drawing: Drawing,
    watch: Callable[[list[tuple[int, int]]], Iterable[int]] | None = None,
) -> list[list[Answer]]:
    """For each prompt `each` answers of at most `longest` tokens, the token that ended them left out.

    `watch` is told, as they are drawn, the (answer, token) pairs of each position, and names answers that are to end.
    """
    device = model.device
    count = len(prompts) * each
    numbers = torch.rand(count, longest, generator=torch.Generator().manual_seed(drawing.seed)).to(device)
    end_ids = torch.tensor(ends, device=device)
    written = torch.full((count, longest), pad, device=device)
    lengths = torch.full((count,), longest, device=device)
    finished = torch.zeros(count, dtype=torch.bool, device=device)

    cache, mask, logits = _read(model, prompts, each, pad)
    live = torch.arange(count, device=device)  # which answer each row of the batch is writing
    for position in range(longest):
        chosen = _draw(logits, numbers[live, position], drawing)
        written[live, position] = chosen
        ended = torch.isin(chosen, end_ids) & ~finished[live]
        lengths[live[ended]] = position
        finished[live[ended]] = True
        if watch is not None:
            going = (~finished[live]).nonzero()[:, 0]
            drawn = list(zip(live[going].tolist(), chosen[going].tolist(), strict=True))
            for answer in watch(drawn):
                lengths[answer], finished[answer] = position + 1, True
        going = (~finished[live]).nonzero()[:, 0]
        if position + 1 == longest or not len(going):
            break
        if len(going) <= 0.9 * len(live) and _can_select(cache):
            cache.batch_select_indices(going)
            live, mask, chosen = live[going], mask[going], chosen[going]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
        logits = model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=mask.sum(dim=1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]

    rows, sizes, ends_reached = written.tolist(), lengths.tolist(), finished.tolist()
    answers = [Answer(row[:size], end) for row, size, end in zip(rows, sizes, ends_reached, strict=True)]
    return [answers[start : start + each] for start in range(0, count, each)]


def _read(model: Any, prompts: list[list[int]], each: int, pad: int) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Reads the prompts, padded on the left so that all end together, and copies the outcome for each
    answer.
    """
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    cache = DynamicCache(config=model.config)
    once = _can_select(cache)
    if not once:  # recurrent layers keep a state that cannot be copied this way: they read once for each answer
        ids, mask = ids.repeat_interleave(each, dim=0), mask.repeat_interleave(each, dim=0)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=models.last(1, ids.device),
    ).logits[:, -1]
    if once:
        cache.batch_repeat_interleave(each)
        mask, logits = mask.repeat_interleave(each, dim=0), logits.repeat_interleave(each, dim=0)
    return cache, mask, logits


def _can_select(cache: Any) -> bool:
    return all(hasattr(layer, "batch_select_indices") for layer in cache.layers)


def _draw(logits: torch.Tensor, numbers: torch.Tensor, drawing: Drawing) -> torch.Tensor:
    """One token a row: the first whose cumulative probability passes the row's random number."""
    if drawing.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.float() / drawing.temperature
    if drawing.top_p >= 1:
        return _pass(logits.softmax(dim=-1), numbers)
    likeliest, tokens = logits.topk(min(NUCLEUS, logits.shape[-1]), dim=-1)
    probabilities = (likeliest - logits.logsumexp(dim=-1, keepdim=True)).exp()
    if probabilities.sum(dim=-1).min() < drawing.top_p:
        probabilities, tokens = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    nucleus = torch.where(before < drawing.top_p, probabilities, 0.0)
    return tokens.gather(1, _pass(nucleus, numbers)[:, None])[:, 0]


def _pass(probabilities: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    cumulative = probabilities.cumsum(dim=-1)
    targets = (numbers * cumulative[:, -1])[:, None]
    picked = torch.searchsorted(cumulative, targets, right=True)[:, 0]
    # Rounding may carry a number to the very end, past the last token that has any probability.
    last = probabilities.shape[-1] - 1 - (probabilities.flip(-1) > 0).float().argmax(dim=-1)
    return torch.minimum(picked, last)
