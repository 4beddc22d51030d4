"""How soon does a label steer what is asked next?

    .venv/bin/python tests/benchmarks/posterior.py [--quick]

`refit_ms_10k_labels`: the posterior over 88 features fitted again after 20 labels more than 10,000, from where
it was. `reorder_s_100k_pairs`: 100,000 pairs put into the order in which they are to be asked, near-duplicates passed
over, the first 200 one after the other. Medians; what the database takes to store an order is not in them.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from evaluation.posterior import fit, sigmoid
from evaluation.selectors import DEFAULT, Pool, in_order

FEATURES = 24 + 64
GROUPS = [0] * 24 + [1] * 64


def seconds(work: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


def main(quick: bool) -> None:
    labels, pairs = (2_000, 20_000) if quick else (10_000, 100_000)
    random = np.random.default_rng(1)
    truth = random.normal(size=FEATURES) * 0.5
    z = random.normal(size=(labels + 20, FEATURES)) * 0.3
    said = (random.random(len(z)) < sigmoid(z @ truth)).astype(float)
    before = fit(z[:labels], said[:labels], groups=GROUPS)
    refit = seconds(lambda: fit(z, said, groups=GROUPS, start=before), 9)
    cold = seconds(lambda: fit(z, said, groups=GROUPS), 3)
    pool = Pool(
        random.normal(size=(pairs, FEATURES)) * 0.3,
        np.arange(pairs) // 6,
        random.uniform(5, 60, pairs),
        before,
    )
    reorder = seconds(lambda: in_order(pool, np.random.default_rng(2), DEFAULT), 3)
    found = {
        "refit_ms_10k_labels": round(1000 * refit, 1),
        "first_fit_ms_10k_labels": round(1000 * cold, 1),
        "reorder_s_100k_pairs": round(reorder, 2),
    }
    conditions = {"labels": labels, "pairs": pairs, "features": FEATURES, "selector": DEFAULT}
    print(json.dumps({"benchmark": "posterior", "figures": found, "conditions": conditions}))


if __name__ == "__main__":
    main("--quick" in sys.argv)
