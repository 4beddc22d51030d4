"""How much of the model is trained, and what keeps it from learning its examples by heart."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from training.methods.shared import OnlyFor, TrainingSettings

Way = Literal[
    "lora",
    "rslora",
    "dora",
    "qlora",
    "full",
    "top_layers",
    "ia3",
    "loha",
    "lokr",
    "llama_adapter",
    "prompt",
    "prefix",
    "ptuning",
]
WAYS: dict[str, str] = {  # in words, where a choice is offered
    "lora": "LoRA: a small adapter",
    "rslora": "rsLoRA: an adapter that may be large",
    "dora": "DoRA: an adapter that also scales",
    "qlora": "QLoRA: LoRA on a model in 4 bits",
    "full": "All weights",
    "top_layers": "The last layers",
    "ia3": "IA3: scales alone",
    "loha": "LoHa: products of small matrices",
    "lokr": "LoKr: Kronecker products",
    "llama_adapter": "LLaMA-Adapter: gated prompts in the last layers",
    "prompt": "Prompt tuning: learned words in front",
    "prefix": "Prefix tuning: learned words in every layer",
    "ptuning": "P-tuning: learned words from a small network",
}
LORA = frozenset({"lora", "rslora", "dora", "qlora"})
WHOLE = frozenset({"full", "top_layers"})  # they yield a whole model and no adapter
SOFT_PROMPTS = frozenset({"prompt", "prefix", "ptuning"})
MERGEABLE = LORA | {"ia3", "loha", "lokr"}

# The learning rate that suits a way, as a multiple of what suits LoRA: few weights need large steps.
RATE_TIMES = {
    "full": 0.1,
    "top_layers": 0.25,
    "ia3": 15.0,  # 3e-3, as in T-Few (Liu et al. 2022)
    "loha": 5.0,
    "lokr": 5.0,
    "llama_adapter": 25.0,
    "prompt": 150.0,  # 3e-2; Lester et al. 2021 use 0.3 with Adafactor
    "prefix": 50.0,
    "ptuning": 25.0,
}


class TunedSettings(TrainingSettings):
    """What is trained, at which rate in which layer, and when to stop."""

    only_for: ClassVar[OnlyFor] = {
        "lora_rank": ("tuning", LORA | {"loha", "lokr"}),
        "lora_alpha": ("tuning", LORA | {"loha", "lokr"}),
        "lora_dropout": ("tuning", LORA | {"loha", "lokr"}),
        "virtual_tokens": ("tuning", SOFT_PROMPTS | {"llama_adapter"}),
        "layers": ("tuning", frozenset({"top_layers", "llama_adapter"})),
        "layer_decay": ("tuning", MERGEABLE | WHOLE),
        "head_rate": ("tuning", WHOLE),
    }
    rate_times: ClassVar[dict[str, float]] = RATE_TIMES

    tuning: Way = Field(
        "lora",
        title="What is trained",
        description="LoRA (Hu et al. 2021) trains a small adapter beside the model: a fraction of the memory, a file "
        "of a few megabytes, and close to full quality on a few thousand examples. All weights can "
        "take in more, and need more examples, memory and care. “Which method?” helps to choose.",
    )
    virtual_tokens: int = Field(
        20,
        ge=1,
        le=512,
        title="Learned words",
        description="How many made-up words are learned in front of every conversation. Prompt tuning gains little "
        "beyond 20 (Lester et al. 2021); LLaMA-Adapter uses 10.",
    )
    layers: int = Field(
        2,
        ge=1,
        le=512,
        title="How many of the last layers",
        description="The layers nearest to the answer are trained, the others stay as they are. Two or three for a "
        "few hundred examples; LLaMA-Adapter (Zhang et al. 2023) reaches all but the first two.",
    )
    layer_decay: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        title="Slower in lower layers",
        description="Each layer learns at this share of the rate of the one above it. 1 is one rate for all; 0.8 to "
        "0.95 (ELECTRA, Clark et al. 2020; the idea is from ULMFiT, Howard and Ruder 2018) changes what "
        "the model knows in general less than how it answers.",
    )
    head_rate: float = Field(
        1.0,
        gt=0.0,
        le=100.0,
        title="Learning rate of the head, times",
        description="The last layer of all, which turns what the model thinks into words or a score, learns at the "
        "learning rate times this. A new head may need 5 to 10 times as much; 1 is the same rate.",
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Weight decay",
        description="Pulls weights towards zero at each step, which holds against learning by heart. 0.01 to 0.1 are "
        "usual where all weights are trained (Loshchilov and Hutter 2019); adapters rarely need it.",
    )
    validation_share: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        title="Share kept back to watch",
        description="This share of the prompts is not trained on. The loss on it is measured ten times in the run, "
        "and the model from its lowest point is kept. With 0 everything is trained on and the last "
        "model kept; 0.1 is usual from a few hundred examples on.",
    )
    patience: int = Field(
        0,
        ge=0,
        le=10,
        title="Stop early after",
        description="The run ends when the loss on what was kept back has not got lower this many times in a row "
        "(of the ten). 0 always goes to the end; either way the best model is kept.",
    )

    @model_validator(mode="before")
    @classmethod
    def _a_learning_rate_that_suits(cls, given: Any) -> Any:
        """Left out, it is the method's own for LoRA, times what the way of training needs."""
        if isinstance(given, dict) and given.get("learning_rate") is None and "learning_rate" in cls.model_fields:
            rate = cls.model_fields["learning_rate"].default * cls.rate_times.get(given.get("tuning", "lora"), 1.0)
            return {**given, "learning_rate": float(f"{rate:.6g}")}
        return given

    @model_validator(mode="after")
    def _what_goes_together(self) -> "TunedSettings":
        if self.tuning in SOFT_PROMPTS and self.gradient_checkpointing:
            raise ValueError(
                f"{WAYS[self.tuning].partition(':')[0]} cannot save memory by computing twice: its learned words "
                "would be lost on the way. Turn saving memory off, or choose LoRA."
            )
        if self.patience and not self.validation_share:
            raise ValueError("To stop early, a share of the examples must be kept back to watch: 0.1, for example.")
        return self
