"""Settings of what a run's examples are mixed from: earlier data, languages, tasks."""

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from training.methods.shared import OnlyFor, Settings

WEIGHT = re.compile(r"\s*([^=,]+?)\s*=\s*(\d+(?:\.\d+)?)\s*")


class MixtureSettings(Settings):
    only_for: ClassVar[OnlyFor] = {
        "mix_alpha": ("mix_by", frozenset({"language", "tag", "data_set"})),
        "mix_weights": ("mix_by", frozenset({"language", "tag", "data_set"})),
    }

    replay_share: float = Field(
        0.2,
        ge=0.0,
        le=0.9,
        title="Share of the other data",
        description="Where other data sets are mixed in: how much of what is learned from comes from them, so that "
        "a new round does not undo the old. A tenth to a third is usual for replay (Scialom et al. 2022 "
        "found even 1 % to help). Nothing is taken from there twice. Not used where data sets are balanced.",
    )
    mix_by: Literal["nothing", "language", "tag", "data_set"] = Field(
        "nothing",
        title="Balance by",
        description="Gives small groups a larger part in the mixture: languages, tags (an example with several counts "
        "under the first) or data sets. The number of examples stays about the same; those of small "
        "groups come more than once.",
    )
    mix_alpha: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        title="How even",
        description="A group's part is its share of the examples to this power: 1 leaves the data as they are, 0 "
        "gives each group the same. 0.3 is what XLM-R uses for languages (Conneau et al. 2020).",
    )
    mix_weights: str = Field(
        "",
        max_length=500,
        title="Weights of groups",
        description="Multiplies the part of some groups, such as: de=2, en=1. Those not named have 1, and 0 leaves a "
        "group out. Data sets are called main and the number of the snapshot, such as: main=1, 12=0.5.",
    )

    @field_validator("mix_weights")
    @classmethod
    def _weights_can_be_read(cls, text: str) -> str:
        weights_of(text)
        return text

    @model_validator(mode="after")
    def _weights_of_something(self) -> "MixtureSettings":
        if self.mix_weights.strip() and self.mix_by == "nothing":
            raise ValueError("Weights are of groups: say by what the data are balanced, or leave the weights empty.")
        return self


def weights_of(text: str) -> dict[str, float]:
    """The weights by group; raises ValueError with the part that cannot be read.

    >>> weights_of("de=2, en = 0.5")
    {'de': 2.0, 'en': 0.5}
    >>> weights_of("")
    {}
    """
    found = {}
    for part in filter(str.strip, text.split(",")):
        match = WEIGHT.fullmatch(part)
        if match is None:
            raise ValueError(f"{part.strip()!r} is no weight: write a group, an equals sign and a number, as in de=2.")
        found[match[1]] = float(match[2])
    return found
