"""Does 95 % mean 95 %? The intervals and tests of models, against simulations in which the truth is known.

    .venv/bin/python tests/benchmarks/coverage.py [--quick]

Each seed makes data from known strengths and asks whether the interval holds the truth. `…_coverage` is the share that
did; `sequential_wrong` is how often the sequential test of two equal models named a better one although it was looked
at after every item, and `looked_wrong` how often an ordinary interval, looked at as often, would have. `gate_…` is what
the gate makes of models whose truth is known, by the number of held-out prompts or pairs: good ones that it refuses,
bad ones that it lets through, and how many it leaves undecided. tests/evaluation runs the same at a smaller size.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from annotation.statistics import wilson
from evaluation import bradley_terry, crossfit, evidence, figures, length_control, sequential, shift

STRENGTHS = np.array([0.8, 0.3, -0.1, -1.0])
LEFT, LONGER, TIE = 0.3, 0.5, 0.6


def strengths_covered(seeds: range, *, items: int = 200, votes: int = 2, ties: bool = True) -> list[bool]:
    """Whether the interval of the difference of two models held the truth: four models, a liking for the left and for
    the longer answer, and several votes on an item, which move together as people find the same one hard or easy."""
    covered = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        first = random.integers(0, 4, items)
        second = (first + random.integers(1, 4, items)) % 4
        longer = random.normal(0, 0.5, items)
        own = random.normal(0, 0.8, items)  # what is peculiar to the item's two answers
        item = np.repeat(np.arange(items), votes)
        left = random.choice([-1, 1], items * votes)
        eta = (STRENGTHS[first] - STRENGTHS[second] + LONGER * longer + own)[item] + LEFT * left
        parts = np.stack([np.exp(eta / 2), np.full(len(eta), TIE * ties), np.exp(-eta / 2)])
        drawn = random.random(len(eta)) * parts.sum(axis=0)
        score = np.where(drawn < parts[0], 1.0, np.where(drawn < parts[0] + parts[1], 0.5, 0.0))
        found = bradley_terry.fit(
            first[item], second[item], score, left=left, longer=longer[item], clusters=item
        ).difference(0, 3)
        covered.append(found.lower <= _as_fitted(ties) <= found.upper)
    return covered


_fitted: dict[bool, float] = {}


def _as_fitted(ties: bool) -> float:
    """What the difference of the first and the last model comes to in endless data. It is a little below the strengths
    drawn, since what is peculiar to an item makes votes noisier; the fit aims at this number."""
    if ties not in _fitted:
        random = np.random.default_rng(0)
        items = 100_000
        first = random.integers(0, 4, items)
        second = (first + random.integers(1, 4, items)) % 4
        longer = random.normal(0, 0.5, items)
        left = random.choice([-1, 1], items)
        eta = STRENGTHS[first] - STRENGTHS[second] + LONGER * longer + random.normal(0, 0.8, items) + LEFT * left
        parts = np.stack([np.exp(eta / 2), np.full(len(eta), TIE * ties), np.exp(-eta / 2)])
        drawn = random.random(items) * parts.sum(axis=0)
        score = np.where(drawn < parts[0], 1.0, np.where(drawn < parts[0] + parts[1], 0.5, 0.0))
        _fitted[ties] = bradley_terry.fit(first, second, score, left=left, longer=longer).difference(0, 3).value
    return _fitted[ties]


def length_covered(seeds: range, *, items: int = 120, advantage: float = 0.4, liking: float = 0.9) -> list[bool]:
    """Whether the length-controlled win rate's interval held the rate at equal length."""
    truth = 1 / (1 + np.exp(-advantage))
    covered = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        longer = random.normal(0.3, 0.6, items)
        eta = advantage + liking * np.tanh(longer / np.sqrt((longer**2).mean()))
        found = length_control.win_rate(random.random(items) < 1 / (1 + np.exp(-eta)), longer)
        covered.append(found.lower <= truth <= found.upper)
    return covered


def sequential_wrong(seeds: range, *, most: int = 200, rate: float = 0.5) -> list[bool]:
    """Whether two models that win `rate` of the items each had a better one named at any moment."""
    wrong = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        scores = np.where(random.random(most) < 0.2, 0.5, random.random(most) < rate)
        out = sequential.fortunes_against_half(scores).max() >= np.log(1 / sequential.ALPHA)
        wrong.append(bool(out))
    return wrong


def looked_wrong(seeds: range, *, most: int = 200) -> list[bool]:
    """The same with an ordinary 95 % interval, looked at from the tenth item on."""
    wrong = []
    for seed in seeds:
        scores = np.random.default_rng(seed).random(most) < 0.5
        looks = (wilson(float(scores[:n].sum()), n) for n in range(10, most + 1))
        wrong.append(any(not found.lower <= 0.5 <= found.upper for found in looks))
    return wrong


def longer_passes(seeds: range, *, prompts: int, looks: bool) -> list[bool]:
    """Whether a model that wins by longer answers alone passed both of the gate's rows about people: at one look in the
    end, or if people are asked no more as soon as both look decided."""
    passed = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        longer = random.normal(0.6, 0.5, prompts)
        eta = 3 * np.tanh(longer / np.sqrt((longer**2).mean()))
        won = (random.random(prompts) < 1 / (1 + np.exp(-eta))).astype(float)
        shown = np.maximum.accumulate(sequential.fortunes_against_half(won)) >= np.log(1 / sequential.ALPHA)
        outcome = False
        for n in range(1 if looks else prompts, prompts + 1):
            if not shown[n - 1]:
                continue
            found = length_control.win_rate(won[:n], longer[:n])
            outcome = evidence.above(found, 0.5, margin=evidence.SHARES).outcome == "passed"
            if outcome or found.value <= 0.5:
                break
        passed.append(outcome)
    return passed


