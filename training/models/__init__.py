"""The domain of room 2; each topic has its module."""

from training.models.jobs import TrainingFile, TuningJob
from training.models.paraphrases import Paraphrase
from training.models.registry import Generation, ModelVersion, Sample
from training.models.runs import Metric, Run, Source
from training.models.snapshots import ComparisonAsked, Freezing, RecipeVersion, Snapshot, SnapshotLabel
from training.models.suggestions import TagSuggestion
from training.models.toxicity import ToxicityPolicy, ToxicityScore
from training.models.workers import Worker

__all__ = [
    "ComparisonAsked",
    "Freezing",
    "Generation",
    "Metric",
    "ModelVersion",
    "Paraphrase",
    "RecipeVersion",
    "Run",
    "Sample",
    "Snapshot",
    "SnapshotLabel",
    "Source",
    "TagSuggestion",
    "ToxicityPolicy",
    "ToxicityScore",
    "TrainingFile",
    "TuningJob",
    "Worker",
]
