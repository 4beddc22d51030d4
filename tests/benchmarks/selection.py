"""How many labels does each selector need to know as much as random ones teach?

    .venv/bin/python tests/benchmarks/selection.py [--pool FILE] [--quick] [--seeds 10] [--only foresight,random]

`--pool` is a file of JSON lines {"prompt", "responses": [{"model", "text", "score"}]}, in which the difference of two
scores is the log-odds that a judge prefers the one answer (ties within `TIE`). Every seed holds out a quarter of the
prompts; of the others' pairs a selector asks for `BATCH` at a time, a simulated annotator draws what it says from
those odds, and the product's own posterior is fitted again. Measured is the share of held-out pairs that it orders as
their scores do. All selectors share seeds, splits, features and posterior, and begin with the same random batch.

`label_ratio_400`: labels that the default selector needs to reach the accuracy of 400 random ones, over 400; curves are
means over the seeds made monotone, and `_upper` is the upper end of the 95 % interval by resampling the seeds. A level
that is not reached with all labels counts as if it took that many. Nobody is told which model gave an answer.

Features are the product's: what is seen of a text, and the hidden states of SmolLM2 (or `--model FOLDER`), which take
an hour or so on two cores for 5,000 answers. They are kept in `--states FOLDER`, by what was read and which model read
it: stop at any time and start again to go on. Every half minute it says how fast it reads, and how long it will take.
Without a pool there is one made up, with answers far out and a truth that is linear but for its noise: that is for
continuous integration.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from config.paths import VAR
from evaluation import selectors
from evaluation.planning import BATCH, Labelled, labels_needed, learning_curve, monotone
from evaluation.posterior import sigmoid
from evaluation.represent import Represented, represent
from evaluation.surface import surface
from tests.benchmarks import _states

LEVELS = (400, 800, 1600)
TOTAL = 2000
TIE = 0.1
RESAMPLED = 1000


@dataclass(frozen=True)
class Judged:
    """Answers with their prompts' numbers and scores, and as the posterior sees them."""

    prompts: np.ndarray
    scores: np.ndarray
    seen: Represented


def read_pool(file: Path, model: Path | None, states_in: Path, *, read: bool) -> tuple[Judged, float | None]:
    """A judged pool, and at how many tokens a second its answers were read, if any were."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    answers = [(n, row["prompt"], one["text"], one["score"]) for n, row in enumerate(rows) for one in row["responses"]]
    prompts = np.array([answer[0] for answer in answers])
    seen = np.array([surface(prompt, text) for _, prompt, text, _ in answers])
    states, speed = None, None
    if read:
        said = [(prompt, text) for _, prompt, text, _ in answers]
        states, speed = _states.read(said, model=model or _smollm2(states_in), folder=states_in)
    return Judged(prompts, np.array([answer[3] for answer in answers]), represent(seen, states, prompts)), speed


def _smollm2(folder: Path) -> Path:
    """The demonstration's model, converted once."""
    from training.recipes.demo_model import smollm2_gguf

    work = folder / "smollm2"
    if not (work / "result.json").exists():
        work.mkdir(parents=True, exist_ok=True)
        (work / "spec.json").write_text(json.dumps({"method": "convert", "data": {"source": str(smollm2_gguf())}}))
        subprocess.run([sys.executable, "-m", "training.recipes.convert", str(work)], check=True, stdout=sys.stderr)
    return work / "model"


def made_up(seed: int = 1) -> Judged:
    """300 prompts of six answers each; one in fifty lies far out, and its score says no more than others'."""
    random = np.random.default_rng(seed)
    prompts = np.repeat(np.arange(300), 6)
    seen, states = random.normal(size=(1800, 24)), random.normal(size=(1800, 128)) * np.linspace(2, 0.1, 128)
    truth = random.normal(size=152) * np.r_[np.full(24, 0.4), np.full(128, 0.3)]
    scores = np.hstack([seen, states]) @ truth + random.normal(size=1800)
    states[random.random(1800) < 0.02] *= 8
    return Judged(prompts, scores, represent(seen, states, prompts))


