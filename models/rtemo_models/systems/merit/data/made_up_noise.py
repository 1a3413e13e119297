"""Made-up noise: sounds built like real ones, drawn anew each time, so that none can be learnt by heart."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ


def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring to power 1."""
    return x / np.float32(np.sqrt(np.mean(x.astype(np.float64) ** 2)) + 1e-7)


def coloured(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Noise whose power falls with frequency by a random power, from white to deep."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    return np.fft.irfft(spectrum / np.maximum(hz, 30.0) ** random.uniform(0, 1.3), count).astype(np.float32)


def engine(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A machine: harmonics of a slowly wandering rotation over its own rush of noise."""
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    base_hz = random.uniform(20, 180)
    wander = np.interp(time_s, np.linspace(0, time_s[-1], 8), random.uniform(0.9, 1.1, 8))
    phase = 2 * np.pi * np.cumsum(base_hz * wander) / SAMPLE_RATE_HZ
    fall = random.uniform(0.4, 1.5)
    tone = np.zeros(count)
    for k in range(1, 25):
        if base_hz * k < 7_000:
            tone += random.uniform(0.2, 1) / k**fall * np.sin(k * phase + random.uniform(0, 6.28))
    return (unit(tone.astype(np.float32)) + random.uniform(0.1, 1.5) * unit(coloured(count, random))).astype(np.float32)


def crackle(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Blows that ring for a moment, from single ones to dozens a second: fire, keys, dishes, rain on a roof."""
    strikes = np.zeros(count)
    blows = 1 + random.poisson(10 ** random.uniform(0, 1.8) * count / SAMPLE_RATE_HZ)
    strikes[random.integers(count, size=blows)] = random.lognormal(0, random.uniform(0.3, 1.5), blows)
    ring_s = 10 ** random.uniform(-2.7, -1.0)
    age_s = np.arange(int(6 * ring_s * SAMPLE_RATE_HZ) + 1) / SAMPLE_RATE_HZ
    sound = random.standard_normal(age_s.size)
    if random.random() < 0.5:
        sound = np.sin(2 * np.pi * 10 ** random.uniform(2.3, 3.8) * age_s) + 0.5 * sound
    ringing = oaconvolve(strikes, sound * np.exp(-age_s / ring_s))[:count]
    return (unit(ringing.astype(np.float32)) + random.uniform(0, 0.5) * unit(coloured(count, random))).astype(
        np.float32
    )


def texture(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Bands of noise whose levels fluctuate, each alone and all together: wind, water, traffic, a hall.

    Band levels and the rate and depth of their modulation make up most of what a sound texture is heard by (McDermott
    and Simoncelli 2011).
    """
    edges_hz = np.concatenate([[0.0], np.geomspace(80, 8_000, random.integers(8, 25))])
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    level_db = np.cumsum(random.normal(0, random.uniform(1, 6), len(edges_hz) - 1))
    rate_hz, depth_db, together = 10 ** random.uniform(-0.5, 1.3), random.uniform(0, 12), random.random()
    common = _fluctuation(count, rate_hz, random)
    total = np.zeros(count)
    for low_hz, high_hz, band_db in zip(edges_hz[:-1], edges_hz[1:], level_db, strict=True):
        band = np.fft.irfft(spectrum * ((hz >= low_hz) & (hz < high_hz)), count)
        moving = together * common + np.sqrt(1 - together**2) * _fluctuation(count, rate_hz, random)
        total += unit(band.astype(np.float32)) * 10 ** ((band_db + depth_db * moving) / 20)
    return total.astype(np.float32)


def _fluctuation(count: int, rate_hz: float, random: np.random.Generator) -> NDArray[np.float32]:
    """A random curve of variance about 1 with `rate_hz` turns per second."""
    points = max(4, int(count / SAMPLE_RATE_HZ * rate_hz * 2))
    return np.interp(np.linspace(0, points - 1, count), np.arange(points), random.standard_normal(points)).astype(
        np.float32
    )


def tones(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Notes, rings and sirens: harmonic sounds that begin, glide and fade."""
    total = np.zeros(count, np.float32)
    glide_octaves = random.choice([0.0, 0.02, 0.5])
    length_s, overtones = 10 ** random.uniform(-1.0, 0.5), int(random.integers(1, 9))
    low, high = np.sort(random.uniform(2.0, 3.5, 2))
    for _ in range(int(np.clip(count / SAMPLE_RATE_HZ / length_s * random.uniform(0.5, 3), 1, 40))):
        size = min(count, int(length_s * random.uniform(0.5, 2) * SAMPLE_RATE_HZ))
        begin = int(random.integers(count - size + 1))
        time_s = np.arange(size) / SAMPLE_RATE_HZ
        bend = glide_octaves * np.sin(2 * np.pi * random.uniform(0.2, 6) * time_s)
        phase = 2 * np.pi * np.cumsum(10 ** random.uniform(low, high) * 2.0**bend) / SAMPLE_RATE_HZ
        sound = sum(np.sin(k * phase) / k ** random.uniform(0.5, 2) for k in range(1, overtones + 1))
        fade = np.exp(-time_s / (length_s * random.uniform(0.2, 2))) * np.minimum(1, time_s / 0.005)
        total[begin : begin + size] += (random.uniform(0.2, 1) * sound * fade).astype(np.float32)
    return unit(total) + np.float32(random.uniform(0, 0.4)) * unit(coloured(count, random))


def murmur(voice: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Speech without words: its grains in another order, half of them backwards, some of them with random phases."""
    grain = int(SAMPLE_RATE_HZ * 10 ** random.uniform(-1.5, -0.6))
    grains = np.resize(voice, -(-len(voice) // grain) * grain).reshape(-1, grain)
    grains = grains[random.permutation(len(grains))]
    turned = random.random(len(grains)) < 0.5
    grains[turned] = grains[turned, ::-1]
    if random.random() < 0.5:
        spectra = np.fft.rfft(grains)
        grains = np.fft.irfft(spectra * np.exp(2j * np.pi * random.random(spectra.shape)), grain)
    return grains.reshape(-1)[: len(voice)].astype(np.float32)


MADE_UP = (coloured, engine, crackle, texture, texture, tones)
"""What is drawn from, each as often as the others; textures twice."""
