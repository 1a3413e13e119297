"""Draws: the bootstrap (Efron 1979) over speakers, or whatever else is drawn as a whole.

What a unit is (a clip, a speaker, a system) is for the measurement to say: clips of one voice are not independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Draws:
    """Whole clusters drawn with replacement; the same clusters give the same draws, so systems can be paired.

    With few speakers an interval is honest and wide, and still too narrow: so few draws of a population cannot show all
    of its spread.

    Args:
        clusters: Of each clip, most often its speaker.
        draws: How many.
    """

    def __init__(self, clusters: Sequence[str], draws: int = 1000) -> None:
        names, self._member = np.unique(np.asarray(clusters), return_inverse=True)
        self.clusters = len(names)
        random = np.random.default_rng(0)
        self._weight = np.zeros((draws, self.clusters))
        for draw in range(draws):
            drawn = random.integers(self.clusters, size=self.clusters)
            self._weight[draw] = np.bincount(drawn, minlength=self.clusters)

    def sums(self, values: Array) -> Array:
        """Add up [n, ...] over the clips of every draw, float64 [draws, ...]."""
        by_cluster = np.zeros((self.clusters, *values.shape[1:]))
        np.add.at(by_cluster, self._member, values)
        return np.tensordot(self._weight, by_cluster, 1)


def draw_counts(units: int, draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """How often each unit is drawn, with replacement, int64 [draws, units]; `random` is the measurement's own."""
    return np.asarray(random.multinomial(units, np.full(units, 1 / units), size=draws))


def interval(values: Array) -> tuple[float, float]:
    """95 % interval of drawn values; draws that had no value are left out."""
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
