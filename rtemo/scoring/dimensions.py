"""Concordance: how well a dimension such as arousal is told, from sums that a bootstrap can draw."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def moments(truth: Array, said: Array) -> Array:
    """Give what `ccc_of` needs of each clip alone, float64 [n, 6]."""
    return np.stack([np.ones_like(truth), truth, said, truth**2, said**2, truth * said], axis=-1)


def ccc_of(sums: Array) -> Array:
    """Concordance correlation coefficient (Lin 1989, Biometrics 45) of sums of `moments`, [..., 6].

    1 for values that are the same, 0 for those that have nothing in common; a wrong scale or offset counts against it,
    as it does not in a correlation.
    """
    count = sums[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy = (sums[..., k] / count for k in range(1, 6))
        spread = (xx - x * x) + (yy - y * y) + (x - y) ** 2
        return np.asarray(2 * (xy - x * y) / spread)
