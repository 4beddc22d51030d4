"""Settings of the methods that learn from what people preferred."""

from typing import ClassVar, Literal

from pydantic import Field

from training.methods.mixtures import MixtureSettings
from training.methods.shared import OnlyFor
from training.methods.weights import RATE_TIMES, WAYS, TunedSettings


class RewardSettings(MixtureSettings, TunedSettings):
    only_for: ClassVar[OnlyFor] = {"head_rate": ("tuning", frozenset(WAYS))}  # its head is new whatever is trained

    # A score is read at the last token, which learned words hide, and LLaMA-Adapter cannot keep a new head.
    tuning: Literal["lora", "rslora", "dora", "qlora", "full", "top_layers", "ia3", "loha", "lokr", "prefix"] = Field(
        "lora",
        title="What is trained",
        description="Always a new head, which gives the score. With LoRA (Hu et al. 2021) a small adapter under it; "
        "with the last layers or all weights more, for many thousands of pairs.",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1.0,
        title="Learning rate",
        description="How far the weights move at each step. 1e-4 is TRL's default for reward models and "
        "suits an adapter; left out, it is what suits what is trained.",
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


class DpoSettings(MixtureSettings, TunedSettings):
    rate_times: ClassVar[dict[str, float]] = {**RATE_TIMES, "full": 0.01, "top_layers": 0.05}  # 1e-6, as in the paper

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
        le=1.0,
        title="Learning rate",
        description="How far the weights move at each step. Left out, it is what suits what is trained: all weights "
        "take about 1e-6 (the paper, and TRL's default); an adapter has far fewer, which start at zero, "
        "and needs 5e-5 to 1e-4 to learn from a few hundred pairs. Lower it if the model starts to ramble.",
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
