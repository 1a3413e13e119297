"""What stands between a voice and the system, drawn anew for every view and alike for genuine and synthetic clips.

Rooms, microphones, noise, telephones and coders change a voice as much as synthesis does, or more. A clip and its copy
get the very same channel, so that nothing but synthesis tells them apart. Many views get little of it: what a channel
buries cannot be learned.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.augment import DB, smooth_curve
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import codec_round_trip
from rtemo_models.kit.audio.rooms import reverberate, scaled_noise, synthetic_room, telephone

Samples = NDArray[np.float32]

CODERS = ("opus", "vorbis", "mp3", "ms-adpcm")
"""Coders that keep the wide band."""


class Channel:
    """Draws and applies channels.

    Args:
        noises: Noise recordings, float32 [samples] each; without any, noise is drawn.
        strength: 0 leaves a clip alone, 1 is full strength: the share of clips that each effect meets.
    """

    def __init__(self, noises: Sequence[Samples], strength: float = 1.0) -> None:
        self.noises = [n for n in noises if len(n) >= SAMPLE_RATE_HZ // 2]
        self.strength = strength

    def __call__(self, samples: Samples, random: np.random.Generator) -> Samples:
        """Send one clip through a channel, float32 [samples]; the same `random` for a clip and its copy."""
        s = self.strength
        if s == 0:
            return samples
        draws = random.random(4)
        # A generator for each effect: a clip and its copy draw the same even where their lengths differ.
        effects = [np.random.default_rng(seed) for seed in random.integers(1 << 62, size=6)]
        heard = samples
        if draws[0] < 0.15 * s:
            heard = reverberate(heard, synthetic_room(effects[0]))
        if draws[1] < 0.6 * s:
            heard = coloured(heard, effects[1])
        if draws[2] < 0.5 * s:
            heard = heard + self._noise(heard, effects[2])
        heard = np.clip(heard * np.float32(10 ** (effects[3].uniform(-15, 12) / 20)), -1, 1).astype(np.float32)
        if draws[3] < 0.15 * s:
            heard = telephone(heard, effects[4].uniform(200, 400), effects[4].uniform(3100, 3800))
        elif draws[3] < 0.3 * s:
            heard = low_passed(heard, effects[4].uniform(3600, 7500))
        elif draws[3] < 0.55 * s:
            heard = codec_round_trip(heard, CODERS[int(effects[5].integers(len(CODERS)))])
        return np.asarray(heard, np.float32)

    def _noise(self, samples: Samples, random: np.random.Generator) -> Samples:
        """A recording or coloured noise, 12 to 40 dB below the speech."""
        if self.noises and random.random() < 0.7:
            source = self.noises[int(random.integers(len(self.noises)))]
            begin = int(random.integers(len(source)))
            noise = np.resize(np.roll(source, -begin), len(samples))
        else:
            noise = coloured(random.standard_normal(len(samples)).astype(np.float32), random)
        return scaled_noise(samples, noise, random.uniform(12, 40))


def coloured(samples: Samples, random: np.random.Generator) -> Samples:
    """Through a random smooth filter with a tilt of up to 10 dB over the band."""
    size = 1 << int(np.ceil(np.log2(len(samples) + 512)))
    places = np.linspace(0, 1, size // 2 + 1)
    log = np.interp(places, np.linspace(0, 1, 96), smooth_curve(np.linspace(0, 1, 96), 3.0 * DB, random))
    log += random.uniform(-10, 10) * DB * (places - 0.5)
    return np.fft.irfft(np.fft.rfft(samples, size) * np.exp(0.5 * log))[: len(samples)].astype(np.float32)


def low_passed(samples: Samples, edge_hz: float) -> Samples:
    """Through a steep low-pass, as converters and cheap devices have it."""
    from scipy.signal import butter, sosfilt

    return np.asarray(sosfilt(butter(8, edge_hz, fs=SAMPLE_RATE_HZ, output="sos"), samples), np.float32)
