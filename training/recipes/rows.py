"""Which examples a run will really learn from, found out before it starts.

TRL drops some rows without a word (preference pairs over `max_length`) and cuts others; a run on half of its
data looks like any other. So each row is written out with the model's chat template and measured here, the
way the trainer will do it, and what is kept, dropped and cut is the first line of `metrics.jsonl`.

Then a share of the prompts is held back to watch, rows of a snapshot that weighs them are repeated or left out by their
weights, other sets are mixed in and groups balanced, as the settings say.
The count of rows that are kept is of the main set and the others before that; what is trained on is counted apart.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pyarrow
import pyarrow.parquet
from jinja2 import TemplateError

from training.methods.mixtures import MixtureSettings, weights_of
from training.methods.weights import TunedSettings
from training.recipes.contract import BadData, Job
from training.recipes.mixing import MAIN, balanced, repeated, replayed

OTHER = "other_"  # data sets beside the main one are named in the spec by this and their number
VALIDATION = "validation"  # a data set to watch, and to learn nothing from
UNKNOWN = "unknown"
Message = dict[str, str]


@dataclass
class About:
    """What a row belongs to; nothing the trainer reads."""

    source: str
    language: str
    tag: str
    weight: float = 1.0
    asks: str = ""  # the hash of the prompt, which a paraphrase of it has too; empty if it is not known


@dataclass
class Rows:
    """What is trained on (`kept`), what is watched, and how they came about."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    about: list[About] = field(default_factory=list)  # of each of `kept`
    watched: list[dict[str, Any]] = field(default_factory=list)
    usable: int | None = None  # how many were kept, before others were mixed in
    read: int = 0
    cut: int = 0
    longest_tokens: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "kept": len(self.kept) if self.usable is None else self.usable,
            "dropped": self.dropped.total(),
            "cut": self.cut,
            "longest_tokens": self.longest_tokens,
            "why_dropped": dict(self.dropped),
            **self._mixture(),
        }

    def _mixture(self) -> dict[str, Any]:
        """How what is trained on is made up, where there is something to tell."""
        found: dict[str, Any] = {}
        languages = Counter(about.language for about in self.about)
        if set(languages) - {UNKNOWN}:
            found["languages"] = dict(languages.most_common())
        sources = Counter(about.source for about in self.about)
        if set(sources) - {MAIN}:
            found["data_sets"] = dict(sources.most_common())
        if self.watched:
            found["watched"] = len(self.watched)
        if self.usable not in (None, len(self.kept)):
            found["trained_on"] = len(self.kept)
        return found

    def keys(self, seed: int) -> list[str]:
        """Of each of `kept` a hash of what is asked, in whatever words."""
        own = [key(row["prompt"], seed) for row in self.kept]
        least: dict[str, str] = {}
        for about, one in zip(self.about, own, strict=True):
            least[about.asks] = min(one, least.get(about.asks, one))
        return [least[about.asks] if about.asks else one for about, one in zip(self.about, own, strict=True)]

    def keep(self, row: dict[str, Any], about: About) -> None:
        self.kept.append(row)
        self.about.append(about)

    def drop(self, why: str) -> None:
        self.dropped[why] += 1


def demonstrations(job: Job, tokenizer: Any) -> Rows:
    """Rows for SFT: over-long ones are cut at the end, and dropped if the prompt alone fills the space."""
    limit = job.settings.max_length
    rows = Rows()
    for row, about in _rows(job, ["prompt", "completion"]):
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
        rows.keep({"prompt": prompt, "completion": completion}, about)
    return _with_examples(_reported(job, rows), tokenizer, job)


def preferences(job: Job, tokenizer: Any, *, too_long: str, margin: bool = False) -> Rows:
    """Rows for the reward model, whose trainer drops what is too long, for DPO, whose trainer cuts it, and for a
    probe, which reads the end of it.
    """
    limit = job.settings.max_length
    columns = ["prompt", "chosen", "rejected"] + (["margin"] if margin else [])
    rows = Rows()
    for row, about in _rows(job, columns):
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
        if too_long == "cut" and before >= limit:
            rows.drop("prompt too long")
            continue
        rows.cut += whole > limit
        kept: dict[str, Any] = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        if margin:
            kept["margin"] = _margin(row["margin"], rows.read)
        rows.keep(kept, about)
    return _reported(job, rows)


