"""The speech of a clip, without the silence around it."""

import numpy as np
from numpy.typing import NDArray

_ACTIVE_DB = 35.0
_HOP_SAMPLES = 160


def speech_of(samples: NDArray[np.float32], lead_samples: int = 2400, trail_samples: int = 2400) -> NDArray[np.float32]:
    """Cut from what is within 35 dB of the loudest 10 ms to the last such 10 ms, with a little left around.

    Args:
        samples: float32 [k], not silent, at least 10 ms.
        lead_samples: What is left before.
        trail_samples: What is left after.
    """
    hops = samples[: len(samples) // _HOP_SAMPLES * _HOP_SAMPLES].reshape(-1, _HOP_SAMPLES).astype(np.float64)
    level_db = 10 * np.log10((hops**2).mean(1) + 1e-12)
    active = np.flatnonzero(level_db > level_db.max() - _ACTIVE_DB)
    start, end = int(active[0]) * _HOP_SAMPLES, int(active[-1] + 1) * _HOP_SAMPLES
    return samples[max(0, start - lead_samples) : end + trail_samples]
