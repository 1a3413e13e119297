"""Stagger: which of the steps that wait are computed in this tick, so that no tick is a spike."""

import numpy as np
from numpy.typing import NDArray

BATCH_ROWS = 16
"""Steps that are computed together even if they could wait: a batch of 16 costs about twice a step of one."""


def choose(waited: NDArray[np.int64], slack_hops: int) -> NDArray[np.int64]:
    """Choose the steps that have waited longest, as many as keep the ticks to come even.

    Up to `BATCH_ROWS` are computed at once. Of more, the least share is taken with which every step is still computed
    within its slack when each tick to come takes as many.

    Args:
        waited: int64 [k], ticks since each waiting step was complete, at most `slack_hops`.
        slack_hops: Ticks that a step may wait.

    Returns:
        int64, which of the k, in order.
    """
    count = len(waited)
    share = BATCH_ROWS
    if share < count:
        for hops in range(slack_hops + 1):
            urgent = int(np.count_nonzero(waited >= hops))
            share = max(share, -(-urgent // (slack_hops + 1 - hops)))
    if share >= count:
        return np.arange(count)
    return np.sort(np.argsort(-waited, kind="stable")[:share])
