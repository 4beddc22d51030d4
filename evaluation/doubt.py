"""How far labels on a pair can be doubted, for another opinion to be weighed against a new pair. Imports no Django.

Each person names the better answer of a pair but for a slip, whose chance is that of the project, by how often two
people agree. What is better is foretold by the posterior as it would be without the labels on this very pair; these
labels then move it as votes (Raykar et al. 2010, "Learning from Crowds"). So a label that says what was expected leaves
no doubt, and one that contradicts leaves the more of it, the surer the posterior and the more often people slip (Sheng,
Provost and Ipeirotis 2008, "Get Another Label?", with whom label and model each doubt by themselves).

The more uncertain the better answer of a pair, the more the next label tells about it, be it its first or its second:
with a given chance of slips both grow together (Houlsby et al. 2011). So new and labelled pairs can stand in one order.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from evaluation.posterior import Array, Posterior, derivatives, sigmoid

FEWEST = 20  # times that two people judged the same pair, before anything is known of slips
RAREST, COMMONEST = 0.01, 0.4  # slips: at a half labels say nothing, and more of them no more
LEFT = 0.05  # share of a direction's variance that may come of the other labels, at least


def slips(agreed: int, compared: int) -> float | None:
    """The chance that one person names the worse answer, from how often two agree: a = (1 - s)² + s².

    None where they met too rarely to say.

    >>> slips(82, 100)
    0.1
    >>> slips(5, 10)
    """
    if compared < FEWEST:
        return None
    found = (1 - sqrt(max(0.0, 2 * agreed / compared - 1))) / 2
    return min(COMMONEST, max(RAREST, round(found, 4)))


def believed(
    posterior: Posterior, differences: Array, *, of: NDArray[np.intp], outcomes: Array, weights: Array, slip: float
) -> Array:
    """That the first of each pair is preferred (n,), on the scale of `posterior.probability`.

    `differences` (n, d); `of` (m,): which pair a label is on; `outcomes` (m,): 1 where it prefers the first, 0 the
    second; `weights` (m,): how much it counted when the posterior was fitted.
    """
    n = len(differences)
    mean, variance = posterior.margins(differences)
    slope, curvature = derivatives(mean[of], outcomes, posterior.noise)
    pull = np.bincount(of, weights * slope, n)
    left = np.maximum(1 - np.bincount(of, weights * curvature, n) * variance, LEFT)
    mean, variance = mean - variance * pull / left, variance / left  # as if the pair's labels had not been given
    foretold = mean / np.sqrt(1 + np.pi * variance / 8)
    votes = np.bincount(of, np.sign(outcomes - 0.5), n) * np.log((1 - slip) / slip)
    return posterior.noise + (1 - 2 * posterior.noise) * sigmoid(foretold + votes)
