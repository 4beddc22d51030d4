"""Freezing labels into data sets that never change.

A snapshot is a folder in the artifact store: `train.parquet`, which `datasets.load_dataset(folder)` reads, and
`manifest.json`. Its sha256 is of the rows (`files`). Every row names the labels behind it. A `Rule` says which labels
enter and how they become rows; a recipe is a kind of data and a rule, as a file (`recipes`) or saved in the project.
"""

from training.snapshots.collecting import Row, collect
from training.snapshots.files import bring, content_hash, hash_of, is_intact, read
from training.snapshots.freezing import NoRows, freeze, in_words, of_rows
from training.snapshots.heldout import JudgedPair, heldout_pairs, heldout_votes
from training.snapshots.rules import Rule

__all__ = [
    "JudgedPair",
    "NoRows",
    "Row",
    "Rule",
    "bring",
    "collect",
    "content_hash",
    "freeze",
    "hash_of",
    "heldout_pairs",
    "heldout_votes",
    "in_words",
    "is_intact",
    "of_rows",
    "read",
]