def judged(job: Job, tokenizer: Any) -> Rows:
    """Rows for KTO, good answers and bad ones: over-long ones are cut at the end."""
    limit = job.settings.max_length
    rows = Rows()
    for row, about in _rows(job, ["prompt", "completion", "label"]):
        rows.read += 1
        prompt, completion = _messages(row["prompt"]), _messages(row["completion"])
        if prompt is None or completion is None or not isinstance(row["label"], bool):
            rows.drop("not a judged conversation")
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
        rows.keep({"prompt": prompt, "completion": completion, "label": row["label"]}, about)
    return _reported(job, rows)


def tokens(tokenizer: Any, messages: list[Message], *, answer_next: bool = False) -> list[int]:
    """The conversation as the model reads it."""
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, add_generation_prompt=answer_next)[
        "input_ids"
    ]


def agrees_with_trainer(rows: Rows, trainer: Any) -> None:
    """The trainer may not drop a row that was counted as kept."""
    data = trainer.train_dataset
    there = sum(map(len, data["seq_lengths"])) if "seq_lengths" in data.column_names else len(data)  # packed, or not
    if there != len(rows.kept):
        raise RuntimeError(f"{len(rows.kept)} rows were counted as kept, and the trainer has {there}")


def _reported(job: Job, rows: Rows) -> Rows:
    """What is trained on and what is watched, put on record; raises BadData if there is nothing."""
    settings = job.settings
    _set_apart(rows)
    if rows.kept:
        rows.usable = len(rows.kept)
        if isinstance(settings, TunedSettings) and not rows.watched:
            _hold_back(rows, settings.validation_share, job.spec.seed)
        _weigh(rows, job.spec.seed)
    if rows.kept and isinstance(settings, MixtureSettings):
        _mix(rows, settings, job.spec.seed)
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


def _set_apart(rows: Rows) -> None:
    """The rows of a validation set are watched."""
    rows.watched = [row for row, about in zip(rows.kept, rows.about, strict=True) if about.source == VALIDATION]
    if rows.watched:
        _choose(rows, [index for index, about in enumerate(rows.about) if about.source != VALIDATION])


def _hold_back(rows: Rows, share: float, seed: int) -> None:
    """A share of the prompts of the main set is watched: all rows of a prompt, or none."""
    if not share:
        return
    keys = rows.keys(seed)
    own = {key for key, about in zip(keys, rows.about, strict=True) if about.source == MAIN}
    if len(own) < 2:
        raise BadData("To keep some prompts back, there must be two at least: collect more, or keep none back.")
    watched = set(sorted(own)[: max(1, round(share * len(own)))])
    rows.watched = [
        row
        for row, about, key in zip(rows.kept, rows.about, keys, strict=True)
        if key in watched and about.source == MAIN
    ]
    _choose(rows, [index for index, key in enumerate(keys) if key not in watched])


def _weigh(rows: Rows, seed: int) -> None:
    """Rows of a snapshot that weighs them come as often as they weigh, so that any loss has the weights."""
    weights = [about.weight for about in rows.about]
    if all(weight == 1 for weight in weights):
        return
    _choose(rows, repeated(weights, seed))
    if not rows.kept:
        raise BadData("The weights of the snapshot leave nothing to learn from: give some kind of row a larger one.")


def _mix(rows: Rows, settings: Any, seed: int) -> None:
    others = [index for index, about in enumerate(rows.about) if about.source != MAIN]
    if others and settings.mix_by != "data_set":
        main = [index for index, about in enumerate(rows.about) if about.source == MAIN]
        _choose(rows, main + [others[n] for n in replayed(len(main), len(others), settings.replay_share, seed)])
    if settings.mix_by == "nothing":
        return
    name = {"language": "language", "tag": "tag", "data_set": "source"}[settings.mix_by]
    groups = [getattr(about, name) for about in rows.about]
    weights = weights_of(settings.mix_weights)
    if unknown := sorted(set(weights) - set(groups)):
        there = ", ".join(sorted(set(groups)))
        raise BadData(f"No example belongs to {', '.join(unknown)}; there are {there}: correct the weights.")
    if not any(weights.get(group, 1.0) for group in groups):
        raise BadData("The weights leave nothing to learn from: give some group a weight above 0.")
    _choose(rows, balanced(groups, alpha=settings.mix_alpha, weights=weights, seed=seed))


