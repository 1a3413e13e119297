"""The bootstrap: how often each unit is drawn, and the interval of what the draws gave (Efron 1979).

What a unit is (a clip, a speaker, a system) is for the measurement to say: clips of one voice are not independent.
"""

import numpy as np
from numpy.typing import NDArray

LEVELS = (2.5, 97.5)


def draw_counts(units: int, draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """How often each unit is drawn, with replacement, int64 [draws, units]."""
    return np.asarray(random.multinomial(units, np.full(units, 1 / units), size=draws))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of drawn values; draws that had no value are left out."""
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, LEVELS)
    return float(low), float(high)
