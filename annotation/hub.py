"""Datasets of the Hugging Face hub, read in a stream by `datasets`, which comes with the training extra."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from django.core.exceptions import ValidationError

NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]*(:[\w.%\[\]-]+)?)?", re.A)
STEP = 1000  # rows between two words of how far it is


class Away(Exception):
    """The hub did not give what was asked for; the message says why and what to do."""


def check(dataset: str) -> None:
    """Raises ValidationError if this is no dataset's name, or none can be read here."""
    if not NAME.fullmatch(dataset) or ".." in dataset:
        raise ValidationError("A dataset is named owner/name, perhaps with :configuration:split after it.")
    if find_spec("datasets") is None:
        raise ValidationError(
            "This server cannot read from the hub: it needs the package `datasets`, which the training extra brings. "
            "Save the dataset elsewhere and upload it as a zip file."
        )


def fetch(dataset: str, path: Path, limit: int) -> Iterator[int]:
    """Write a dataset's rows as JSON Lines; yields how many there are from time to time. Raises Away."""
    from datasets import load_dataset

    name, _, rest = dataset.partition(":")
    configuration, _, split = rest.partition(":")
    try:
        rows = load_dataset(name, configuration or None, split=split or "train", streaming=True)  # nosec B615  # as it is today
        with path.open("wb") as file:
            for number, row in enumerate(rows, start=1):
                file.write(msgspec.json.encode(row, enc_hook=_otherwise) + b"\n")
                if file.tell() > limit:
                    raise Away(
                        f"The dataset is larger than {limit // 1_000_000:,} MB: name a part of it, as train[:10%]."
                    )
                if number % STEP == 0:
                    yield number
    except Away:
        raise
    except Exception as error:  # whatever a dataset's own code, the network or the hub may raise
        reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        raise Away(
            f"{dataset} could not be read from the hub: {reason}. Check its name, and that this server has "
            "network access; or save the dataset where there is one, and upload it as a zip file."
        ) from error


def _otherwise(value: Any) -> Any:
    return str(value)