def shift_wrong(seeds: range) -> list[bool]:
    """Whether two samples of one source were called different at 5 %."""
    return [
        shift.energy(*np.split(np.random.default_rng(seed).normal(size=(80, 3)), [50]), permutations=99, seed=seed).p
        <= 0.05
        for seed in seeds
    ]


def judged_covered(seeds: range, *, labels: int = 150, prompts: int = 100) -> list[bool]:
    """Whether the interval of a win rate by a cross-fitted reward model held the truth: people prefer by a linear taste
    of twenty numbers, with noise, and two models' answers differ by a shift along it and by chance."""
    covered = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        taste = random.normal(0, 0.5, 20)
        shift = random.normal(0.5) * taste / np.linalg.norm(taste) + random.normal(0, 0.2, 20)
        z = random.normal(0, 1, (labels, 20))
        said = (random.random(labels) < 1 / (1 + np.exp(-z @ taste))).astype(float)
        groups = np.zeros(20, int)
        known = crossfit.Labels(z, said, np.ones(labels), random.integers(0, labels // 2, labels), groups)
        new = shift + random.normal(0, 1, (prompts, 20))
        many = shift + random.normal(0, 1, (20_000, 20))
        asked = labels + np.arange(prompts)
        found = crossfit.win_rate(known, new, np.zeros(prompts), asked).wins
        covered.append(found.lower <= float((many @ taste > 0).mean()) <= found.upper)
    return covered


def length_outcomes(seeds: range, *, prompts: int, growth: float, own: float = 0.35) -> list[str]:
    """What the gate says of answers that are longer by `growth` in truth, at a limit of 15 %. The logarithm of an
    answer's length varies by 0.5 from prompt to prompt and by `own` from answer to answer."""
    said = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        usual = 40 * np.exp(random.normal(0, 0.5, prompts))
        new, old = (np.maximum(1, np.rint(usual * np.exp(random.normal(0, own, prompts)))) for _ in range(2))
        names = [str(number) for number in range(prompts)]
        grown = dict(zip(names, (new * (1 + growth)).tolist(), strict=True))
        found = figures.growth(grown, dict(zip(names, old.tolist(), strict=True)))
        assert found is not None
        said.append(evidence.at_most(found, 0.15, margin=evidence.LENGTH).outcome)
    return said


def share_outcomes(seeds: range, *, pairs: int, rate: float) -> list[str]:
    """What it says of a model that is right on a pair with a chance of `rate`, where more than one half is asked."""
    won = [float(np.random.default_rng(seed).binomial(pairs, rate)) for seed in seeds]
    return [evidence.above(wilson(one, pairs), 0.5, margin=evidence.SHARES).outcome for one in won]


def gate_figures(seeds: range) -> dict[str, list[bool]]:
    """Of the longer answers at most 15 % are asked; `kept` models are as long as before, `limit` ones just as long as
    they may be, `grown` ones 30 % longer. Of the pairs more than half must be right."""
    found: dict[str, list[bool]] = {}
    for prompts in (8, 24, 50, 100, 200):
        for name, growth, wrong in (("kept", 0.0, "failed"), ("limit", 0.15, "passed"), ("grown", 0.3, "passed")):
            said = length_outcomes(seeds, prompts=prompts, growth=growth)
            found[f"gate_{name}_{prompts}_wrongly_{wrong}"] = [one == wrong for one in said]
            found[f"gate_{name}_{prompts}_undecided"] = [one == "undecided" for one in said]
    for pairs in (10, 50, 100, 400):
        for name, rate, wrong in (("coin", 0.5, "passed"), ("good", 0.65, "failed")):
            said = share_outcomes(seeds, pairs=pairs, rate=rate)
            found[f"gate_{name}_{pairs}_wrongly_{wrong}"] = [one == wrong for one in said]
            found[f"gate_{name}_{pairs}_undecided"] = [one == "undecided" for one in said]
    return found


def main(size: int) -> None:
    seeds = range(1, size + 1)
    figures = {
        "strengths_coverage": strengths_covered(seeds),
        "strengths_without_ties_coverage": strengths_covered(seeds, ties=False, votes=1),
        "length_coverage": length_covered(seeds),
        "judged_coverage": judged_covered(range(1, min(size, 500) + 1)),
        "sequential_wrong": sequential_wrong(seeds),
        "looked_wrong": looked_wrong(range(1, min(size, 500) + 1)),
        "longer_passes": longer_passes(seeds, prompts=50, looks=False),
        "longer_passes_looked": longer_passes(seeds, prompts=50, looks=True),
        "shift_wrong": shift_wrong(seeds),
        **gate_figures(seeds),
    }
    rounded = {name: round(float(np.mean(found)), 4) for name, found in figures.items()}
    print(json.dumps({"benchmark": "coverage", "figures": rounded, "conditions": {"seeds": size}}))


if __name__ == "__main__":
    main(300 if "--quick" in sys.argv else 3000)
