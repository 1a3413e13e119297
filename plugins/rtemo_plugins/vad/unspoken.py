"""Unspoken: how long a stream has had sound without speech."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel

UNSPOKEN = np.dtype([("hops", np.int64), ("start", np.int64)])
"""One row's hops of sound since it last spoke, and where the first began; a fresh one is all zeros."""


@kernel
def count_unspoken(
    is_sounding: NDArray[np.bool_],
    speech: NDArray[np.uint8],
    position: NDArray[np.int64],
    limit_hops: int,
    unspoken: NDArray[np.void],
) -> bool:
    """Count every row's hops of sound without speech; say whether any row has just reached the limit.

    Silence neither counts nor clears; speech clears.

    Args:
        is_sounding: bool [n], whether the hop has any level.
        speech: uint8 [n], 1 within speech.
        position: int64 [n], first sample of the hop.
        limit_hops: How many are too many.
        unspoken: `UNSPOKEN` [capacity], changed in place.
    """
    any_reached = False
    for i in range(speech.shape[0]):
        row = unspoken[i]
        if speech[i] == 1:
            row.hops = 0
        elif is_sounding[i]:
            if row.hops == 0:
                row.start = position[i]
            row.hops += 1
            any_reached |= row.hops == limit_hops
    return any_reached
