"""How long a run will take and how much memory: from runs that were like it, or else from the size of the model."""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.methods import Method
from training.models import ModelVersion, Run
from training.models.runs import Status

LIKE_IT = 5  # earlier runs that are looked at
START_SECONDS = 20  # loading libraries, model and data
BYTES = {"weights": 4, "moved": 4 + 8}  # of a number in float32; of a trained one, its gradient and Adam's two
# For each token, layer and unit of width, in 16 bits (Korthikanti et al. 2022, without attention's part).
ACTIVATIONS = 34


@dataclass(frozen=True)
class Estimate:
    """Seconds and bytes, each None where nothing is known, and how many earlier runs the seconds are from."""

    seconds: float | None = None
    memory: int | None = None
    runs: int = 0
    measured_memory: bool = False

    @property
    def time_in_words(self) -> str:
        if self.seconds is None:
            return ""
        behind = f"{self.runs} earlier run{'s' if self.runs > 1 else ''} of this method on this model"
        return f"About {_span(self.seconds)}, by the speed of {behind}."

    @property
    def memory_in_words(self) -> str:
        if self.memory is None:
            return ""
        behind = "which is what an earlier run took" if self.measured_memory else "by the size of the model"
        return f"About {self.memory / 1e9:.1f} GB of memory, {behind}."


def steps(rows: int, settings: dict[str, Any], devices: int = 1) -> int | None:
    """How often the weights will move.

    >>> steps(10, {"batch_size": 4, "gradient_accumulation": 1, "epochs": 3.0})
    9
    """
    if "epochs" not in settings or "batch_size" not in settings:
        return None
    at_once = settings["batch_size"] * settings.get("gradient_accumulation", 1) * devices
    return math.ceil(settings["epochs"] * math.ceil(rows / at_once))


def estimate(*, method: Method, base: ModelVersion, settings: dict[str, Any], tokens: int | None) -> Estimate:
    """`tokens`: of all rows once, or None if they cannot be counted."""
    root = base.full_weights()
    ended = Run.objects.filter(status=Status.SUCCEEDED, method=method.name, base__isnull=False).select_related("base")
    like_it = [run for run in ended[:200] if run.base is not None and run.base.full_weights() == root][:LIKE_IT]
    speeds = [run.metrics["tokens_per_second"] for run in like_it if run.metrics.get("tokens_per_second")]
    seconds = None
    if speeds and tokens is not None and "epochs" in settings:
        seconds = START_SECONDS + tokens * settings["epochs"] / statistics.median(speeds)
    same_size = [
        run.metrics["peak_memory"]
        for run in like_it
        if run.metrics.get("peak_memory")
        and all(run.used_settings.get(name) == settings.get(name) for name in ("batch_size", "max_length", "tuning"))
    ]
    memory = max(same_size, default=None) or by_size(root.path, settings)
    return Estimate(seconds, memory, len(speeds), bool(same_size))


def by_size(folder: Path, settings: dict[str, Any]) -> int | None:
    """Bytes for weights, what is trained, activations and the logits of one batch; None if the files do not tell.

    An upper estimate in 32 bits, with every example as long as it may be. A method without a learning rate only reads:
    it keeps what one layer makes, and no words.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        config = config.get("text_config", config)
        stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        width, layers, words = (int(config[name]) for name in ("hidden_size", "num_hidden_layers", "vocab_size"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    numbers = stored / (2 if config.get("torch_dtype", config.get("dtype")) in ("bfloat16", "float16") else 4)
    if not numbers:
        return None
    rank = settings.get("lora_rank", 0)
    whole = settings.get("tuning") == "full"
    trained = numbers if whole else 14 * layers * width * rank  # two thin matrices beside each of seven in a layer
    read = settings.get("batch_size", 1) * settings.get("max_length", 1024)
    learns = "learning_rate" in settings
    kept = ACTIVATIONS * 2 * width * (layers if learns and not settings.get("gradient_checkpointing") else 1)
    logits = 3 * 4 * words if learns else 0
    return round(BYTES["weights"] * numbers + BYTES["moved"] * trained + read * (kept + logits))


def _span(seconds: float) -> str:
    """
    >>> _span(40), _span(300), _span(9000)
    ('40 s', '5 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
