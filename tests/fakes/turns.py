"""Turns of made-up speech whose pitch, level, pace and pauses are known."""

import numpy as np
from numpy.typing import NDArray

from rtemo.testing.voice import RATE_HZ, _syllable

LEAD_S, TRAIL_S = 0.6, 1.4


def turn(
    pitch_hz: float = 140.0, gain: float = 1.0, seed: int = 1, syllables: int = 12, pause_s: float = 0.0
) -> NDArray[np.float32]:
    """One turn with silence around it; the same seed gives the same syllables at any pitch and level.

    Args:
        pitch_hz: Of every syllable, which glides from 5 % above it to 8 % below.
        gain: Factor on the sound, not on the noise behind it.
        seed: Of the syllables.
        syllables: How many.
        pause_s: Silence in the middle of the turn.
    """
    random = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    for number in range(syllables):
        parts.append(gain * _syllable(np.random.default_rng(1000 * seed + number), pitch_hz))
        if number == syllables // 2 and pause_s:
            parts.append(np.zeros(round(pause_s * RATE_HZ)))
    sound = np.concatenate([np.zeros(round(LEAD_S * RATE_HZ)), *parts, np.zeros(round(TRAIL_S * RATE_HZ))])
    return np.clip(sound + random.normal(0.0, 3e-4, len(sound)), -1, 1).astype(np.float32)
