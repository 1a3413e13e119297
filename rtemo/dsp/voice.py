"""A voice of formants, for warming up and measuring: sound that a detector of speech takes for speech."""

import numpy as np
from numpy.typing import NDArray

_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants of a, i, u, e, o of male speakers (Peterson and Barney 1952)."""
_WIDTHS_HZ = (80, 100, 140)
_RING_S = 0.064


def nonsense(duration_s: float, rate_hz: int = 16_000, seed: int = 0) -> NDArray[np.float32]:
    """Speak nonsense: turns of 3 s of gliding vowels and hisses, pauses of 1.5 s, faint noise below.

    Args:
        duration_s: How long; the first turn begins within 0.2 s.
        rate_hz: Sample rate.
        seed: Which voice.

    Returns:
        float32 [k] in [-1, 1].
    """
    random = np.random.default_rng(seed)
    size = round(duration_s * rate_hz)
    sound = random.normal(0.0, 3e-4, size + rate_hz)
    rings = [_ring(vowel, rate_hz) for vowel in _VOWELS_HZ]
    pitch_hz = random.uniform(95, 210)
    at = round(random.uniform(0.0, 0.2) * rate_hz)
    while at < size:
        end = at + 3 * rate_hz
        while at < min(end, size):
            syllable = _syllable(random, rings, pitch_hz * random.uniform(0.85, 1.2), rate_hz)[: len(sound) - at]
            sound[at : at + len(syllable)] += syllable
            at += round(0.9 * len(syllable))
        at += round(1.5 * rate_hz)
    return np.clip(sound[:size], -1, 1).astype(np.float32)


def _syllable(
    random: np.random.Generator, rings: list[NDArray[np.float64]], pitch_hz: float, rate_hz: int
) -> NDArray[np.float64]:
    """Make a hiss, most often, and a vowel that glides to another."""
    size = round(random.uniform(0.14, 0.26) * rate_hz)
    falling_hz = pitch_hz * np.linspace(1.05, 0.92, size)
    source = np.diff(np.floor(np.cumsum(falling_hz) / rate_hz), prepend=0.0) + 1e-4 * random.standard_normal(size)
    one, other = (np.convolve(source, rings[random.integers(len(rings))])[:size] for _ in range(2))
    glide = np.linspace(0, 1, size)
    vowel = (1 - glide) * one + glide * other
    vowel *= np.minimum(1, np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.02 * rate_hz))
    vowel *= 0.15 / (np.sqrt(np.mean(vowel**2)) + 1e-9)
    if random.random() < 0.4:
        return np.asarray(vowel)
    hiss = np.diff(random.standard_normal(round(0.07 * rate_hz)), prepend=0.0)
    return np.concatenate([0.03 * hiss * np.hanning(len(hiss)), vowel])


def _ring(formants_hz: tuple[int, ...], rate_hz: int) -> NDArray[np.float64]:
    """What a pulse of the glottis makes a mouth do: resonators one behind the other, and a source that falls."""
    size = round(_RING_S * rate_hz)
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = (1 - z) / (1 - 0.98 * z) / (1 - 0.96 * z)  # lips radiate no direct current
    for formant_hz, width_hz in zip(formants_hz, _WIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * width_hz / rate_hz)
        a = (1.0, -2 * radius * np.cos(2 * np.pi * formant_hz / rate_hz), radius**2)
        response = response * sum(a) / (a[0] + a[1] * z + a[2] * z**2)
    return np.fft.irfft(response, size)
