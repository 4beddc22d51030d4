"""What can be run: one entry for each method, with the settings a person may choose.

Both sides read this package: the forms are built from the settings models, and each recipe validates its
`spec.json` with the same model. So it needs pydantic alone, neither Django nor torch. To add a method, write
its settings in a module here, one line in `METHODS`, and a recipe of the same name in `training/recipes/`.
"""

from dataclasses import dataclass
from typing import Literal

from training.methods.answers import (
    ConvertSettings,
    FeaturesSettings,
    GenerateSettings,
    JudgeSettings,
    MeasureSettings,
    ParaphraseSettings,
    ScoreSettings,
    SuiteSettings,
    ToxicitySettings,
)
from training.methods.preferences import DpoSettings, KtoSettings, OrpoSettings, RewardSettings
from training.methods.probes import ProbeSettings
from training.methods.sft import SftSettings
from training.methods.shared import Settings, TrainingSettings
from training.methods.tagging import ClassifySettings, SuggestSettings
from training.methods.taught import DistillSettings, RlhfSettings

__all__ = [
    "APART",
    "CONVERT",
    "JUDGE",
    "MERGE",
    "METHODS",
    "SUITE",
    "TOXICITY",
    "ClassifySettings",
    "ConvertSettings",
    "DistillSettings",
    "DpoSettings",
    "FeaturesSettings",
    "GenerateSettings",
    "JudgeSettings",
    "KtoSettings",
    "MeasureSettings",
    "Method",
    "OrpoSettings",
    "ParaphraseSettings",
    "ProbeSettings",
    "RewardSettings",
    "RlhfSettings",
    "ScoreSettings",
    "Settings",
    "SftSettings",
    "SuggestSettings",
    "SuiteSettings",
    "ToxicitySettings",
    "TrainingSettings",
]


@dataclass(frozen=True)
class Method:
    name: str
    title: str
    summary: str
    settings: type[Settings]
    produces: Literal["policy", "reward", "classifier"] | None = None
    snapshot_kind: Literal["demonstrations", "preferences", "unpaired"] | None = None
    learns_from: Literal["policy", "reward"] | None = None  # a second model, on the project's prompts


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
            "probe",
            "Score at once",
            "An instant reward model: the model stays as it is, and a linear head learns what people prefer.",
            ProbeSettings,
            "reward",
            "preferences",
        ),
        Method(
            "kto",
            "Keep the good, drop the bad",
            "Kahneman-Tversky optimisation: learns from single answers that were found good or bad; needs no pairs.",
            KtoSettings,
            "policy",
            "unpaired",
        ),
        Method(
            "orpo",
            "Learn and prefer in one step",
            "Odds-ratio preference optimisation: learns chosen answers and tells them from others, with no reference.",
            OrpoSettings,
            "policy",
            "preferences",
        ),
        Method(
            "rlhf",
            "Please a reward model",
            "Reinforcement learning: the model answers prompts and learns from the score a reward model gives.",
            RlhfSettings,
            "policy",
            learns_from="reward",
        ),
        Method(
            "distill",
            "Become like a larger model",
            "Distillation: the model answers prompts and learns, word by word, how a larger one would have gone on.",
            DistillSettings,
            "policy",
            learns_from="policy",
        ),
        Method(
            "classify",
            "Learn to tag",
            "A classifier over tags: the model stays as it is, and a linear head learns each tag that people gave.",
            ClassifySettings,
            "classifier",
        ),
        Method(
            "suggest",
            "Suggest tags",
            "Reads prompts without tags and suggests those that a classifier finds likely, for a lead to accept.",
            SuggestSettings,
        ),
        Method(
            "generate",
            "Write new answers",
            "Draws several answers from a model for each prompt, to be ranked next.",
            GenerateSettings,
        ),
        Method(
            "paraphrase",
            "Say it in other words",
            "A model asks the same as people's prompts in other words, so that their answers are learnt from twice.",
            ParaphraseSettings,
        ),
        Method("score", "Score answers", "Gives every answer the score of a reward model.", ScoreSettings),
        Method(
            "measure",
            "Measure a model",
            "Reads held-out examples and a fixed probe with a model and with the one it came from, and answers "
            "held-out prompts with both.",
            MeasureSettings,
        ),
        Method(
            "features",
            "Read answers",
            "Takes down what the project's model makes of each answer, so that it can be told what to ask next.",
            FeaturesSettings,
        ),
    )
}

# Bringing a base model in is run like a method, but is no step of the loop, and so is not offered among them.
CONVERT = Method(
    "convert",
    "Import a model",
    "Reads a model from a GGUF file, a folder or a hub and stores it in one layout.",
    ConvertSettings,
)

MERGE = Method(
    "merge",
    "Merge into whole weights",
    "Adds an adapter to the weights that it lies on, so that the model runs without an adapter library.",
    ConvertSettings,
    "policy",
)

JUDGE = Method(
    "judge",
    "Ask for a second opinion",
    "A model behind an endpoint says which of two answers is better, twice for each pair, with the sides swapped.",
    JudgeSettings,
)

SUITE = Method(
    "suite",
    "Ask public suites",
    "A model, and the one it came from, answer questions that many models were measured with.",
    SuiteSettings,
)

TOXICITY = Method(
    "toxicity",
    "Read for toxicity",
    "A classifier reads prompts and answers, and says how likely each is toxic.",
    ToxicitySettings,
)
# Run like methods, and not offered among them.
APART = {method.name: method for method in (CONVERT, MERGE, JUDGE, SUITE, TOXICITY)}
