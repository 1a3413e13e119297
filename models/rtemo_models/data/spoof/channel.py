"""What stands between a voice and the system, drawn anew for every batch and alike for genuine and synthetic clips.

On the power of bands, as `data.augment` does for the emotion network: gain and filters multiply, noise adds, a
telephone is a band with the quantiser's noise in it, a room smears power in time. A clip and its resynthesis get the
very same channel, so that nothing but synthesis tells them apart.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.data.augment import DB, smooth_curve

FLOOR = np.float32(1e-10)
BAND_HZ = 8000.0

Bands = NDArray[np.float32]


class Channel:
    """Draws and applies channels.

    Args:
        noises: Bands of noise recordings, float16 [hops, band_count] each.
        strength: 0 leaves a batch alone, 1 is full strength: the share of clips that each effect meets.
    """

    def __init__(self, noises: Sequence[NDArray[np.float16]], strength: float = 1.0) -> None:
        self.noises = [np.exp(n.astype(np.float32)) for n in noises if len(n) >= 50]
        self.strength = strength

    def __call__(self, bands: Bands, is_speech: NDArray[np.bool_], random: np.random.Generator) -> Bands:
        """Send one clip through a channel.

        Args:
            bands: float32 [hops, band_count], natural logarithm of power.
            is_speech: bool [hops], which hops set the level that noise is measured against.
            random: The channel; the same for a clip and its twin.
        """
        s = self.strength
        if s == 0:
            return bands
        power = np.exp(bands)
        draws = random.random(6)
        # A generator for each effect: the clip and its twin draw the same even where their lengths differ.
        effects = [np.random.default_rng(seed) for seed in random.integers(1 << 62, size=7)]
        if draws[0] < 0.25 * s:
            power = smeared(power, effects[0])
        if draws[1] < 0.7 * s:
            power = power * coloured(power.shape[1], effects[1])
        if draws[2] < 0.65 * s:
            power = power + self._noise(power, is_speech, effects[2])
        if draws[3] < 0.25 * s:
            power = telephoned(power, effects[3])
        elif draws[3] < 0.55 * s:
            power = power * low_passed(power.shape[1], effects[4])
        if draws[4] < 0.3 * s:
            power = masked(power, effects[5])
        gain, hiss = 10 ** (effects[6].uniform(-22, 10) / 10), 10 ** (effects[6].uniform(-100, -72) / 10)
        return np.log(np.maximum(power * np.float32(gain) + np.float32(hiss), FLOOR))

    def _noise(self, power: Bands, is_speech: NDArray[np.bool_], random: np.random.Generator) -> Bands:
        """A recording's or a steady noise's power, 5-35 dB below the speech."""
        hops, band_count = power.shape
        if self.noises and random.random() < 0.7:
            source = self.noises[random.integers(len(self.noises))]
            noise = source[(np.arange(hops) + random.integers(len(source))) % len(source)]
        else:
            noise = coloured(band_count, random) * coloured(band_count, random) * jitter(hops, band_count, random)
        speech = float((power[is_speech] if is_speech.any() else power).mean())
        share = speech * 10 ** (-random.uniform(5, 35) / 10) / (float(noise.mean()) + 1e-12)
        return noise * np.float32(share)


def jitter(hops: int, band_count: int, random: np.random.Generator) -> Bands:
    """How the power of steady noise varies from hop to hop and band to band: a few degrees of freedom, mean 1."""
    few = random.gamma(2.5, 0.4, (64, band_count)).astype(np.float32)
    return few[random.integers(64, size=hops)]


def coloured(band_count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A random smooth filter with a tilt, as factors of power, float32 [band_count]."""
    places = np.linspace(0, 1, band_count)
    log = smooth_curve(places, 3.0 * DB, random) + random.uniform(-10, 10) * DB * (places - 0.5)
    return np.exp(log).astype(np.float32)


def smeared(power: Bands, random: np.random.Generator) -> Bands:
    """A room: power that decays by 60 dB in 0.15-0.7 s is added 3-15 dB below the direct sound's own."""
    keep = 10 ** (-6 * 0.01 / random.uniform(0.15, 0.7))
    share = (1 - keep) * 10 ** (-random.uniform(3, 15) / 10)
    made, tail = power.copy(), np.zeros(power.shape[1], np.float32)
    for hop in range(1, len(power)):
        tail = np.float32(keep) * tail + np.float32(share) * power[hop - 1]
        made[hop] += tail
    return made


def telephoned(power: Bands, random: np.random.Generator) -> Bands:
    """A telephone: 200-400 to 3100-3800 Hz, and the noise of mu-law 34-40 dB below each moment's power."""
    places = np.linspace(0, BAND_HZ, power.shape[1])
    low, high = random.uniform(180, 400), random.uniform(3100, 3800)
    # 80 dB per octave below, 200 dB per kHz above
    loss_db = np.minimum(80 * np.maximum(np.log2(low / np.maximum(places, 40)), 0), 40)
    loss_db += np.minimum(200 * np.maximum(places - high, 0) / 1000, 70)
    heard = power * (10 ** (-loss_db / 10)).astype(np.float32)
    inside = ((places > 40) & (places < 4000)).astype(np.float32)
    noise = heard.mean(1, keepdims=True) * np.float32(10 ** (-random.uniform(34, 40) / 10))
    return heard + inside * noise * jitter(*power.shape, random)


def low_passed(band_count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A low-pass between 3.4 and 7.6 kHz, steep or not, as converters, codecs and cheap devices have, [band_count]."""
    places = np.linspace(0, BAND_HZ, band_count)
    loss_db = random.uniform(15, 120) * np.maximum(places - random.uniform(3400, 7600), 0) / 1000
    return (10 ** (-np.minimum(loss_db, random.uniform(25, 70)) / 10)).astype(np.float32)


def masked(power: Bands, random: np.random.Generator) -> Bands:
    """A stretch of up to 16 bands as quiet as the clip's quiet ones (SpecAugment, Park et al. 2019)."""
    width = int(random.integers(4, 17))
    low = int(random.integers(power.shape[1] - width))
    hidden = power.copy()
    hidden[:, low : low + width] = np.quantile(power[::16], 0.05)
    return hidden
