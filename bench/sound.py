"""Speech-like test sound: turns of a voice over faint noise, the same for every machine and run."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.voice import nonsense


def babble(duration_s: float, seed: int = 0, rate_hz: int = 16_000) -> NDArray[np.float32]:
    """Make sound that keeps every plugin busy: 3 s of voice, 1.5 s of faint noise, and so on."""
    return nonsense(duration_s, rate_hz, seed)
