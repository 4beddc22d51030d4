"""Settings of supervised fine-tuning."""

from typing import Literal

from pydantic import Field, model_validator

from training.methods.mixtures import MixtureSettings
from training.methods.weights import SOFT_PROMPTS, TunedSettings

FEW_SHOT = Field(
    0,
    ge=0,
    le=16,
    title="Examples before the question",
    description="So many other questions with their answers, drawn from the same data, stand before each question. "
    "The model then learns to answer from examples, and must be given some when it is used. 0, the usual, shows none.",
)


class SftSettings(MixtureSettings, TunedSettings):
    learning_rate: float = Field(
        2e-4,
        gt=0.0,
        le=1.0,
        title="Learning rate",
        description="How far the weights move at each step. Left out, it is what suits what is trained: 2e-4 for "
        "LoRA (QLoRA, Dettmers et al. 2023), 2e-5 for all weights, 3e-2 for prompt tuning.",
    )
    epochs: float = Field(
        3.0,
        gt=0.0,
        le=100.0,
        title="Passes over the examples",
        description="How often each example is seen. Three, as in Stanford Alpaca; more soon learns a "
        "small set by heart.",
    )
    loss_on: Literal["answer", "conversation"] = Field(
        "answer",
        title="Learn from",
        description="The answer alone, or the whole conversation. The answer is what people judged; the whole "
        "conversation helps where the questions themselves are in a language or a jargon the model does "
        "not know yet.",
    )
    few_shot: int = FEW_SHOT
    packing: bool = Field(
        False,
        title="Pack short examples together",
        description="Several short examples share the room of one long one, which is faster where lengths differ "
        "much. They do not see each other. A step then holds more examples, so that there are fewer "
        "steps: raise the learning rate or the passes.",
    )
    neftune: float = Field(
        0.0,
        ge=0.0,
        le=30.0,
        title="Noise on the words",
        description="Adds a little noise to what the model reads while it learns (NEFTune, Jain et al. 2023), which "
        "made answers to instructions longer and richer with small sets. They used 5 to 15; 0 is none.",
    )

    @model_validator(mode="after")
    def _packing_keeps_apart(self) -> "SftSettings":
        if self.packing and self.tuning in SOFT_PROMPTS | {"llama_adapter"}:
            raise ValueError(
                "Learned words stand before the first of several packed examples only: do not pack, or choose LoRA."
            )
        return self
