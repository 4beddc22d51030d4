"""What can be run: one entry for each method, with the settings a person may choose.

Both sides read this module: the forms are built from the settings models, and each recipe validates its
`spec.json` with the same model. So it needs pydantic alone, neither Django nor torch. To add a method, write
its settings here, one line in `METHODS`, and a recipe of the same name in `training/recipes/`.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """A recipe's settings: a misspelt name is an error, and not quietly the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSettings(Settings):
    """What every training method has in common."""

    batch_size: int = Field(
        4,
        ge=1,
        le=256,
        title="Batch size",
        description="How many examples the model sees at once on each device. Lower it if memory runs out.",
    )
    gradient_accumulation: int = Field(
        1,
        ge=1,
        le=256,
        title="Batches per step",
        description="How many batches are added up before the weights move. Batch size times this is the "
        "number of examples behind each step; raise it instead of the batch size when memory "
        "is short.",
    )
    max_length: int = Field(
        1024,
        ge=16,
        le=131072,
        title="Longest example (tokens)",
        description="Prompt and answer together, counted in tokens (about three quarters of a word each). "
        "1024 is what TRL uses. The run's page says how many examples were longer.",
    )
    lora_rank: int = Field(
        16,
        ge=1,
        le=512,
        title="Adapter rank",
        description="How much the adapter can hold. The LoRA paper (Hu et al. 2021) finds 4 to 64 alike "
        "on most work; 16 is a safe middle; QLoRA (Dettmers et al. 2023) uses 64.",
    )
    lora_alpha: int = Field(
        32,
        ge=1,
        le=1024,
        title="Adapter scale",
        description="How strongly the adapter speaks: its output is multiplied by this over the rank. "
        "Twice the rank is the usual choice.",
    )
    lora_dropout: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        title="Adapter dropout",
        description="Share of the adapter's inputs left out at random while training. 0 trains the same "
        "way every time; 0.05 to 0.1 (QLoRA) can help when a small set of examples is seen "
        "many times.",
    )
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "cosine",
        title="Learning rate over time",
        description="After warming up, the learning rate falls to zero in a straight line, along a "
        "cosine, or stays constant. Cosine is what the Zephyr recipes (Tunstall et al. 2023) "
        "use.",
    )
    warmup: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        title="Warm-up",
        description="Share of the steps in which the learning rate rises from zero. A tenth, as in the "
        "Zephyr recipes, keeps the first batches from throwing the model off.",
    )
    gradient_checkpointing: bool = Field(
        False,
        title="Save memory",
        description="Computes parts of each step twice instead of keeping them in memory: about a third "
        "slower, and far less memory. Turn it on when memory runs out at batch size 1.",
    )
    checkpoint_seconds: float = Field(
        60.0,
        ge=0.0,
        le=86400.0,
        title="Seconds between checkpoints",
        description="How often the run writes down where it is. If the machine goes down, this is the "
        "most that is lost. 0 writes after every step.",
    )


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


class RewardSettings(TrainingSettings):
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. 1e-4 is TRL's default for reward models and "
        "suits an adapter.",
    )
    epochs: float = Field(
        2.0,
        gt=0.0,
        le=100.0,
        title="Passes over the pairs",
        description="How often each pair is seen. Large sets need one, since reward models learn pairs by "
        "heart quickly (Ouyang et al. 2022; Touvron et al. 2023); a few hundred pairs gain "
        "from a second.",
    )
    use_margin: bool = Field(
        False,
        title="Use how sure people were",
        description="Asks for a larger gap in score where people said that one answer is much better "
        "(Llama 2, Touvron et al. 2023). Off is the plain Bradley-Terry model.",
    )
    center: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        title="Pull to zero",
        description="Keeps scores around zero, so that those of two models can be laid side by side. 0.01 "
        "is the value of Eisenstein et al. 2023, where the idea comes from; 0 turns it off.",
    )


