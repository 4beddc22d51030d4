"""What the recipes that learn and suggest tags have in common: prompts, features, and the heads in a file.

The heads are stored as `head.safetensors` with `weight` (tags × hidden size) and `bias` (tags), and `head.json`, which
names the tags in this order with their thresholds. As an instant reward model's, they take the place of an adapter.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from safetensors.numpy import load_file, save_file

from training.recipes import models, pooling, rows
from training.recipes.contract import BadData, Job, Journal, ModelSpec
from training.recipes.linear import Head, Numbers, probabilities

KIND = "tags"


@dataclass(frozen=True)
class About:
    """`tag`: its name; `threshold`: the probability from which it is suggested; `learned`: False if never."""

    tag: str
    threshold: float
    learned: bool


@dataclass(frozen=True)
class Heads:
    weight: Numbers
    bias: Numbers
    tags: list[About]
    layer: int
    depth: float
    max_length: int

    def likely(self, features: Numbers) -> Numbers:
        """Probabilities, prompts × tags."""
        return probabilities(features @ self.weight.T + self.bias)


def save(folder: Path, heads: list[tuple[str, Head]], *, layer: int, depth: float, max_length: int) -> Heads:
    folder.mkdir(parents=True, exist_ok=True)
    weight = np.array([head.weight for _, head in heads], dtype=np.float32)
    bias = np.array([head.bias for _, head in heads], dtype=np.float32)
    tags = [About(tag, head.threshold, head.figures["learned"]) for tag, head in heads]
    save_file({"weight": weight, "bias": bias}, folder / "head.safetensors")
    about = {"kind": KIND, "layer": layer, "depth": depth, "max_length": max_length, "tags": [asdict(t) for t in tags]}
    (folder / "head.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return load(str(folder))


def load(folder: str | None) -> Heads:
    path = Path(folder or "")
    about = (
        json.loads((path / "head.json").read_text(encoding="utf-8")) if folder and (path / "head.json").exists() else {}
    )
    if about.get("kind") != KIND:
        raise BadData("This model knows no tags: choose one that was trained to suggest them.")
    stored = load_file(path / "head.safetensors")
    tags = [About(**one) for one in about["tags"]]
    weight, bias = stored["weight"].astype(np.float64), stored["bias"].astype(np.float64)
    return Heads(weight, bias, tags, about["layer"], about["depth"], about["max_length"])


def prompts(path: str) -> list[dict[str, Any]]:
    """Lines {"id", "messages"}, with "tags" and "split" where they are learned from."""
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            messages = [{k: m[k] for k in ("role", "content")} for m in row["messages"]]
            found.append({**row, "id": row["id"], "messages": messages})
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f'Line {number} of the prompts is not {{"id", "messages"}}: correct it.') from error
    return found


class Reader:
    """The base model as far as the layer that is looked at, and what it makes of conversations."""

    def __init__(self, job: Job, *, depth: float, max_length: int) -> None:
        self.job = job
        self.tokenizer = models.load_tokenizer(job.model.base)
        policy = models.load_policy(ModelSpec(base=job.model.base), torch.float32)
        context = getattr(policy.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        self.limit = min(max_length, context)
        self.decoder, self.looked_at = pooling.shortened(policy.to(models.device()), (depth,))
        self.cut = self.longest = 0

    @property
    def layer(self) -> int:
        return self.looked_at[0]

    def features(self, asked: list[dict[str, Any]], batch_size: int, further: int = 0) -> Numbers:
        """Prompts × hidden size: means over the tokens of each. A step is told of for every batch; `further` steps are
        to follow."""
        texts = [self._tokens(row["messages"]) for row in asked]
        self.cut = sum(len(ids) > self.limit for ids in texts)
        self.longest = max(map(len, texts), default=0)
        texts = [ids[-self.limit :] for ids in texts]
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        found = np.zeros((len(texts), self.decoder.config.hidden_size))
        for number, batch in enumerate(batches, start=1):
            self.job.stop.check()
            started = time.monotonic()
            read = [texts[one] for one in batch]
            whole = [len(ids) for ids in read]
            found[batch] = pooling.pooled(self.decoder, self.looked_at, read, whole, self.tokenizer.pad_token_id)
            speed = round(sum(whole) / max(time.monotonic() - started, 1e-9), 1)
            self.job.metrics.append({"step": number, "total": len(batches) + further, "tokens_per_second": speed})
        return found

    def _tokens(self, messages: list[dict[str, str]]) -> list[int]:
        """The conversation as the model reads it; its words alone where the chat template has no place for it, as some
        have none for a system message."""
        try:
            return rows.tokens(self.tokenizer, messages)
        except TemplateError:
            words = "\n\n".join(message["content"] for message in messages)
            return self.tokenizer(words)["input_ids"] or [self.tokenizer.pad_token_id]

    def counts(self, read: int) -> dict[str, Any]:
        return {"read": read, "kept": read, "dropped": 0, "cut": self.cut, "longest_tokens": self.longest}


def suggest(job: Job, heads: Heads, asked: list[dict[str, Any]], features: Numbers) -> int:
    """Writes `suggestions.jsonl`: {"id", "tag", "confidence"} for each tag that a prompt probably has, of those that
    were learned; returns how many."""
    likely = heads.likely(features)
    lines = [
        {"id": row["id"], "tag": about.tag, "confidence": round(float(likely[place, number]), 4)}
        for place, row in enumerate(asked)
        for number, about in enumerate(heads.tags)
        if about.learned and likely[place, number] >= about.threshold
    ]
    written = Journal(job.folder / "suggestions.jsonl", writes=job.is_main)
    written.keep(lambda line: False)
    written.append(*lines)
    return len(lines)
