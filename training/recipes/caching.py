"""Examples on disk, by their content, so that what was once computed for them is not computed again.

The trainers keep what they derive from a dataset on disk beside it: the tokens, and the log-probabilities of a
reference model, each under a fingerprint of the dataset and of what it was derived with. So the examples are written
into a folder that is named for their content. A run that was stopped, and another run on the same snapshot, find there
what they need.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from training.recipes.contract import Job

KEPT = 20  # sets of examples in one cache; the one whose last use is longest ago goes first


def dataset(job: Job, rows: list[dict[str, Any]], **derived_with: Any) -> Any:
    """These rows as a `datasets.Dataset` on disk, in the spec's cache or else in the run's own folder.

    `derived_with` is what changes what is derived from them and is in no fingerprint of the trainer's.
    """
    from accelerate import PartialState
    from datasets import Dataset, load_from_disk

    cache = Path(job.spec.cache or job.folder / "cache")
    content = hashlib.sha256(json.dumps([derived_with, rows], sort_keys=True).encode()).hexdigest()
    folder = cache / content[:32]
    if job.is_main:
        if not folder.exists():
            half = cache / f".{folder.name}-{os.getpid()}"
            shutil.rmtree(half, ignore_errors=True)
            Dataset.from_list(rows).save_to_disk(half)
            _put_in_place(half, folder)
        os.utime(folder)
        _forget_oldest(cache)
    PartialState().wait_for_everyone()
    return load_from_disk(folder)


def _put_in_place(half: Path, folder: Path) -> None:
    """Whole or not at all; two runs that come at once with the same examples leave one."""
    try:
        half.rename(folder)
    except OSError:
        shutil.rmtree(half)
        if not folder.exists():
            raise


def _forget_oldest(cache: Path) -> None:
    sets = sorted((path for path in cache.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in sets[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
