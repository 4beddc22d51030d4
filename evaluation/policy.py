"""A round's settings, and whether a project is ready for one. The settings import no Django."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEASURED = 100  # held-out prompts that a model answers when it is measured: enough to tell 15 % longer answers


class RoundSettings(BaseModel):
    """What a lead may choose when starting a round; the defaults suit a small model and a few hundred labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_comparisons: int = Field(
        20,
        ge=1,
        title="Preferences to wait for",
        description="Ranked pairs, and edits that beat their originals; not those held out.",
    )
    fresh_prompts: int = Field(
        24, ge=1, le=10_000, title="Prompts to answer anew", description="Those asked about least come first."
    )
    heldout_prompts: int = Field(
        12,
        ge=0,
        le=10_000,
        title="Held-out prompts to answer anew",
        description="Their labels measure the next models and are never trained on.",
    )
    measured_prompts: int = Field(
        MEASURED,
        ge=0,
        le=10_000,
        title="Held-out prompts to measure with",
        description="The new model answers as many, beside the base model: how long its answers are, how repetitive, "
        "how far from the base. They are shown to nobody.",
    )
    new_items: int = Field(
        40, ge=1, le=100_000, title="New comparisons", description="At most so many are put into the queue."
    )
    random_share: float = Field(
        0.1, ge=0, le=1, title="Random share", description="Of what is asked, chosen at random as a control."
    )
    simulated: bool = Field(
        False, title="Use simulated labels", description="Train on labels of simulated annotators too."
    )
    skip: list[str] = Field(default_factory=list, title="Steps to leave out", description="sft is the usual one.")
    sft: dict[str, Any] = Field(default_factory=dict, title="Supervised fine-tuning")
    reward: dict[str, Any] = Field(default_factory=dict, title="Reward model")
    dpo: dict[str, Any] = Field(default_factory=dict, title="Preference tuning")
    generate: dict[str, Any] = Field(default_factory=dict, title="Sampling")
    seed: int = Field(
        17, ge=0, le=2**31 - 1, title="Seed", description="The same labels, settings and seed give the same models."
    )


SKIPPABLE = {"sft", "evaluating", "gated", "sampling", "selecting"}
