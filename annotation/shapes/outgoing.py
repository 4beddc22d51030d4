"""Rows to train on as other tools read them. Pure: a row in, what one line holds out. Imports no Django."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Messages = list[dict[str, str]]

TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "zip": "application/zip",
}
SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def prompt_completion(row: Row) -> Row:
    return {"prompt": row["prompt"], "completion": _answer(row["completion"])}


def preference(row: Row) -> Row:
    return {"prompt": row["prompt"], "chosen": _answer(row["chosen"]), "rejected": _answer(row["rejected"])}


def margin(row: Row) -> Row:
    return {**preference(row), "margin": row["margin"]}


def unpaired(row: Row) -> Row:
    return {**prompt_completion(row), "label": row["label"]}


def openai_chat(row: Row) -> Row:
    return {"messages": [*row["prompt"], *_answer(row["completion"])]}


def openai_preference(row: Row) -> Row:
    return {
        "input": {"messages": row["prompt"]},
        "preferred_output": _answer(row["chosen"]),
        "non_preferred_output": _answer(row["rejected"]),
    }


def sharegpt(row: Row) -> Row:
    turns = [*row["prompt"], *_answer(row["completion"])]
    return {"conversations": [{"from": SHAREGPT[one["role"]], "value": one["content"]} for one in turns]}


def alpaca(row: Row) -> Row | None:
    """None for a conversation that it cannot carry: `history` holds pairs, so turns must take turns.

    >>> turns = [{"role": "user", "content": "Tea?"}, {"role": "user", "content": "Or coffee?"}]
    >>> alpaca({"prompt": turns, "completion": "Tea."}) is None
    True
    >>> alpaca({"prompt": turns[:1], "completion": "Please."})
    {'instruction': 'Tea?', 'input': '', 'output': 'Please.'}
    """
    turns: Messages = row["prompt"]
    system = turns[0]["content"] if turns[0]["role"] == "system" else None
    if system == "":
        return None
    said = turns if system is None else turns[1:]
    if [one["role"] for one in said] != ["user", "assistant"] * (len(said) // 2) + ["user"]:
        return None
    texts = [one["content"] for one in said]
    history = [[texts[place], texts[place + 1]] for place in range(0, len(texts) - 1, 2)]
    return {
        "instruction": texts[-1],
        "input": "",
        "output": row["completion"],
        **({"system": system} if system is not None else {}),
        **({"history": history} if history else {}),
    }


def _answer(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


@dataclass(frozen=True)
class Shape:
    """`of` says what its rows are made of: `items` with everything that was said, or rows to train on."""

    title: str
    about: str
    of: str
    suffix: str = "jsonl"
    line: Callable[[Row], Row | None] | None = None

    @property
    def streams(self) -> bool:
        """Whether it can be read as it is written, and not only as a whole file."""
        return self.suffix in ("jsonl", "csv")

    @property
    def learns(self) -> bool:
        return self.of in ("demonstrations", "preferences", "unpaired")


SHAPES: dict[str, Shape] = {
    "touchstone": Shape("Everything, JSON Lines", "Each labelled item with its answers and every vote.", "items"),
    "csv": Shape("Everything, CSV", "A line for each label, for a spreadsheet.", "items", "csv"),
    "parquet": Shape("Everything, Parquet", "A row for each labelled item, for pandas or DuckDB.", "items", "parquet"),
    "dataset": Shape(
        "Hugging Face dataset",
        "Items and rows to train on as tables for load_dataset, with a card made from facts: a zip file, of the "
        "prompts to train on unless held-out ones are chosen.",
        "all",
        "zip",
    ),
    "trl-completion": Shape(
        "TRL prompt-completion", "Good answers, for SFT.", "demonstrations", line=prompt_completion
    ),
    "trl-preference": Shape(
        "TRL preference", "Chosen and rejected answers, for DPO and ORPO.", "preferences", line=preference
    ),
    "trl-margin": Shape(
        "TRL preference with margin", "The same with how much better, for reward models.", "preferences", line=margin
    ),
    "trl-unpaired": Shape(
        "TRL unpaired preference", "Answers that are good or bad by themselves, for KTO.", "unpaired", line=unpaired
    ),
    "openai-chat": Shape(
        "OpenAI chat", "Good answers, for supervised fine-tuning.", "demonstrations", line=openai_chat
    ),
    "openai-preference": Shape(
        "OpenAI preference", "Preferred answers and others, for their DPO.", "preferences", line=openai_preference
    ),
    "sharegpt": Shape("ShareGPT", "Good answers, as conversations.", "demonstrations", line=sharegpt),
    "alpaca": Shape(
        "Alpaca", "Good answers where turns alternate; others are left out and counted.", "demonstrations", line=alpaca
    ),
}