def labelled(judged: Judged, seed: int) -> Labelled:
    """Every two answers of a prompt, with what the annotator of this seed says of them."""
    pairs = [
        (of_prompt[one], of_prompt[other])
        for of_prompt in (np.flatnonzero(judged.prompts == prompt) for prompt in np.unique(judged.prompts))
        for one, other in zip(*np.triu_indices(len(of_prompt), 1), strict=True)
    ]
    first, second = np.array(pairs).T
    odds = judged.scores[first] - judged.scores[second]
    drawn = np.random.default_rng([seed, 0]).random(len(odds)) < sigmoid(odds)
    tied = np.abs(odds) <= TIE
    return Labelled(
        differences=judged.seen.values[first] - judged.seen.values[second],
        outcomes=np.where(tied, 0.5, drawn),
        truth=np.where(tied, 0.5, odds > 0),
        prompts=judged.prompts[first],
        costs=np.ones(len(odds)),
        groups=judged.seen.groups,
        answers=np.column_stack([first, second]),
    )


def ratios(theirs: np.ndarray, chance: np.ndarray, level: int) -> tuple[float, float, float]:
    """Labels needed over `level`, with its 95 % interval; both arguments (seeds, batches)."""

    def once(rows: np.ndarray) -> float:
        reached = monotone(chance[rows].mean(axis=0))[level // BATCH - 1]
        needed = labels_needed(monotone(theirs[rows].mean(axis=0)), reached)
        return min(needed, BATCH * theirs.shape[1]) / level

    seeds = len(theirs)
    random = np.random.default_rng(7)
    drawn = [once(random.integers(seeds, size=seeds)) for _ in range(RESAMPLED)]
    return once(np.arange(seeds)), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def figures(curves: dict[str, np.ndarray], levels: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    for name, theirs in curves.items():
        if name == "random":
            continue
        of = "label_ratio" if name == selectors.DEFAULT else f"{name}_ratio"
        for level in levels:
            ratio, lower, upper = ratios(theirs, curves["random"], level)
            yield f"{of}_{level}", round(ratio, 3)
            yield f"{of}_{level}_lower", round(lower, 3)
            yield f"{of}_{level}_upper", round(upper, 3)
    for name, theirs in curves.items():
        for level in levels:
            yield f"accuracy_{name}_{level}", round(float(theirs.mean(axis=0)[level // BATCH - 1]), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pool", type=Path, help="a judged pool; made up if left out")
    parser.add_argument("--model", type=Path, help="folder of the model that reads the answers, or SmolLM2")
    parser.add_argument("--states", type=Path, default=VAR / "states", help="folder that keeps what it has read")
    parser.add_argument("--unread", action="store_true", help="by what is seen alone, before a model has read answers")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(selectors.SELECTORS), help="selectors, with commas")
    parser.add_argument("--quick", action="store_true", help="two seeds, 400 labels, random and the default")
    given = parser.parse_args()
    names = ["random", selectors.DEFAULT] if given.quick else ["random", *given.only.split(",")]
    names = list(dict.fromkeys(names))
    seeds = range(given.first_seed, given.first_seed + (2 if given.quick else given.seeds))
    levels = tuple(level for level in LEVELS if not given.quick or level <= 400)
    judged, speed = made_up(), None
    if given.pool:
        judged, speed = read_pool(given.pool, given.model, given.states, read=not given.unread)
    curves: dict[str, np.ndarray] = {}
    for name in names:
        started = time.monotonic()
        total = 500 if given.quick else TOTAL
        curves[name] = np.array(
            [learning_curve(labelled(judged, seed), selector=name, total=total, seed=seed) for seed in seeds]
        )
        reached = {level: f"{curves[name].mean(axis=0)[level // BATCH - 1]:.1%}" for level in levels}
        print(f"{name}: {reached}, {time.monotonic() - started:.0f} s", flush=True)
    conditions: dict[str, Any] = {
        "pool": given.pool.name if given.pool else "made up",
        "seeds": list(seeds),
        "default": selectors.DEFAULT,
        "answers": len(judged.scores),
        "features": judged.seen.values.shape[1],
        "read_tokens_per_second": speed,
    }
    print(json.dumps({"benchmark": "selection", "figures": dict(figures(curves, levels)), "conditions": conditions}))


if __name__ == "__main__":
    main()
