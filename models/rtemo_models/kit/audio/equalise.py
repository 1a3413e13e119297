"""Makes genuine and synthetic clips equal in everything that is not the voice, with one code for both.

Level, band, silence before and after, the floor of noise, length, and the last coder that a clip went through: each of
them tells a corpus, a site or a program, and a network would learn it in place of synthesis.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import codec_round_trip

Samples = NDArray[np.float32]

LEVEL_DBFS = -26.0
"""Level of the active part."""
BAND_HZ = (70.0, 7200.0)
MARGIN_S = 0.08
"""Silence left on both sides, where there was any."""
SHORTEST_S, LONGEST_S = 1.5, 6.0
"""Lengths are drawn between these, evenly in logarithm; a clip that is shorter stays as long as it is."""
FLOOR_DBFS = (-75.0, -58.0)
"""Level of the white noise that is added, so that no clip has digital silence."""
OPUS_LEVEL = 0.93
_RANGE_DB = 35.0
_BLOCK_SAMPLES = 320


def equalise(samples: Samples, is_coded: bool, random: np.random.Generator) -> Samples:
    """Make one clip equal to the others.

    Args:
        samples: float32 [samples] at 16 kHz.
        is_coded: Whether the clip came out of Opus as it is; else it goes through Opus here, as its source did.
        random: Where the length, the place and the noise are drawn from.

    Returns:
        float32 [samples]; empty when the clip is silent or shorter than 0.4 s.
    """
    spoken = trimmed(samples)
    if len(spoken) < 0.4 * SAMPLE_RATE_HZ:
        return np.zeros(0, np.float32)
    wanted = int(SAMPLE_RATE_HZ * np.exp(random.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
    begin = int(random.integers(max(1, len(spoken) - wanted)))
    part = levelled_active(spoken[begin : begin + wanted])
    if not is_coded:
        part = codec_round_trip(part, "opus", OPUS_LEVEL)
    part = limited(part)
    floor = 10 ** (random.uniform(*FLOOR_DBFS) / 20)
    return levelled_active(part) + (floor * random.standard_normal(len(part))).astype(np.float32)


def active_blocks(samples: Samples) -> NDArray[np.bool_]:
    """Which blocks of 20 ms are within 35 dB of the loudest, and above -90 dBFS."""
    blocks = samples[: len(samples) // _BLOCK_SAMPLES * _BLOCK_SAMPLES].reshape(-1, _BLOCK_SAMPLES)
    power = np.mean(blocks.astype(np.float64) ** 2, axis=1) + 1e-12
    return np.asarray(power > max(power.max(initial=0.0) * 10 ** (-_RANGE_DB / 10), 1e-9))


def trimmed(samples: Samples) -> Samples:
    """Without the silence before and after, but for a margin."""
    active = np.flatnonzero(active_blocks(samples))
    if not len(active):
        return samples[:0]
    margin = int(MARGIN_S * SAMPLE_RATE_HZ)
    return samples[max(0, active[0] * _BLOCK_SAMPLES - margin) : (active[-1] + 1) * _BLOCK_SAMPLES + margin]


def levelled_active(samples: Samples) -> Samples:
    """At `LEVEL_DBFS` over the active blocks, peaks limited to full scale."""
    active = np.repeat(active_blocks(samples), _BLOCK_SAMPLES)
    loud = samples[: len(active)][active]
    rms = float(np.sqrt(np.mean(loud.astype(np.float64) ** 2))) if len(loud) else 0.0
    if rms < 1e-6:
        return samples
    return np.clip(samples * np.float32(10 ** (LEVEL_DBFS / 20) / rms), -1, 1).astype(np.float32)


@cache
def _band() -> NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(4, BAND_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"))


def limited(samples: Samples) -> Samples:
    """Within `BAND_HZ`."""
    from scipy.signal import sosfilt

    return np.asarray(sosfilt(_band(), samples), np.float32)
