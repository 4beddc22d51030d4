"""A classifier of texts: which labels it knows, how much it reads at once, and how likely each label is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from training.recipes import models
from training.recipes.contract import BadData, MissingBase

OVERLAP = 8  # windows of a long text share one part in so many


@dataclass(frozen=True)
class Window:
    """Tokens of a part of a text, and where it stands: `start` to `end`, in characters."""

    ids: list[int]
    start: int
    end: int


def load(base: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, in float32 so that what it says of a text is comparable, and its tokenizer."""
    if not (Path(base) / "config.json").is_file():
        raise MissingBase("The classifier is not where it was stored: import it again, or restore it.")
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)  # nosec B615  # a folder, here and below
    model = AutoModelForSequenceClassification.from_pretrained(  # nosec B615
        base, dtype=torch.float32, **models.AS_DATA
    )
    return model.to(models.device()).eval(), tokenizer


def labels_of(config: Any) -> list[str]:
    """The names of its labels, in the order of its outputs. Raises BadData for a model that gives a number instead."""
    if config.problem_type == "regression":
        raise BadData("This model gives a text a number and no label: choose one that was trained to classify.")
    names = (str(config.id2label[number]) for number in range(config.num_labels))
    return [name.encode(errors="replace").decode().replace("\0", "?") for name in names]  # what a database can hold


def holds_several(config: Any) -> bool:
    """Whether a text may have several labels at once; else it has one of them. As transformers' pipelines decide."""
    return config.problem_type == "multi_label_classification" or config.num_labels == 1


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """How many tokens it reads at once, with those that its tokenizer adds; None if nothing limits it.

    Some models count positions from behind that of their padding (RoBERTa), and have as many fewer.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is not None:
        for name, part in model.named_modules():
            if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
                positions -= part.padding_idx + 1
    limits = [one for one in (positions, tokenizer.model_max_length) if one is not None and 0 < one < 1 << 30]
    return min(limits, default=None)


def windows(tokenizer: PreTrainedTokenizerBase, texts: list[str], limit: int) -> list[list[Window]]:
    """Each text in windows of at most `limit` tokens; none of a text in which the tokenizer finds nothing."""
    if not tokenizer.is_fast:
        raise BadData("This model's tokenizer does not say where in a text its tokens stand: choose another model.")
    added = tokenizer.num_special_tokens_to_add()
    read = tokenizer(
        texts,
        truncation=True,
        max_length=limit,
        stride=max(0, (limit - added) // OVERLAP),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    found: list[list[Window]] = [[] for _ in texts]
    for number, text in enumerate(read["overflow_to_sample_mapping"]):
        special = read["special_tokens_mask"][number]
        places = [place for place, mark in zip(read["offset_mapping"][number], special, strict=True) if not mark]
        if places:
            start, end = min(place[0] for place in places), max(place[1] for place in places)
            found[text].append(Window(read["input_ids"][number], start, end))
    return found


def probabilities(model: PreTrainedModel, read: list[Window], pad: int) -> torch.Tensor:
    """How likely each label is, windows × labels, read side by side and padded on the right."""
    ids, mask = models.padded([window.ids for window in read], pad, model.device)
    with torch.inference_mode():
        found = model(input_ids=ids, attention_mask=mask).logits.float().cpu()
    return found.sigmoid() if holds_several(model.config) else found.softmax(dim=1)
