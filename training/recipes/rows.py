"""Which examples a run will really learn from, found out before it starts.

TRL drops some rows without a word (preference pairs over `max_length`) and cuts others; a run on half of its
data looks like any other. So each row is written out with the model's chat template and measured here, the
way the trainer will do it, and what is kept, dropped and cut is the first line of `metrics.jsonl`.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from jinja2 import TemplateError

from training.recipes.contract import BadData, Job

Message = dict[str, str]


@dataclass
class Rows:
    kept: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    cut: int = 0
    longest_tokens: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "kept": len(self.kept),
            "dropped": self.dropped.total(),
            "cut": self.cut,
            "longest_tokens": self.longest_tokens,
            "why_dropped": dict(self.dropped),
        }

    def drop(self, why: str) -> None:
        self.dropped[why] += 1


def demonstrations(job: Job, tokenizer: Any) -> Rows:
    """Rows for SFT: over-long ones are cut at the end, and dropped if the prompt alone fills the space."""
    limit = job.settings.max_length
    rows = Rows()
    for row in _read(job.data("train"), ["prompt", "completion"]):
        rows.read += 1
        prompt, completion = _messages(row["prompt"]), _messages(row["completion"])
        if prompt is None or completion is None:
            rows.drop("not a conversation")
            continue
        if not _text(completion):
            rows.drop("empty answer")
            continue
        try:
            before, whole = _prompt_length(tokenizer, prompt), len(tokens(tokenizer, prompt + completion))
        except TemplateError:
            rows.drop("refused by the chat template")
            continue
        rows.longest_tokens = max(rows.longest_tokens, whole)
        if before >= limit:
            rows.drop("prompt too long")
            continue
        rows.cut += whole > limit
        rows.kept.append({"prompt": prompt, "completion": completion})
    return _reported(job, rows)


def preferences(job: Job, tokenizer: Any, *, too_long: str, margin: bool = False) -> Rows:
    """Rows for the reward model, whose trainer drops what is too long, and for DPO, whose trainer cuts it."""
    limit = job.settings.max_length
    columns = ["prompt", "chosen", "rejected"] + (["margin"] if margin else [])
    rows = Rows()
    for row in _read(job.data("train"), columns):
        rows.read += 1
        prompt, chosen, rejected = (_messages(row[name]) for name in ("prompt", "chosen", "rejected"))
        if prompt is None or chosen is None or rejected is None:
            rows.drop("not a conversation")
            continue
        if not _text(chosen) or not _text(rejected):
            rows.drop("empty answer")
            continue
        if _text(chosen) == _text(rejected):
            rows.drop("same answer twice")
            continue
        try:
            before = _prompt_length(tokenizer, prompt)
            whole = max(len(tokens(tokenizer, prompt + answer)) for answer in (chosen, rejected))
        except TemplateError:
            rows.drop("refused by the chat template")
            continue
        rows.longest_tokens = max(rows.longest_tokens, whole)
        if too_long == "drop" and whole > limit:
            rows.drop("too long")
            continue
        if before >= limit:
            rows.drop("prompt too long")
            continue
        rows.cut += whole > limit
        kept: dict[str, Any] = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        if margin:
            kept["margin"] = _margin(row["margin"], rows.read)
        rows.kept.append(kept)
    return _reported(job, rows)


def tokens(tokenizer: Any, messages: list[Message], *, answer_next: bool = False) -> list[int]:
    """The conversation as the model reads it."""
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, add_generation_prompt=answer_next)[
        "input_ids"
    ]


def agrees_with_trainer(rows: Rows, trainer: Any) -> None:
    """The trainer may not drop a row that was counted as kept."""
    if len(trainer.train_dataset) != len(rows.kept):
        raise RuntimeError(
            f"{len(rows.kept)} rows were counted as kept, and the trainer has {len(trainer.train_dataset)}"
        )


def _reported(job: Job, rows: Rows) -> Rows:
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **rows.counts())
    if not rows.kept:
        if not rows.read:
            raise BadData("There are no examples in this snapshot: collect labels, freeze a new one and start again.")
        why = ", ".join(f"{count} {reason}" for reason, count in rows.dropped.most_common())
        raise BadData(
            f"None of the {rows.read} examples can be used ({why}): allow longer examples, or collect other labels."
        )
    return rows


def _read(path: str, columns: list[str]) -> list[dict[str, Any]]:
    if not Path(path).is_file():
        raise BadData("The snapshot's file is not there any more: freeze the labels again and start a new run.")
    try:
        file = pyarrow.parquet.ParquetFile(path)
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise BadData(
                f"The snapshot has no column {', '.join(missing)}: choose a snapshot of the kind that this "
                "method needs."
            )
        return file.read(columns=columns).to_pylist()
    except pyarrow.ArrowException as error:
        raise BadData(
            "The snapshot's file cannot be read as Parquet: freeze the labels again and start a new run."
        ) from error


def _messages(value: Any) -> list[Message] | None:
    """Only role and content, or None if this is no conversation."""
    if not isinstance(value, list) or not value:
        return None
    found = []
    for message in value:
        if not isinstance(message, dict):
            return None
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        found.append({"role": role, "content": content})
    return found


def _text(messages: list[Message]) -> str:
    return "\n".join(message["content"].strip() for message in messages).strip()


def _margin(value: Any, number: int) -> float:
    if not isinstance(value, (int, float)) or value != value:
        raise BadData(
            f"Example {number} has no margin: turn off using how sure people were, or freeze the labels again."
        )
    return float(value)


def _prompt_length(tokenizer: Any, prompt: list[Message]) -> int:
    return len(tokens(tokenizer, prompt, answer_next=True))