class DpoSettings(TrainingSettings):
    beta: float = Field(
        0.1,
        gt=0.0,
        le=10.0,
        title="Beta: loyalty to the model before",
        description="High keeps the model close to what it was; low lets people's choices change it more. "
        "0.1 is the value of the DPO paper (Rafailov et al. 2023).",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. DPO on all weights uses about 1e-6 (the "
        "paper, and TRL's default); an adapter has far fewer weights, which start at zero, "
        "and needs 5e-5 to 1e-4 to learn from a few hundred pairs. Lower it if the model "
        "starts to ramble.",
    )
    epochs: float = Field(
        2.0,
        gt=0.0,
        le=100.0,
        title="Passes over the pairs",
        description="How often each pair is seen. One to three in the Zephyr recipes; beyond that the "
        "model drifts without getting better.",
    )
    precompute_ref_log_probs: bool = Field(
        True,
        title="Score the reference first",
        description="Reads every pair once with the model as it was, before training, instead of again in "
        "every step. It takes less time from the second pass on, and a run that was stopped "
        "does not repeat it.",
    )


class GenerateSettings(Settings):
    samples_per_prompt: int = Field(
        4,
        ge=1,
        le=64,
        title="Answers per prompt",
        description="How many answers are drawn for each prompt. Four gives people a ranking to make "
        "without tiring them (InstructGPT, Ouyang et al. 2022, showed 4 to 9).",
    )
    max_new_tokens: int = Field(
        128,
        ge=1,
        le=8192,
        title="Longest answer (tokens)",
        description="Where an answer is cut off if it has not ended by itself. Time grows with it.",
    )
    temperature: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        title="Temperature",
        description="How adventurous the answers are. 0.8 gives answers different enough to be worth "
        "ranking and still sensible (SimPO, Meng et al. 2024, samples its pairs so); 0 always "
        "takes the likeliest word.",
    )
    top_p: float = Field(
        0.95,
        gt=0.0,
        le=1.0,
        title="Top-p",
        description="Draws only from the likeliest words that together have this probability, which keeps "
        "nonsense from the long tail out (Holtzman et al. 2020). 1 draws from all words.",
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1024,
        title="Answers at once",
        description="How many answers are written side by side. More is faster until memory runs out.",
    )

    @model_validator(mode="after")
    def _one_answer_when_nothing_is_drawn(self) -> "GenerateSettings":
        if self.temperature == 0 and self.samples_per_prompt > 1:
            raise ValueError("at temperature 0 all answers to a prompt are the same: ask for one answer per prompt")
        return self


class ScoreSettings(Settings):
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Answers at once",
        description="How many answers are scored side by side. It changes the speed and not the scores.",
    )
    max_length: int = Field(
        2048,
        ge=16,
        le=131072,
        title="Longest conversation (tokens)",
        description="Of a longer one only the end is read, where the answer stands; the run's page says "
        "how many were longer.",
    )


class ConvertSettings(Settings):
    """Nothing to choose: the model is brought into one layout, and its weights stay as they are."""


@dataclass(frozen=True)
class Method:
    name: str
    title: str
    summary: str
    settings: type[Settings]
    produces: Literal["policy", "reward"] | None = None
    snapshot_kind: Literal["demonstrations", "preferences"] | None = None


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "sft",
            "Learn from good answers",
            "Supervised fine-tuning: the model learns to answer like the examples people wrote or approved.",
            SftSettings,
            "policy",
            "demonstrations",
        ),
        Method(
            "reward",
            "Learn what people prefer",
            "A reward model: reads an answer and gives it a score, higher where people would choose it.",
            RewardSettings,
            "reward",
            "preferences",
        ),
        Method(
            "dpo",
            "Prefer what people chose",
            "Direct preference optimisation: the model moves towards the answers people chose and away "
            "from the others.",
            DpoSettings,
            "policy",
            "preferences",
        ),
        Method(
            "generate",
            "Write new answers",
            "Draws several answers from a model for each prompt, to be ranked next.",
            GenerateSettings,
        ),
        Method("score", "Score answers", "Gives every answer the score of a reward model.", ScoreSettings),
    )
}

# Bringing a base model in is run like a method, but is no step of the loop, and so is not offered among them.
CONVERT = Method(
    "convert",
    "Import a model",
    "Reads a model from a GGUF file, a folder or a hub and stores it in one layout.",
    ConvertSettings,
)
