"""Numbers that lie far from the others. Imports no Django."""

import numpy as np
from numpy.typing import NDArray

FEWEST = 100  # of which something can be unusual
FAR = 5.0
MOST = 0.01  # share of all; the furthest


def outliers(lengths: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Places of unusual lengths with how far out they are, furthest first: below 0 too short, above too long.

    On the scale of logarithms, by the median and the median distance from it, which outliers do not move (Iglewicz and
    Hoaglin 1993: 0.6745 makes it standard deviations where lengths are normal).

    >>> outliers(np.array([100 + one % 40 for one in range(200)] + [90_000]))[0][0]
    200
    """
    if len(lengths) < FEWEST:
        return []
    values = np.log1p(lengths.astype(float))
    middle = np.median(values)
    spread = max(float(np.median(np.abs(values - middle))), 0.1)  # where all are alike, a word more is no outlier
    far = 0.6745 * (values - middle) / spread
    order = np.argsort(-np.abs(far), kind="stable")
    found = [(int(place), float(far[place])) for place in order if abs(far[place]) > FAR]
    return found[: max(1, int(len(lengths) * MOST))]
