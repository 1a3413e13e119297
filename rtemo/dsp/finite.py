"""Finite samples: what stands between one bad sample and a filter that never forgets it."""

import math

import numpy as np
from numpy.typing import NDArray


def finite_rows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give `samples` as they are, or a copy without NaN and infinities when there are any.

    The engine hands out clean audio, but a plugin that edits it may fail; a recursive filter fed one NaN gives
    nothing else for ever. One dot product decides (1 us for one stream, 2 us for 64), and a bad row does not change
    the others.

    Args:
        samples: float32 [n, hop_samples], C-contiguous.

    Returns:
        The same array; or a copy in which rows that were bad have NaN as 0 and lie within [-1, 1].
    """
    flat = samples.reshape(-1)
    if math.isfinite(np.dot(flat, flat)):
        return samples
    bad = ~np.isfinite(np.einsum("ij,ij->i", samples, samples))
    clean = samples.copy()
    clean[bad] = np.clip(np.nan_to_num(clean[bad], nan=0.0), -1.0, 1.0)
    return clean
