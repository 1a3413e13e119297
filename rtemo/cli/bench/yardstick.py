"""Yardstick: a fixed job of NumPy, timed in turns with what is measured, so that two runs can be put beside each other.

The time of a tick in units of it hangs on the work and little on how fast the machine is, or was at that moment.
"""

import statistics
import time

import numpy as np

_ROWS, _SAMPLES = 16, 512


class Yardstick:
    """Times the Fourier transform of 16 frames of 512 samples, float32, now and then."""

    def __init__(self) -> None:
        self._frames = np.random.default_rng(0).standard_normal((_ROWS, _SAMPLES)).astype(np.float32)
        self._taken_us: list[float] = []

    def lay(self) -> None:
        """Time it once."""
        start_ns = time.perf_counter_ns()
        np.fft.rfft(self._frames)
        self._taken_us.append((time.perf_counter_ns() - start_ns) / 1e3)

    @property
    def us(self) -> float:
        """The median so far; 0 when it was never timed."""
        return statistics.median(self._taken_us) if self._taken_us else 0.0
