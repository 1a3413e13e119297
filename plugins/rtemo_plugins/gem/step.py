"""Step: the hops that the ensemble takes at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP_HOPS = 4
"""Hops of a step."""


class Step(NamedTuple):
    """The hops of one step of k streams."""

    rows: NDArray[np.int64]
    """int64 [k], distinct and in order."""
    traces: NDArray[np.float32]
    """float32 [k, step_hops, traces]."""
    weight: NDArray[np.float32]
    """float32 [k, step_hops], 1 where the hop has voice, else 0."""
    gate: NDArray[np.float32]
    """float32 [k, experts], the share of each expert, sharpened."""
    start_sample: NDArray[np.int64]
    """int64 [k]."""
    end_sample: NDArray[np.int64]
    """int64 [k]."""
