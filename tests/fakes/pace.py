"""Voices of two classes that no bundle knows: how fast and high somebody speaks."""

import numpy as np
from numpy.typing import NDArray

from tests.fakes.voice import RATE_HZ, voice

SPEEDS = {"brisk": 1.3, "slow": 0.75}


def paced(speaker: int, label: str, seconds: float) -> NDArray[np.float32]:
    """Let a speaker speak at the pace of a class."""
    sound = voice(1.5 * seconds, 10 * speaker + len(label))
    sound = np.interp(np.arange(0, len(sound) - 1, SPEEDS[label]), np.arange(len(sound)), sound)
    return sound[: round(seconds * RATE_HZ)].astype(np.float32)
