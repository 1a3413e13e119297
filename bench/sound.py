"""Speech-like test sound: turns of a buzzing voice over faint noise, the same for every machine and run."""

import numpy as np
from numpy.typing import NDArray


def babble(duration_s: float, seed: int = 0, rate_hz: int = 16_000) -> NDArray[np.float32]:
    """Make sound that keeps every plugin busy: 3 s of voice-like buzz, 1.5 s of faint noise, and so on."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * rate_hz)
    time_s = np.arange(count) / rate_hz
    pitch_hz = rng.uniform(100, 220) * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time_s + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4.0 * time_s + rng.uniform(0, 6)), 0, 1)
    turns = ((time_s + rng.uniform(0, 4.5)) % 4.5) < 3.0
    sound = 0.1 * voice * syllables * turns + rng.normal(0, 1e-3, count)
    return sound.astype(np.float32)
