"""Abstention: what accuracy is bought by saying nothing where one is not sure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


class Trade(NamedTuple):
    """One point of the curve."""

    committed: float
    """Share of the clips that are spoken of: those with the highest confidence."""
    accuracy: float
    """Share of these that are told right."""
    least_confidence: float


def abstention_curve(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], shares: Sequence[float] = SHARES
) -> list[Trade]:
    """Trade accuracy for coverage (El-Yaniv and Wiener 2010, JMLR 11).

    Args:
        confidence: float64 [n]; NaN where nothing was said at all, which is committed last.
        right: bool [n].
        shares: Of the clips to commit; each is rounded up to a whole clip, and the share that came out is told.
    """
    known = np.where(np.isnan(confidence), -np.inf, confidence)
    order = np.argsort(-known, kind="stable")
    hits = np.cumsum(right[order])
    counts = sorted({max(1, math.ceil(share * len(order) - 1e-9)) for share in shares}, reverse=True)
    return [Trade(k / len(order), float(hits[k - 1] / k), max(float(known[order[k - 1]]), 0.0)) for k in counts]
