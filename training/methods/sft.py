"""Settings of supervised fine-tuning."""

from typing import Literal

from pydantic import Field

from training.methods.shared import TrainingSettings


class SftSettings(TrainingSettings):
    tuning: Literal["lora", "full"] = Field(
        "lora",
        title="What is trained",
        description="'lora' trains a small adapter beside the model: a fraction of the memory, a file of "
        "a few megabytes, and close to full quality on a few thousand examples. 'full' moves "
        "every weight and stores a whole model.",
    )
    learning_rate: float = Field(
        2e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. 2e-4 is right for adapters (QLoRA); with "
        "'full', use about 2e-5, TRL's default.",
    )
    epochs: float = Field(
        3.0,
        gt=0.0,
        le=100.0,
        title="Passes over the examples",
        description="How often each example is seen. Three, as in Stanford Alpaca; more soon learns a "
        "small set by heart.",
    )
