"""What stands between a voice and the system, drawn anew for every batch and alike for genuine and synthetic clips.

On the bands, as `data.augment` does for the emotion network: gain and filters add, noise adds in power, a telephone is
a band with the quantiser's noise in it, a room smears power in time. A clip and its resynthesis get the very same
channel, so that nothing but synthesis tells them apart.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.data.augment import DB, smooth_curve

FLOOR_LOG = float(np.log(1e-10))
BAND_HZ = 8000.0

Bands = NDArray[np.float32]


class Channel:
    """Draws and applies channels.

    Args:
        noises: Bands of noise recordings, float16 [hops, band_count] each.
        strength: 0 leaves a batch alone, 1 is full strength: the share of clips that each effect meets.
    """

    def __init__(self, noises: Sequence[NDArray[np.float16]], strength: float = 1.0) -> None:
        self.noises = [n for n in noises if len(n) >= 50]
        self.strength = strength

    def __call__(self, bands: Bands, is_speech: NDArray[np.bool_], random: np.random.Generator) -> Bands:
        """Send one clip through a channel.

        Args:
            bands: float32 [hops, band_count].
            is_speech: bool [hops], which hops set the level that noise is measured against.
            random: The channel; the same for a clip and its twin.
        """
        s, x = self.strength, bands
        band_count = bands.shape[1]
        draws = random.random(8)
        seeds = random.integers(1 << 62, size=8)
        if draws[0] < 0.25 * s:
            x = smeared(x, np.random.default_rng(seeds[0]))
        if draws[1] < 0.7 * s:
            x = x + coloured(band_count, np.random.default_rng(seeds[1]))
        if draws[2] < 0.65 * s:
            x = self._with_noise(x, is_speech, np.random.default_rng(seeds[2]))
        if draws[3] < 0.25 * s:
            x = telephoned(x, np.random.default_rng(seeds[3]))
        elif draws[3] < 0.55 * s:
            x = narrowed(x, np.random.default_rng(seeds[4]))
        if draws[5] < 0.3 * s:
            x = masked(x, np.random.default_rng(seeds[5]))
        if s > 0:
            last = np.random.default_rng(seeds[6])
            x = x + np.float32(last.uniform(-22, 10) * DB)
            x = np.logaddexp(x, np.float32(last.uniform(-100, -72) * DB))
        return np.maximum(x, np.float32(FLOOR_LOG))

    def _with_noise(self, bands: Bands, is_speech: NDArray[np.bool_], random: np.random.Generator) -> Bands:
        hops, band_count = bands.shape
        if self.noises and random.random() < 0.7:
            source = self.noises[random.integers(len(self.noises))]
            noise = source[(np.arange(hops) + random.integers(len(source))) % len(source)].astype(np.float32)
        else:
            shape = random.uniform(-3, 1) * np.linspace(0, 1, band_count) + coloured(band_count, random)
            noise = (shape + np.log(random.gamma(2.5, 0.4, (hops, band_count)) + 1e-4)).astype(np.float32)
        speech = np.exp(bands[is_speech] if is_speech.any() else bands).mean()
        shift = np.log(speech) - random.uniform(5, 35) * DB - np.log(np.exp(noise).mean() + 1e-12)
        return np.logaddexp(bands, noise + np.float32(shift))


def coloured(band_count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A random smooth filter with a tilt, float32 [band_count]."""
    places = np.linspace(0, 1, band_count)
    return (smooth_curve(places, 3.0 * DB, random) + random.uniform(-10, 10) * DB * (places - 0.5)).astype(np.float32)


def smeared(bands: Bands, random: np.random.Generator) -> Bands:
    """A room: power that decays by 60 dB in 0.15-0.7 s is added 3-15 dB below the direct sound's own."""
    from scipy.signal import lfilter

    keep = 10 ** (-6 * 0.01 / random.uniform(0.15, 0.7))
    power = np.exp(bands)
    tail = lfilter([0.0, 1 - keep], [1.0, -keep], power, axis=0) * 10 ** (-random.uniform(3, 15) / 10)
    return np.log(power + tail).astype(np.float32)


def telephoned(bands: Bands, random: np.random.Generator) -> Bands:
    """A telephone: 200-400 to 3100-3800 Hz, and the noise of mu-law 34-40 dB below each moment's power."""
    places = np.linspace(0, BAND_HZ, bands.shape[1])
    low, high = random.uniform(180, 400), random.uniform(3100, 3800)
    # 80 dB per octave below, 200 dB per kHz above
    loss_db = np.minimum(80 * np.maximum(np.log2(low / np.maximum(places, 40)), 0), 40)
    loss_db += np.minimum(200 * np.maximum(places - high, 0) / 1000, 70)
    heard = bands - (loss_db * DB).astype(np.float32)
    inside = (places > 40) & (places < 4000)
    noise = np.log(np.exp(heard).mean(1, keepdims=True)) - np.float32(random.uniform(34, 40) * DB)
    jitter = np.log(random.gamma(2.5, 0.4, bands.shape) + 1e-3).astype(np.float32)
    return np.where(inside, np.logaddexp(heard, noise + jitter), heard).astype(np.float32)


def narrowed(bands: Bands, random: np.random.Generator) -> Bands:
    """A low-pass between 3.4 and 7.6 kHz, steep or not, as converters, codecs and cheap devices have."""
    places = np.linspace(0, BAND_HZ, bands.shape[1])
    loss_db = random.uniform(15, 120) * np.maximum(places - random.uniform(3400, 7600), 0) / 1000
    return (bands - np.minimum(loss_db, random.uniform(25, 70)) * DB).astype(np.float32)


def masked(bands: Bands, random: np.random.Generator) -> Bands:
    """A stretch of up to 16 bands as quiet as the clip's quiet ones (SpecAugment, Park et al. 2019)."""
    width = int(random.integers(4, 17))
    low = int(random.integers(bands.shape[1] - width))
    hidden = bands.copy()
    hidden[:, low : low + width] = np.quantile(bands[::7], 0.05)
    return hidden