def _choose(rows: Rows, indexes: list[int]) -> None:
    rows.kept, rows.about = [rows.kept[n] for n in indexes], [rows.about[n] for n in indexes]


def _with_examples(rows: Rows, tokenizer: Any, job: Job) -> Rows:
    """Before each question `few_shot` others with their answers, or as many as fit; those watched get them, too."""
    if not job.settings.few_shot:
        return rows
    keys = rows.keys(0)
    pool = [{**row, "asks": one} for row, one in zip(rows.kept, keys, strict=True)]
    for some, asks in ((rows.kept, keys), (rows.watched, [key(row["prompt"], 0) for row in rows.watched])):
        for number, row in enumerate(some):
            random = Random(f"few-shot {job.spec.seed} {number}")
            examples = drawn(pool, asks[number], job.settings.few_shot, random)
            room = job.settings.max_length - len(tokens(tokenizer, row["completion"]))
            while examples and _prompt_length(tokenizer, shown(examples, row["prompt"])) >= room:
                examples.pop()
            some[number] = {**row, "prompt": shown(examples, row["prompt"])}
    return rows


def drawn(pool: list[dict[str, Any]], asks: str, count: int, random: Random) -> list[dict[str, Any]]:
    """Examples that ask something else than what this is the hash of, each question once."""
    found: list[dict[str, Any]] = []
    for row in random.sample(pool, min(len(pool), 4 * count + 1)):
        if row["asks"] not in [asks, *(one["asks"] for one in found)] and len(found) < count:
            found.append(row)
    return found


def shown(examples: list[dict[str, Any]], prompt: list[Message]) -> list[Message]:
    """The examples as turns of the conversation, after its system message and before its own turns.

    >>> ask, answer = {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}
    >>> system, question = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}
    >>> [m["content"] for m in shown([{"prompt": [ask], "completion": [answer]}], [system, question])]
    ['Be brief.', '1+1?', '2', '2+2?']
    """
    start = [message for message in prompt if message["role"] == "system"]
    turns = [m for one in examples for m in one["prompt"] + one["completion"] if m["role"] != "system"]
    return start + turns + [message for message in prompt if message["role"] != "system"]


def examples_of(path: str) -> list[dict[str, Any]]:
    """Demonstrations to be shown to a model while it answers; paraphrases, which may ask what it is asked, are not."""
    found = []
    for row in _read(path, ["prompt", "completion"], also=["paraphrase"]):
        prompt, completion = _messages(row["prompt"]), _messages(row["completion"])
        if prompt and completion and _text(completion) and not row.get("paraphrase"):
            found.append({"prompt": prompt, "completion": completion, "asks": key(prompt, 0)})
    return found


def key(prompt: list[Message], seed: int) -> str:
    return hashlib.sha256(repr((seed, [(m["role"], m["content"]) for m in prompt])).encode()).hexdigest()


def _rows(job: Job, columns: list[str]) -> list[tuple[dict[str, Any], About]]:
    """The rows of the main data set and of those beside it, each with what it belongs to."""
    paths = {MAIN: job.data("train")}
    paths |= {name.removeprefix(OTHER): path for name, path in job.spec.data.items() if name.startswith(OTHER)}
    paths |= {VALIDATION: job.spec.data[VALIDATION]} if VALIDATION in job.spec.data else {}
    return [
        (row, _about(source, row))
        for source, path in paths.items()
        for row in _read(path, columns, also=["language", "tags", "weight", "prompt_sha256"])
    ]


def _about(source: str, row: dict[str, Any]) -> About:
    weight = row.get("weight")
    tag = next(iter(row.get("tags") or []), UNKNOWN)
    asks = row.get("prompt_sha256") or ""
    return About(source, row.get("language") or UNKNOWN, tag, 1.0 if weight is None else float(weight), asks)


def _read(path: str, columns: list[str], *, also: list[str] | None = None) -> list[dict[str, Any]]:
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
        there = [name for name in also or [] if name in file.schema_arrow.names]
        return file.read(columns=columns + there).to_pylist()
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
