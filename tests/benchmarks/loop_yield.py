"""What do three rounds of 150 comparisons yield, asked by the default selector and at random?

    .venv/bin/python tests/benchmarks/loop_yield.py [--pool FILE] [--quick] [--keep FOLDER] [--only tuning,random]

`--pool` is a file of JSON lines {"prompt", "responses": [{"text", "score"}]}. A gold reward is fitted to its scores
(tests/benchmarks/_gold.py), on what the product stores of answers: their surface, and how SmolLM2 reads them. Its
liking for length is taken out. A simulated annotator prefers by it, drawn by Bradley and Terry's model, with slips.

For each selector a project has the pool's prompts, a fifth held out, and SmolLM2 as its production model. The model
answers, 150 pairs are judged, a round trains a reward model and tunes the model by DPO, its model is promoted, and both
answer again for the next 150. The product's own code does all of it, its recipes as processes; only the pages, the API
and the clock are left out, and the queue is put in order after every ten labels. The random project asks what is drawn
by lot at every stage; `tuning` (with `--only`) asks, as its aim says, for what differs most in worth.

`win_rate_round_N`: how often the gold reward prefers the round's model to the base model on held-out prompts, two
answers of either to each; Wilson's interval over prompts. `gold_round_N`: by how many standard deviations its answers
are worth more. `length_growth` and `probe_perplexity_growth`: after the last round, of the default selector; `…_random`
of the other. Nothing that the annotator says has to do with length.

It tells what it does on stderr, takes about two hours on two free cores besides reading the pool (half an hour, kept in
`--states FOLDER` as for `selection`), and goes on after what is done if it is started again with the same `--keep`.
Without a pool, or with `--quick`, there is one made up; `--quick` is one round of a dozen labels on the tiny model of
the tests, by the default selector alone, with a reward of what is seen at once.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from config.paths import VAR
from evaluation.surface import surface
from tests.benchmarks import _gold, _states
from tests.benchmarks.dpo_epochs import real_model
from tests.benchmarks.product import running
from tests.tiny_model import build

LONGEST_PROMPT = 300  # characters: a tenth of AlpacaEval's are longer, and make their batches several times as dear
ANSWERS = 4  # of each of the pool's prompts, drawn by lot: to read all would take hours
SEED = 1
WORDS = ["please", "thanks", "maybe", "certainly", "never", "always", "help", "open", "closed", "water", "tea", "bread"]
FULL: dict[str, Any] = {
    "rounds": 3, "labels": 150, "first_prompts": 100, "prompts": 60, "measured": 24, "heldout": 100, "longest": 96,
    "reward": {"epochs": 1, "learning_rate": 2e-4},
    "dpo": {"epochs": 2, "learning_rate": 2e-4, "beta": 0.1, "rehearsal": 0.1},
}  # fmt: skip
QUICK: dict[str, Any] = {
    "rounds": 1, "labels": 12, "first_prompts": 8, "prompts": 4, "measured": 2, "heldout": 6, "longest": 8,
    "reward": {"epochs": 1}, "dpo": {"epochs": 1},
}  # fmt: skip


def made_up(prompts: int) -> list[dict[str, Any]]:
    """Answers of a few words; the judge likes one of them and dislikes another, and long answers besides."""
    random = Random(SEED)
    rows = []
    for number in range(prompts):
        texts = [" ".join(random.choices(WORDS, k=random.randint(4, 40))) for _ in range(ANSWERS)]
        scores = [2 * text.count("please") - text.count("never") + len(text) / 100 for text in texts]
        said = [{"text": text, "score": score} for text, score in zip(texts, scores, strict=True)]
        rows.append({"prompt": f"What is {WORDS[number % len(WORDS)]} {number}?", "responses": said})
    return rows


def gold_of(rows: list[dict[str, Any]], *, model: Path | None, states_in: Path) -> _gold.Gold:
    random = Random(SEED)
    drawn = [
        (number, row["prompt"], one["text"], one["score"])
        for number, row in enumerate(rows)
        for one in random.sample(row["responses"], min(ANSWERS, len(row["responses"])))
    ]
    states = None
    if model:
        states, _ = _states.read([(prompt, text) for _, prompt, text, _ in drawn], model=model, folder=states_in)
    seen = np.array([surface(prompt, text) for _, prompt, text, _ in drawn])
    return _gold.fit(seen, states, np.array([one[0] for one in drawn]), np.array([one[3] for one in drawn]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pool", type=Path, help="a judged pool; made up if left out")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="default,random", help="of default, random and tuning, with commas")
    parser.add_argument("--keep", type=Path, help="a folder to work in, and to go on in")
    parser.add_argument("--states", type=Path, default=VAR / "states", help="folder that keeps what it has read")
    given = parser.parse_args()
    started = time.monotonic()
    size = QUICK if given.quick else FULL
    rows = made_up(40 if given.quick else 400)
    if given.pool and not given.quick:
        rows = [json.loads(line) for line in given.pool.read_text().splitlines()]
        rows = [row for row in rows if len(row["prompt"]) <= LONGEST_PROMPT]
    VAR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VAR, prefix="yield-") as temporary:
        work = (given.keep or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        model = work / "model" if given.quick else work / "convert" / "model"
        if not model.exists():
            model = Path(build(model) if given.quick else real_model(work))
        gold = gold_of(rows, model=None if given.quick else model, states_in=given.states)
        gold.save(work / "gold.npz")
        (work / "prompts.json").write_text(json.dumps([row["prompt"] for row in rows]))
        selectors = ["default"] if given.quick else given.only.split(",")
        plan = {**size, "seed": SEED, "read": not given.quick, "model": str(model), "work": str(work)}
        with running(var=given.keep and work / "var") as product:
            product.environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
            found = {
                selector: json.loads(
                    product.python("-m", "tests.benchmarks._yield", json.dumps({**plan, "selector": selector}))
                    .strip()
                    .rpartition("\n")[2]
                )
                for selector in selectors
            }
    figures = {}
    for selector, by_round in found.items():
        of = "" if selector == "default" else f"_{selector}"
        for number, one in enumerate(by_round, start=1):
            for name in ("win_rate", "gold"):
                value, lower, upper = one[name]
                figures[f"{name}_round_{number}{of}"] = value
                figures[f"{name}_round_{number}{of}_lower"] = lower
                figures[f"{name}_round_{number}{of}_upper"] = upper
            figures[f"gate_round_{number}{of}"] = one["gate"]
        for name in ("length_growth", "probe_perplexity_growth"):
            figures[f"{name}{of}"] = by_round[-1][name]
    conditions = {
        "pool": given.pool.name if given.pool and not given.quick else "made up",
        "gold_accuracy": round(gold.accuracy, 4),
        "model": "tiny" if given.quick else "SmolLM2-135M-Instruct",
        "heldout_prompts": next(iter(found.values()))[-1]["heldout"],
        "seconds": round(time.monotonic() - started),
        "cpus": os.cpu_count(),
        **{name: size[name] for name in ("rounds", "labels", "longest", "reward", "dpo")},
    }
    print(json.dumps({"benchmark": "loop_yield", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
