"""Holes: stretches of a window that are left out while a network learns, so that it rests on no single moment."""

import numpy as np
from numpy.typing import NDArray


def with_holes(there: NDArray[np.float32], share: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Leave one or two stretches of up to a fifth each out of some windows.

    As SpecAugment (Park et al. 2019, arXiv:1904.08779), in time alone.

    Args:
        there: Which frames are there, float32 [n, t], 1 or 0; the first ones of a window.
        share: Of the windows; those of less than ten frames stay whole.
        random: Draws them.

    Returns:
        The same with 0 for what is left out, float32 [n, t].
    """
    there = there.copy()
    for row, count in enumerate(there.sum(1).astype(int).tolist()):
        if count < 10 or random.random() >= share:
            continue
        for _ in range(random.integers(1, 3)):
            length = int(random.integers(1, count // 5 + 1))
            begin = int(random.integers(0, count - length + 1))
            there[row, begin : begin + length] = 0
    return there
