"""Settings of the methods in which a model learns from another one, on its own answers to prompts."""

from typing import Literal

from pydantic import Field, model_validator

from training.methods.shared import TrainingSettings


class RlhfSettings(TrainingSettings):
    algorithm: Literal["rloo", "grpo"] = Field(
        "rloo",
        title="Way of learning",
        description="Both let the model answer each prompt several times and make likelier what scores above its other "
        "answers. 'rloo' measures against their mean (Ahmadian et al. 2024), 'grpo' also divides by how much they "
        "differ (Shao et al. 2024), which gives prompts a say on which all answers score much alike.",
    )
    prompts: int = Field(
        256,
        ge=1,
        le=10_000,
        title="Prompts",
        description="How many of the project's training prompts are answered in one pass, drawn by the seed.",
    )
    answers_per_prompt: int = Field(
        4,
        ge=2,
        le=64,
        title="Answers per prompt",
        description="How many answers to one prompt are measured against each other. The RLOO paper uses 2 and 4; more "
        "make steadier steps and take more time.",
    )
    batch_size: int = Field(
        8,
        ge=2,
        le=1024,
        title="Batch size",
        description="How many answers the model learns from at once on each device. Times the batches per step it must "
        "be a multiple of the answers per prompt. Lower it if memory runs out.",
    )
    max_new_tokens: int = Field(
        128,
        ge=4,
        le=8192,
        title="Longest answer (tokens)",
        description="Where an answer is cut off if it has not ended by itself. Time grows with it.",
    )
    temperature: float = Field(
        1.0,
        gt=0.0,
        le=2.0,
        title="Temperature",
        description="How adventurous the answers are while learning. 1 is the model as it is, and what the papers use.",
    )
    beta: float = Field(
        0.05,
        gt=0.0,
        le=10.0,
        title="Beta: loyalty to the model before",
        description="How much score it costs to move away from the model as it was, for each unit of KL divergence. "
        "High keeps it close. 0.05 is TRL's default for RLOO.",
    )
    kl_limit: float = Field(
        20.0,
        gt=0.0,
        le=10_000.0,
        title="Stop when it has moved this far",
        description="A reward model stands in for people: pushed too far, its score goes on rising while answers get "
        "worse. Gao et al. 2022 find that point by the KL divergence from the model before. The run stops when an "
        "answer has moved by this many nats on average, and says so.",
    )
    learning_rate: float = Field(
        2e-5,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. 1e-6 for all weights (the RLOO paper, and TRL's default); "
        "an adapter needs ten times that or more.",
    )
    epochs: float = Field(
        1.0,
        gt=0.0,
        le=100.0,
        title="Passes over the prompts",
        description="How often each prompt is answered and learnt from. One is usual; look at the score's curve before "
        "adding more.",
    )

    @model_validator(mode="after")
    def _whole_prompts_in_a_step(self) -> "RlhfSettings":
        if self.batch_size * self.gradient_accumulation % self.answers_per_prompt:
            raise ValueError(
                "batch size times batches per step must be a multiple of the answers per prompt, so that all answers "
                "to a prompt are in one step"
            )
        return self


class DistillSettings(TrainingSettings):
    prompts: int = Field(
        256,
        ge=1,
        le=10_000,
        title="Prompts",
        description="How many of the project's training prompts are answered in one pass, drawn by the seed.",
    )
    max_new_tokens: int = Field(
        128,
        ge=4,
        le=8192,
        title="Longest answer (tokens)",
        description="Where an answer is cut off if it has not ended by itself. Time grows with it.",
    )
    temperature: float = Field(
        1.0,
        gt=0.0,
        le=2.0,
        title="Temperature",
        description="How adventurous the answers are while learning. 1 is the model as it is, and what the paper uses.",
    )
    divergence: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        title="What it means to be alike",
        description="1 learns to avoid what the teacher would not say, and is TRL's default; 0 to cover all that the "
        "teacher might say; 0.5 lies between (the generalised Jensen-Shannon divergence of Agarwal et al. 2024).",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. 1e-6 for all weights is TRL's default; an adapter, with "
        "fewer weights that start at zero, needs about a hundred times that.",
    )
    epochs: float = Field(
        1.0,
        gt=0.0,
        le=100.0,
        title="Passes over the prompts",
        description="How often each prompt is answered. Answers are new each time, so that more passes do not learn by "
        "heart.",
    )
