"""Stagger: which of the steps that wait are computed in this tick, so that no tick is a spike."""

import numpy as np
from numpy.typing import NDArray

BATCH_ROWS = 16
"""Steps that are computed together even if they could wait: a batch of 16 costs about twice a step of one."""


def choose_steps(
    waited: NDArray[np.int64], slack_hops: int, batch_rows: int = BATCH_ROWS, patience_hops: int = 0
) -> NDArray[np.int64]:
    """Choose the steps that have waited longest, as many as keep the ticks to come even.

    Up to `batch_rows` are computed at once. Of more, the least share is taken with which every step is still computed
    within its slack when each tick to come takes as many: of n streams at most n / (slack_hops + 1), rounded up.

    Args:
        waited: int64 [k], ticks since each waiting step was complete, at most `slack_hops`.
        slack_hops: Ticks that a step may wait.
        batch_rows: Steps that are computed together even if they could wait.
        patience_hops: How long so few steps wait for company, and for a tick with less other work.

    Returns:
        int64, which of the k, in order.
    """
    count = len(waited)
    if count <= batch_rows and not (waited >= patience_hops).any():
        return np.arange(0)
    share = batch_rows
    if share < count:
        for hops in range(slack_hops + 1):
            urgent = int(np.count_nonzero(waited >= hops))
            share = max(share, -(-urgent // (slack_hops + 1 - hops)))
    if share >= count:
        return np.arange(count)
    return np.sort(np.argsort(-waited, kind="stable")[:share])
