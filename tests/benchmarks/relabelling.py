"""Is a second opinion on a doubted label worth more than a label on a new pair?

    .venv/bin/python tests/benchmarks/relabelling.py [--quick] [--seeds 20] [--budget 600]

A made-up pool with known truth: an answer is worth what its features say and something that they do not. People name
the better of two answers but for a slip. Its chance is estimated as the product does it, from `MET` pairs that two
people judged before; the budget is for what comes after. Three ways to spend it, batch by batch, all by the product's
default selector and posterior: on new pairs alone (`never`), where another opinion on a pair counts as a candidate up
to three labels (`doubt`), and on two labels for every pair (`twice`). The queue has twice as many pairs as the budget
has labels, or in `short` half as many, where `never` asks for the rest at random among those it has.

`rows_right_…`: share of the training rows, by majority without ties, that name the better answer. `rows_…`: how many
there are. `learned_…`: share of held-out pairs that a model learned from those rows puts right (logistic regression
that knows nothing of slips, as reward models do). `posterior_…`: the same of the posterior that orders the queue.
Differences to `never` have 95 % intervals over the seeds, which all ways share.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from evaluation import doubt
from evaluation.posterior import Posterior, fit
from evaluation.selectors import Pool, drawn_by_uncertainty

SLIPS = (0.02, 0.1, 0.2, 0.3)
WAYS = ("never", "doubt", "twice")
MET = 60  # pairs that two people judged first
MOST = 3  # labels of a pair
BATCH = 20
FEATURES = 24
UNSEEN = 0.5  # spread of what features do not say, in spreads of what they do
TESTED = 4000


@dataclass
class World:
    """Pairs with `differences` (n, d) and which answer is better, `truth` (n,); and those to test on."""

    differences: np.ndarray
    truth: np.ndarray
    tested: np.ndarray
    right: np.ndarray


def world(pairs: int, random: np.random.Generator) -> World:
    taste = random.normal(size=FEATURES)
    taste /= np.linalg.norm(taste)
    z = random.normal(size=(pairs + TESTED, FEATURES))
    worth = z @ taste + UNSEEN * random.normal(size=len(z))
    return World(z[:pairs], worth[:pairs] > 0, z[pairs:], worth[pairs:] > 0)


class Said:
    """Labels as they come; the same person never says anything twice, so each slips by itself."""

    def __init__(self, world: World, slip: float, random: np.random.Generator) -> None:
        self.world, self.slip, self.random = world, slip, random
        self.pair = np.zeros(0, np.intp)
        self.outcome = np.zeros(0)

    def ask(self, pairs: np.ndarray) -> None:
        slipped = self.random.random(len(pairs)) < self.slip
        self.pair = np.concatenate([self.pair, pairs])
        self.outcome = np.concatenate([self.outcome, self.world.truth[pairs] ^ slipped])

    def counts(self) -> np.ndarray:
        return np.bincount(self.pair, minlength=len(self.world.truth))

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs that have a majority, and what it says."""
        votes = np.bincount(self.pair, self.outcome - 0.5, len(self.world.truth))
        decided = np.flatnonzero(votes)
        return decided, votes[decided] > 0

    def posterior(self, start: Posterior | None = None) -> Posterior:
        return fit(self.world.differences[self.pair], self.outcome, groups=[0] * FEATURES, start=start)


def spend(way: str, said: Said, budget: int, random: np.random.Generator) -> tuple[float, float, float, float]:
    """Share of rows that are right, rows, and the two shares of tested pairs, when the budget is spent."""
    z = said.world.differences
    said.ask(np.repeat(np.arange(MET), 2))
    agreed = int((said.outcome[::2] == said.outcome[1::2]).sum())
    slip = doubt.slips(agreed, MET) or 0.0
    posterior = said.posterior()
    for _ in range(budget // BATCH):
        counts = said.counts()
        new = np.flatnonzero(counts == 0)
        open_ = np.flatnonzero(counts < (MOST if way == "doubt" else 1))
        believed = None
        if way == "doubt":
            place = np.full(len(counts), -1)
            place[open_] = np.arange(len(open_))
            on = place[said.pair] >= 0
            believed = doubt.believed(
                posterior, z[open_], of=place[said.pair[on]], outcomes=said.outcome[on],
                weights=np.ones(on.sum()), slip=slip,
            )  # fmt: skip
        if not len(open_):  # nothing is new, and any pair is as good as another
            asked = random.permutation(len(counts))[:BATCH]
        else:
            pool = Pool(z[open_], open_, np.ones(len(open_)), posterior, believed)
            asked = open_[drawn_by_uncertainty(pool, random, BATCH // 2 if way == "twice" and len(new) else BATCH)]
        said.ask(np.repeat(asked, 2)[:BATCH] if way == "twice" else asked)
        posterior = said.posterior(posterior)
    decided, better = said.rows()
    learned = fit(z[decided], better.astype(float), groups=[0] * FEATURES, noise=0.0)
    tested, right = said.world.tested, said.world.right
    return (
        float(np.mean(better == said.world.truth[decided])),
        float(len(decided)),
        float(np.mean((tested @ learned.mean > 0) == right)),
        float(np.mean((tested @ posterior.mean > 0) == right)),
    )


def measure(pairs: int, slip: float, budget: int, seeds: int) -> dict[str, np.ndarray]:
    """By way, (seeds, 4)."""
    found: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
    for seed in range(1, seeds + 1):
        for way in WAYS:
            made = world(pairs, np.random.default_rng([seed, 0]))
            said = Said(made, slip, np.random.default_rng([seed, 1]))
            found[way].append(spend(way, said, budget, np.random.default_rng([seed, 2])))
    return {way: np.array(rows) for way, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=600)
    parser.add_argument("--quick", action="store_true", help="two seeds, 200 labels")
    given = parser.parse_args()
    seeds, budget = (2, 200) if given.quick else (given.seeds, given.budget)
    figures: dict[str, float] = {}
    for queue, pairs in (("long", MET + 2 * budget), ("short", MET + budget // 2)):
        for slip in SLIPS:
            started = time.monotonic()
            found = measure(pairs, slip, budget, seeds)
            at = f"{queue}_{round(100 * slip)}"
            for way, rows in found.items():
                for name, column in zip(("rows_right", "rows", "learned", "posterior"), rows.T, strict=True):
                    figures[f"{name}_{way}_{at}"] = round(float(column.mean()), 4)
            for way in WAYS[1:]:
                gain = found[way][:, 2:] - found["never"][:, 2:]
                half = 1.96 * gain.std(axis=0, ddof=1) / np.sqrt(seeds)
                for name, value, wide in zip(("learned", "posterior"), gain.mean(axis=0), half, strict=True):
                    figures[f"{name}_gain_{way}_{at}"] = round(float(value), 4)
                    figures[f"{name}_gain_{way}_{at}_half"] = round(float(wide), 4)
            shown = {way: " ".join(f"{value:.3f}" for value in rows.mean(axis=0)) for way, rows in found.items()}
            print(f"{at}: {shown}, {time.monotonic() - started:.0f} s", flush=True)
    conditions = {"seeds": seeds, "budget": budget, "features": FEATURES, "unseen": UNSEEN, "met": MET, "most": MOST}
    print(json.dumps({"benchmark": "relabelling", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
