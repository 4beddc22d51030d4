"""Choosing which pairs of answers to ask people about. Imports no Django."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from evaluation.statistics import uncertainty


@dataclass(frozen=True)
class Pair:
    """Two answers of one prompt that could be asked about, with their rewards."""

    prompt: int
    first: int
    second: int
    rewards: tuple[float, float]

    @property
    def uncertainty(self) -> float:
        return uncertainty(*self.rewards)


@dataclass(frozen=True)
class Chosen:
    """A pair to ask about; higher `priority` is asked first."""

    pair: Pair
    selector: str
    priority: float


def select(
    pairs: Sequence[Pair],
    *,
    wanted: int,
    random_share: float,
    seed: int,
    per_prompt: int = 2,
    ranked: Sequence[Pair] | None = None,
) -> list[Chosen]:
    """The pairs most worth asking as somebody has `ranked` them, or else those a reward model is least sure of first;
    and a random slice as a control.

    Uncertainty sampling after Lewis and Gale (1994). The control is spread evenly among the rest, so that what
    people see early is not all of one sort. An answer is asked about once at most, a prompt `per_prompt` times.
    """
    random = Random(seed)
    pool = sorted(pairs, key=lambda pair: (pair.prompt, pair.first, pair.second))
    random.shuffle(pool)
    used: set[int] = set()
    prompts: Counter[int] = Counter()

    def take(candidates: Sequence[Pair], number: int) -> list[Pair]:
        taken: list[Pair] = []
        for pair in candidates:
            if len(taken) == number:
                break
            if {pair.first, pair.second} & used or prompts[pair.prompt] >= per_prompt:
                continue
            taken.append(pair)
            used.update((pair.first, pair.second))
            prompts[pair.prompt] += 1
        return taken

    control = take(pool, round(wanted * random_share))
    best = sorted(pool, key=lambda pair: -pair.uncertainty) if ranked is None else ranked
    best = take(best, wanted - len(control))
    # These keep their order; the control gets places drawn at random among them.
    if ranked is None:
        chosen = [Chosen(pair, "uncertainty", 1 + pair.uncertainty) for pair in best]
    else:
        chosen = [Chosen(pair, "posterior", 2 - place / len(best)) for place, pair in enumerate(best)]
    chosen += [Chosen(pair, "random", 1 + random.random()) for pair in control]
    return sorted(chosen, key=lambda one: -one.priority)
