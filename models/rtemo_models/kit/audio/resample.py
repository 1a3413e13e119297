"""Sample rates and playback speeds: one polyphase resampler for whole clips, without delay."""

from math import gcd

import numpy as np
from numpy.typing import NDArray

SPEEDS = {"normal": (1, 1), "slow": (10, 9), "fast": (10, 11)}
"""Playback speed (1, 0.9, 1.1) → resampling ratio (up, down): pitch and formants move too, which makes new voices."""


def resampled(samples: NDArray[np.float32], up: int, down: int) -> NDArray[np.float32]:
    """A clip at up / down times its rate, float32."""
    from scipy.signal import resample_poly

    return samples if up == down else np.asarray(resample_poly(samples, up, down), np.float32)


def at_rate(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """A clip of one sample rate at another, float32."""
    common = gcd(from_hz, to_hz)
    return resampled(samples, to_hz // common, from_hz // common)


def respeed(samples: NDArray[np.float32], speed: str) -> NDArray[np.float32]:
    """Play a clip at another speed, pitch and formants with it."""
    return resampled(samples, *SPEEDS[speed])
