"""Which pairs to ask next. Each selector is a pure function of a `Pool`; none imports Django.

A selector returns places in the pool, the most worth asking first. Utilities are divided by what a pair costs, which is
the time it takes to read. `distinct` then passes over pairs that would ask nearly the same question twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from evaluation.posterior import Array, Posterior, information, likelihood

Places = NDArray[np.intp]
Random = np.random.Generator

NODES, MASSES = hermegauss(12)  # of a standard normal, for expectations
MASSES = MASSES / MASSES.sum()
COMMITTEE = 8
SHARPNESS = 9
OF_PROMPT, OF_ANSWER = 1.0, 2.0  # by how much each label there is on them makes another a less likely draw (log odds)
SHORTLIST = 4_000  # pairs that a batch is put together from, one after the other
HEAD = 1_000  # of an order, within which near-duplicates are looked for
BATCH = 200  # picked one after the other
SAME = 0.1  # of a difference's length: what is closer than that is nearly the same question


@dataclass(frozen=True)
class Pool:
    """Pairs that could be asked about.

    `differences` (n, d): features of the first answer less those of the second; `prompts` (n,): whose answers they are;
    `costs` (n,): seconds that reading one takes, in any unit, above 0; `posterior`: what is known; `believed` (n,): how
    probable it is that the first is preferred, where labels on the very pairs say more than the posterior does;
    `labels` (n, 2): how many there are on its prompt already, and on its two answers together.
    """

    differences: Array
    prompts: NDArray[np.intp]
    costs: Array
    posterior: Posterior
    believed: Array | None = None
    labels: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        n = len(self.differences)
        if self.prompts.shape != (n,) or self.costs.shape != (n,) or not (self.costs > 0).all():
            raise ValueError("one prompt and one cost above 0 for each pair")

    def probability(self) -> Array:
        """That the first of each pair is preferred (n,)."""
        return self.posterior.probability(self.differences) if self.believed is None else self.believed


def at_random(pool: Pool, random: Random, wanted: int) -> Places:
    """Any pair with the same chance, whatever it costs."""
    return random.permutation(len(pool.differences))[:wanted]


def uncertain(pool: Pool, random: Random, wanted: int) -> Places:
    """Whose preferred answer is least certain (Lewis and Gale 1994), whether or not more labels could tell."""
    p = pool.probability()
    return _best(np.minimum(p, 1 - p) / pool.costs, wanted)


def informative(pool: Pool, random: Random, wanted: int) -> Places:
    """BALD: the most expected information about the weights (Houlsby et al. 2011)."""
    return _best(expected_information(pool.posterior, pool.differences) / pool.costs, wanted)


def disagreed(pool: Pool, random: Random, wanted: int) -> Places:
    """Query by committee (Seung et al. 1992): a committee drawn from the posterior differs most about these."""
    root = np.linalg.cholesky(pool.posterior.covariance)
    drawn = pool.posterior.mean[:, None] + root @ random.standard_normal((len(root), COMMITTEE))
    votes = likelihood(pool.differences @ drawn, pool.posterior.noise)
    return _best(votes.var(axis=1) / pool.costs, wanted)


def spread_out(pool: Pool, random: Random, wanted: int) -> Places:
    """k-centre, greedily (Sener and Savarese 2018): each as far as can be from those before it. A pair and the same
    pair the other way round are one place."""
    places = random.permutation(len(pool.differences))[:SHORTLIST]
    z = pool.differences[places]
    lengths = np.einsum("nd,nd->n", z, z)
    distances, chosen = np.full(len(z), np.inf), []
    following = 0
    for _ in range(min(wanted, len(z))):
        chosen.append(following)
        distances = np.minimum(distances, lengths + lengths[following] - 2 * np.abs(z @ z[following]))
        distances[chosen] = -np.inf
        following = int(np.argmax(distances / pool.costs[places]))
    return places[chosen]


def d_optimal(pool: Pool, random: Random, wanted: int) -> Places:
    """A batch that together makes the posterior's volume smallest, greedily (MacKay 1992, "Information-Based Objective
    Functions"), each pick as if it was answered when the next is made.

    One label on z takes k Σzz'Σ from Σ, with k = 1 / (1 / information + z'Σz) (Sherman and Morrison 1950). After
    `BATCH` picks among the `SHORTLIST` best pairs follow the others, each by what it would tell alone.
    """
    covariance = pool.posterior.covariance
    mean, variance = pool.posterior.margins(pool.differences)
    known = information(mean / np.sqrt(1 + np.pi * variance / 8), pool.posterior.noise)
    utility = np.log1p(known * variance) / pool.costs
    places = _best(utility, SHORTLIST)
    z, known, costs, spread = pool.differences[places], known[places], pool.costs[places], variance[places]
    chosen: list[int] = []
    for _ in range(min(wanted, BATCH, len(z))):
        worth = np.log1p(known * spread) / costs
        worth[chosen] = -np.inf
        pick = int(np.argmax(worth))
        chosen.append(pick)
        direction = covariance @ z[pick]
        k = 1 / (1 / known[pick] + spread[pick])
        spread = np.maximum(spread - k * (z @ direction) ** 2, 0)
        covariance = covariance - k * np.outer(direction, direction)
    order = _best(utility, len(utility))
    return np.concatenate([places[chosen], order[~np.isin(order, places[chosen])]])[:wanted]


def drawn_by_information(pool: Pool, random: Random, wanted: int) -> Places:
    """Drawn without replacement, each pair with a chance in proportion to its expected information (PowerBALD; Kirsch
    et al. 2023, "Stochastic Batch Acquisition").

    A batch of the most informative pairs asks the same over and over, and of odd pairs alone a linear posterior learns
    what is true of odd pairs alone. A draw has both information and diversity, and every pair has some chance.
    """
    with np.errstate(divide="ignore"):  # what tells nothing comes last
        worth = np.log(expected_information(pool.posterior, pool.differences) / pool.costs)
    return _best(worth + random.gumbel(size=len(worth)), wanted)


def drawn_by_uncertainty(pool: Pool, random: Random, wanted: int) -> Places:
    """Drawn without replacement, each pair with a chance in proportion to the `SHARPNESS`-th power of how uncertain its
    preferred answer is (Kirsch et al. 2023 with the score of Lewis and Gale 1994), and less the more its prompt and its
    answers were asked about.

    What features cannot tell makes odd pairs look informative, and a model fitted to these is no better elsewhere. How
    uncertain a pair is knows no lengths of features, so that nothing lies far out; near the middle is where labels
    mend mistakes (Mussmann and Liang 2018); and a draw has diversity. Pairs of like features can teach nothing. Of what
    people see in an answer a part is in no feature: two labels on one answer share it, and tell less than two on two.
    """
    p = pool.probability()
    return _taking_turns(pool, random, wanted, np.minimum(p, 1 - p))


def drawn_by_margin(pool: Pool, random: Random, wanted: int) -> Places:
    """Drawn in the same way, each pair in proportion to how far apart its answers are expected to be worth: asked for
    what a model is tuned on, not for what is known of people's taste.

    Of two answers that are worth the same DPO gets a faint push, and people slip (Muldrew et al. 2024, "Active
    Preference Learning for Large Language Models", choose the widest margins for that). The expected distance between
    two answers is wide also where little is known of them.
    """
    mean, variance = pool.posterior.margins(pool.differences)
    distance = np.abs(mean[:, None] + np.sqrt(variance)[:, None] * NODES) @ MASSES
    return _taking_turns(pool, random, wanted, distance)


def _taking_turns(pool: Pool, random: Random, wanted: int, score: Array) -> Places:
    """Drawn without replacement by the `SHARPNESS`-th power of a score (n,) and cost, prompts and answers in turn."""
    with np.errstate(divide="ignore"):  # what has no score comes last
        worth = SHARPNESS * np.log(score) - np.log(pool.costs) + random.gumbel(size=len(score))
    if pool.labels is not None:
        worth -= pool.labels @ [OF_PROMPT, OF_ANSWER]
    worth -= OF_PROMPT * _before(pool.prompts, worth)
    worth[~pool.differences.any(axis=1)] = -np.inf
    return _best(worth, wanted)


def expected_information(posterior: Posterior, differences: Array) -> Array:
    """Of one label about the weights, in nats (n,): entropy of the expectation less expected entropy, by quadrature."""
    mean, variance = posterior.margins(differences)
    p = likelihood(mean[:, None] + np.sqrt(variance)[:, None] * NODES, posterior.noise)
    return np.maximum(_entropy(p @ MASSES) - _entropy(p) @ MASSES, 0)


def distinct(pool: Pool, order: Places, wanted: int) -> Places:
    """The first of `order`, without any that is nearly the same question about a prompt as one before it."""
    taken: dict[int, list[int]] = {}
    kept: list[int] = []
    for place in order.tolist():
        if len(kept) == wanted:
            break
        z = pool.differences[place]
        of_prompt = taken.setdefault(int(pool.prompts[place]), [])
        near = SAME * float(np.linalg.norm(z))
        others = pool.differences[of_prompt]
        if of_prompt and min(_nearest(others, z), _nearest(others, -z)) <= near:
            continue
        of_prompt.append(place)
        kept.append(place)
    return np.array(kept, dtype=np.intp)


def in_order(pool: Pool, random: Random, selector: str) -> Places:
    """The whole pool in the order in which a selector asks it; near-duplicates of its head come last."""
    order = SELECTORS[selector](pool, random, len(pool.differences))
    head = order[:HEAD]
    first = distinct(pool, head, HEAD)
    return np.concatenate([first, order[HEAD:], head[~np.isin(head, first)]])


def _before(prompts: NDArray[np.intp], worth: Array) -> NDArray[np.intp]:
    """How many pairs of the same prompt are worth more than each (n,)."""
    order = np.lexsort((-worth, prompts))
    first = np.r_[True, np.diff(prompts[order]) != 0]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    found = np.empty(len(order), np.intp)
    found[order] = np.arange(len(order)) - starts
    return found


def _nearest(others: Array, z: Array) -> float:
    return float(np.linalg.norm(others - z, axis=1).min())


def _best(utility: Array, wanted: int) -> Places:
    return np.argsort(-utility, kind="stable")[:wanted]


def _entropy(p: Array) -> Array:
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return -(q * np.log(q) + (1 - q) * np.log1p(-q))


SELECTORS: dict[str, Callable[[Pool, Random, int], Places]] = {
    "random": at_random,
    "uncertainty": uncertain,
    "bald": informative,
    "d_optimal": d_optimal,
    "committee": disagreed,
    "k_centre": spread_out,
    "power_bald": drawn_by_information,
    "power_uncertainty": drawn_by_uncertainty,
    "power_margin": drawn_by_margin,
}
DEFAULT = "power_uncertainty"
