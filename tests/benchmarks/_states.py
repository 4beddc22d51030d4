"""Hidden states of answers, read once and kept: reading a pool takes an hour on two cores, and goes on where it ended.

Where they are kept, each model has a folder of its own, named for the hash of its weights. It is that of a run of the
product's `features` recipe in which an answer's id is the hash of its prompt and text. So whatever was read stays,
batch by batch, for another pool too; the recipe reads the rest, the longest side by side first.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

Answer = tuple[str, str]  # prompt, text
EVERY = 30  # seconds between two lines that say how far it is


def read(
    answers: Sequence[Answer], *, model: Path, folder: Path, run: Callable[[Path, "Progress"], None] | None = None
) -> tuple[np.ndarray, float | None]:
    """States (n, width) of these answers by this model, and the median of tokens a second while they were read; None
    if all were there. `run` runs the recipe in a folder, as a process of its own by default."""
    work = folder / _weights(model)
    work.mkdir(parents=True, exist_ok=True)
    names = [_name(*answer) for answer in answers]
    known = _known(work)
    missing = {name: answer for name, answer in zip(names, answers, strict=True) if name not in known}
    if missing:
        for left in ("result.json", "metrics.jsonl"):  # of an earlier run
            (work / left).unlink(missing_ok=True)
        lines = [
            {"id": name, "messages": [{"role": "user", "content": prompt}], "text": text}
            for name, (prompt, text) in missing.items()
        ]
        (work / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        data = {"answers": str(work / "answers.jsonl")}
        (work / "spec.json").write_text(json.dumps({"method": "features", "model": {"base": str(model)}, "data": data}))
        (run or _process)(work, Progress(work, {name: len(prompt + text) for name, (prompt, text) in missing.items()}))
        known = _known(work)
    speed = Progress(work, {}).speed() if missing else None
    return np.array([known[name] for name in names]), speed


class Progress:
    """How far a run of the recipe is: `sizes` are characters of the answers it reads, by id."""

    def __init__(self, work: Path, sizes: dict[str, int]) -> None:
        self.work, self.sizes, self.started = work, sizes, time.monotonic()

    def speed(self) -> float:
        """Median tokens a second of the batches of this run; 0 before the first."""
        steps = [line["tokens_per_second"] for line in _lines(self.work / "metrics.jsonl") if "step" in line]
        return round(median(steps), 1) if steps else 0.0

    def __str__(self) -> str:
        done = self.sizes.keys() & _known(self.work).keys()
        read, passed = sum(self.sizes[name] for name in done), time.monotonic() - self.started
        left = passed * (sum(self.sizes.values()) - read) / read / 60 if read else None
        said = f"{len(done)} of {len(self.sizes)} answers read, {self.speed():.0f} tokens a second"
        return said if left is None else f"{said}, about {left:.0f} minutes left"


def _process(work: Path, progress: Progress) -> None:
    recipe = subprocess.Popen([sys.executable, "-m", "training.recipes.features", str(work)], stdout=sys.stderr)
    try:
        while recipe.poll() is None:
            try:
                recipe.wait(EVERY)
            except subprocess.TimeoutExpired:
                print(progress, file=sys.stderr, flush=True)
    finally:
        recipe.terminate()  # it ends with its batch, which is kept
        if recipe.wait() != 0:
            print(f"stopped: {progress}; start again to go on", file=sys.stderr, flush=True)
    if recipe.returncode != 0:
        raise SystemExit(f"The answers could not be read: see {work / 'result.json'}.")


def _name(prompt: str, text: str) -> str:
    return hashlib.sha256(json.dumps([prompt, text]).encode()).hexdigest()[:32]


def _weights(model: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(model.glob("*.safetensors")):
        with file.open("rb") as weights:
            found.update(hashlib.file_digest(weights, "sha256").digest())
    return found.hexdigest()[:16]


def _known(work: Path) -> dict[str, list[float]]:
    return {row["id"]: row["vector"] for row in _lines(work / "features.jsonl")}


def _lines(file: Path) -> list[dict]:
    """Whole lines: the last may be under way."""
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []
