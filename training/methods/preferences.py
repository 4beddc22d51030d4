"""Settings of the methods that learn from what people preferred."""

from typing import ClassVar, Literal

from pydantic import Field

from training.methods.mixtures import MixtureSettings
from training.methods.shared import OnlyFor, TrainingSettings
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
    loss: Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "robust", "sppo_hard", "apo_zero", "apo_down"] = Field(
        "sigmoid",
        title="Kind of loss",
        description="How a pair pulls at the model. 'sigmoid' is the DPO paper's, and right unless you know better. "
        "'sigmoid norm' divides by length, so that longer answers gain nothing by being long (Tülu 3, Lambert et al. "
        "2024, with a beta of 5). 'hinge' leaves pairs alone that are told apart well enough (SLiC, Zhao et al. 2023). "
        "'ipo' aims at a fixed gap and so learns few pairs by heart less (Azar et al. 2023). 'robust' allows for a "
        "share of wrong labels, set below (Chowdhury et al. 2024). 'sppo hard' pushes chosen and rejected answers by "
        "themselves (Wu et al. 2024). 'apo zero' makes chosen answers more likely, for when they are better than what "
        "the model says; 'apo down' is for when they are worse, too (D'Oosterlinck et al. 2024).",
    )
    label_noise: float = Field(
        0.1,
        ge=0.0,
        le=0.45,
        title="Share of wrong labels",
        description="Used by the loss 'robust' alone: how many of the pairs are the wrong way round. A tenth is what "
        "Chowdhury et al. 2024 advise; the share of pairs on which two of your people disagree is an upper limit.",
    )
    sft_weight: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        title="Also learn the chosen answers",
        description="Adds this much of plain learning from the chosen answers, so that they do not become less likely "
        "themselves while the gap grows, as happens in DPO. 0 is off; Pang et al. 2024 and Llama 3 (0.2) use it.",
    )
    rehearsal: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        title="Hold on to what it knew",
        description="Before training the model writes texts from nothing, and at each step it is held to what it would "
        "have said in a few of them (Li and Hoiem 2016; Huang et al. 2024). This is the weight. 0 is off; try 0.1 if a "
        "round's report says that general questions and plain text surprise the new model. Plain text then stays as it "
        "was; how questions are answered may change all the same. A step takes about a tenth longer.",
    )
    length_share: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        title="Weight of the longer answer's end",
        description="How much the words count by which one answer of a pair is longer than the other (LD-DPO, Liu et "
        "al. 2024). 1 is plain DPO; less keeps answers from growing where people like long ones.",
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


class KtoSettings(TrainingSettings):
    batch_size: int = Field(
        4,
        ge=2,
        le=256,
        title="Batch size",
        description="How many answers the model sees at once on each device, two at least: each is measured against "
        "the others of its batch. The KTO paper uses 8 and more. Lower it if memory runs out.",
    )
    beta: float = Field(
        0.1,
        gt=0.0,
        le=10.0,
        title="Beta: loyalty to the model before",
        description="High keeps the model close to what it was; low lets people's judgements change it more. 0.1 is "
        "the value of the KTO paper (Ethayarajh et al. 2024).",
    )
    loss: Literal["kto", "apo_zero_unpaired"] = Field(
        "kto",
        title="Kind of loss",
        description="'kto' measures each answer against how far the model has moved altogether, as in the paper. 'apo "
        "zero unpaired' measures against the model as it was (D'Oosterlinck et al. 2024), which takes half the time.",
    )
    balance: bool = Field(
        True,
        title="Good and bad weigh the same",
        description="Gives the rarer kind of answer more weight, so that all good ones together weigh as much as all "
        "bad ones (equation 8 of the KTO paper). Off, each answer weighs the same.",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. The paper moves all weights with 5e-7 to 5e-6; an "
        "adapter needs about twenty times that, 5e-5 to 1e-4.",
    )
    epochs: float = Field(
        2.0,
        gt=0.0,
        le=100.0,
        title="Passes over the answers",
        description="How often each answer is seen. One is enough for thousands (the paper); a few hundred gain from "
        "a second.",
    )
    precompute_ref_log_probs: bool = Field(
        True,
        title="Score the reference first",
        description="Reads every answer once with the model as it was, before training, instead of again in every "
        "step. It takes less time from the second pass on, and a run that was stopped does not repeat it.",
    )


class OrpoSettings(TrainingSettings):
    odds_weight: float = Field(
        0.1,
        gt=0.0,
        le=10.0,
        title="Weight of the preference",
        description="How much telling the two answers apart counts beside learning the chosen one. The ORPO paper "
        "(Hong et al. 2024, where it is called lambda) uses 0.1 to 0.2, and 1 for a strong effect.",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1e-2,
        title="Learning rate",
        description="How far the weights move at each step. The paper moves all weights with 8e-6; an adapter needs "
        "about ten times that.",
    )
    epochs: float = Field(
        3.0,
        gt=0.0,
        le=100.0,
        title="Passes over the pairs",
        description="How often each pair is seen. It takes the place of learning from good answers, too, so three, "
        "as there; the paper uses up to ten.",
    )
