"""Step: the hops that the listening network takes at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Step(NamedTuple):
    """The hops of one step of k streams."""

    rows: NDArray[np.int64]
    """int64 [k], distinct and in order."""
    bands: NDArray[np.float32]
    """float32 [k, step_hops, mel_count]."""
    weight: NDArray[np.float32]
    """float32 [k, step_hops], 1 where the hop has voice, else 0."""
    is_speech: NDArray[np.bool_]
    """bool [k, step_hops], whether the hop lies in a stretch of speech."""
    start_sample: NDArray[np.int64]
    """int64 [k]."""
    end_sample: NDArray[np.int64]
    """int64 [k]."""
