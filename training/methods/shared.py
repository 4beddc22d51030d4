"""What the settings of several methods have in common."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

# Settings that matter only where another has one of these values: forms show them with these alone.
OnlyFor = dict[str, tuple[str, frozenset[str]]]


class Settings(BaseModel):
    """A recipe's settings: a misspelt name is an error, and not quietly the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    only_for: ClassVar[OnlyFor] = {}

    @classmethod
    def conditions(cls) -> OnlyFor:
        """`only_for` of this class and of those it is made from."""
        found: OnlyFor = {}
        for one in reversed(cls.__mro__):
            found |= vars(one).get("only_for", {})
        return found

    @classmethod
    def matters(cls, name: str, chosen: dict[str, Any]) -> bool:
        """Whether a setting does anything with what else was chosen."""
        other, values = cls.conditions().get(name, ("", frozenset()))
        return not other or chosen.get(other, cls.model_fields[other].default) in values


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
