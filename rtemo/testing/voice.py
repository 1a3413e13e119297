"""A voice of formants: pulses through three resonators that move from vowel to vowel, with hisses and pauses."""

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

RATE_HZ = 16_000
_RING_SAMPLES = 1_024  # by then a resonator has faded by 140 dB
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants of a, i, u, e, o of male speakers (Peterson and Barney 1952)."""


def voice(duration_s: float, seed: int = 0) -> NDArray[np.float32]:
    """Speak nonsense: turns of 2 s or so with pauses of 1 s or so, float32 at 16 kHz, the first word within 0.4 s."""
    random = np.random.default_rng(seed)
    size = round(duration_s * RATE_HZ)
    sound = random.normal(0.0, 3e-4, size + 2 * RATE_HZ)
    at = int(random.uniform(0.2, 0.4) * RATE_HZ)
    pitch_hz = random.uniform(95, 210)
    while at < size:
        for _ in range(random.integers(5, 12)):
            syllable = _syllable(random, pitch_hz * random.uniform(0.85, 1.2))
            syllable = syllable[: max(0, len(sound) - at)]
            sound[at : at + len(syllable)] += syllable
            at += int(0.9 * len(syllable))
            if at >= size:
                break
        at += int(random.uniform(0.8, 1.3) * RATE_HZ)
    clipped: NDArray[np.float32] = np.clip(sound[:size], -1, 1).astype(np.float32)
    return clipped


def _syllable(random: np.random.Generator, pitch_hz: float) -> Sound:
    """Make a hiss, most often, and a vowel that glides to another."""
    size = int(random.uniform(0.14, 0.26) * RATE_HZ)
    falling_hz = pitch_hz * np.linspace(1.05, 0.92, size) * (1 + 0.01 * random.standard_normal(size).cumsum() / 50)
    pulses = np.diff(np.floor(np.cumsum(falling_hz) / RATE_HZ), prepend=0.0)
    source = np.convolve(pulses, 0.96 ** np.arange(_RING_SAMPLES))[:size] + 0.01 * random.standard_normal(size)
    one, other = (np.array(VOWELS_HZ[random.integers(len(VOWELS_HZ))]) for _ in range(2))
    glide = np.linspace(0, 1, size)
    vowel = (1 - glide) * _resonate(source, one) + glide * _resonate(source, other)
    vowel *= np.minimum(1, np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.02 * RATE_HZ))
    vowel *= 0.15 / (np.sqrt(np.mean(vowel**2)) + 1e-9)
    if random.random() < 0.4:
        return vowel
    hiss = np.diff(random.standard_normal(int(0.07 * RATE_HZ)), prepend=0.0)
    return np.concatenate([0.03 * hiss * np.hanning(len(hiss)), vowel])


def _resonate(source: Sound, formants_hz: NDArray[np.int64]) -> Sound:
    """Pass through resonators of two poles each, by what they answer to a pulse."""
    out, n = source, np.arange(_RING_SAMPLES)
    for formant_hz, width_hz in zip(formants_hz, (80, 100, 140), strict=True):
        radius, angle = np.exp(-np.pi * width_hz / RATE_HZ), 2 * np.pi * formant_hz / RATE_HZ
        gain = 1.0 - 2 * radius * np.cos(angle) + radius**2
        ring = gain * radius**n * np.sin((n + 1) * angle) / np.sin(angle)
        out = np.convolve(out, ring)[: len(source)]
    return out
