"""What a run learns from, put together from several sets and groups: indexes in, indexes out, the same for one seed."""

from collections import Counter
from random import Random

MAIN = "main"


def replayed(main: int, others: int, share: float, seed: int) -> list[int]:
    """Which of `others` rows are learned from beside `main` rows so that they make up `share` of all; none twice.

    >>> len(replayed(80, 1000, 0.2, 1)), len(replayed(80, 5, 0.2, 1)), replayed(80, 1000, 0.0, 1)
    (20, 5, [])
    """
    wanted = min(others, round(main * share / (1 - share)))
    return sorted(Random(f"replay {seed}").sample(range(others), wanted))


def quotas(groups: dict[str, int], total: int, alpha: float, weights: dict[str, float]) -> dict[str, int]:
    """How many of `total` rows each group gives: in proportion to weight × (share of the rows) ** alpha, which is
    temperature sampling as in XLM-R (Conneau et al. 2020, section 3.1). The rest goes by largest remainder.

    >>> quotas({"en": 90, "sw": 10}, 100, 1.0, {})
    {'en': 90, 'sw': 10}
    >>> quotas({"en": 90, "sw": 10}, 100, 0.3, {})
    {'en': 66, 'sw': 34}
    >>> quotas({"en": 90, "sw": 10}, 100, 0.0, {"en": 3})
    {'en': 75, 'sw': 25}
    """
    rows = sum(groups.values())
    parts = {name: weights.get(name, 1.0) * (count / rows) ** alpha for name, count in groups.items()}
    exact = {name: total * part / sum(parts.values()) for name, part in parts.items()}
    found = {name: int(amount) for name, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (found[name] - exact[name], name))
    for name in by_remainder[: total - sum(found.values())]:
        found[name] += 1
    return found


def balanced(groups: list[str], *, alpha: float, weights: dict[str, float], seed: int) -> list[int]:
    """Rows by index, as many as there are, each group as often as its quota says: every row of it equally often, and a
    rest at random.

    >>> balanced(["en", "en", "en", "sw"], alpha=0.0, weights={}, seed=1).count(3)
    2
    >>> balanced(["en", "sw"], alpha=1.0, weights={"sw": 0}, seed=1)
    [0, 0]
    """
    found: list[int] = []
    for name, wanted in sorted(quotas(Counter(groups), len(groups), alpha, weights).items()):
        members = [index for index, group in enumerate(groups) if group == name]
        whole, rest = divmod(wanted, len(members))
        found += members * whole + Random(f"mix {seed} {name}").sample(members, rest)
    return sorted(found)


def repeated(weights: list[float], seed: int) -> list[int]:
    """Rows by index, each as often as it weighs: 2 is twice, 0.5 every other one of its kind, 1 just once. The parts of
    a row are drawn evenly from one random start, so that all together come to the sum of the weights.

    >>> repeated([1.0, 2.0, 0.0, 1.0], seed=1)
    [0, 1, 1, 3]
    >>> len(repeated([0.5] * 10, seed=1))
    5
    """
    found: list[int] = []
    reached = Random(f"weights {seed}").random()
    for index, weight in enumerate(weights):
        before, reached = reached, reached + weight
        found += [index] * (int(reached) - int(before))
    return found
