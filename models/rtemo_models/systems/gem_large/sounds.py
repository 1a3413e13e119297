"""How clips sound: as they are, made anew, and through rooms, lines and codecs, drawn alike for both classes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.channel import Channel
from rtemo_models.kit.audio.codecs import codec_round_trip
from rtemo_models.kit.audio.degrade import overdrive
from rtemo_models.kit.audio.equalise import OPUS_LEVEL, levelled_active, trimmed
from rtemo_models.kit.audio.resynthesis import resynthesise
from rtemo_models.kit.audio.rooms import telephone
from rtemo_models.systems.gem_large.clips import SpoofClip

Samples = NDArray[np.float32]

RATE_HZ = 16_000
LONGEST_SAMPLES = 4 * RATE_HZ
"""Of every clip its first 4 s of speech are heard."""
NARROW = ("gsm", "g721", "opus-narrow", "a-law", "g723-40", "nms-adpcm")
"""Codecs of the telephone that a view may go through."""


def read(folder: Path, clip: SpoofClip) -> Samples:
    """A clip without the silence around it, at one level, at most 4 s; made anew where it is a copy."""
    import soundfile

    samples, rate_hz = soundfile.read(folder / clip.path, dtype="float32", always_2d=True)
    if rate_hz != RATE_HZ:
        raise ValueError(f"{clip.path} has {rate_hz} Hz; expected {RATE_HZ}: resample it first")
    spoken = levelled_active(trimmed(samples.mean(1))[:LONGEST_SAMPLES])
    if len(spoken) < RATE_HZ // 4:
        return np.zeros(RATE_HZ // 2, np.float32)
    if clip.is_said:  # coded as the others came
        return levelled_active(codec_round_trip(spoken, "opus", OPUS_LEVEL))
    if not clip.way:
        return spoken
    maker, _, way = clip.way.partition("/")
    made = resynthesise(spoken, maker, way, np.random.default_rng([*clip.path.encode()]))
    return levelled_active(codec_round_trip(levelled_active(made), "opus", OPUS_LEVEL))  # as its original was coded


class View:
    """One way to hear all clips: `plain`, `telephone`, or `drawn-K`, where each clip meets a channel of its own.

    A clip and its copy meet the same channel.

    Args:
        name: Of the view.
        noises: Noise recordings.
    """

    def __init__(self, name: str, noises: list[Samples]) -> None:
        self.name = name
        self._seed = int(name.rpartition("-")[2]) if name.startswith("drawn-") else 0
        self._channel = Channel(noises)

    def __call__(self, samples: Samples, clip: SpoofClip) -> Samples:
        """The clip as it is heard."""
        if self.name == "plain":
            return samples
        if self.name == "telephone":
            return telephone(samples)
        random = np.random.default_rng([self._seed, *clip.path.encode()])
        return drawn(samples, self._channel, random)


def drawn(samples: Samples, channel: Channel, random: np.random.Generator) -> Samples:
    """A clip between other silences, perhaps driven too hard, through a channel and perhaps a telephone's codec."""
    draws = random.random(4)
    effects = [np.random.default_rng(seed) for seed in random.integers(1 << 62, size=4)]
    heard = samples
    if draws[0] < 0.6:
        before, after = (effects[0].uniform(0, 0.4, 2) * RATE_HZ).astype(int)
        heard = np.pad(heard, (before, after))
        floor = 10 ** (effects[0].uniform(-80, -50) / 20)
        heard = heard + (floor * effects[0].standard_normal(len(heard))).astype(np.float32)
    if draws[1] < 0.2:
        heard = overdrive(heard, effects[1].uniform(0, 9))
    if draws[1] > 0.85:  # single wrong samples, as of a worn line (RawBoost's impulsive noise, Tak et al. 2022)
        places = effects[1].integers(len(heard), size=max(1, len(heard) // 400))
        heard = heard.copy()
        heard[places] *= (1 + effects[1].uniform(-1, 1, len(places))).astype(np.float32)
    heard = channel(heard, effects[2])
    if draws[3] < 0.25:
        heard = codec_round_trip(heard, NARROW[int(effects[3].integers(len(NARROW)))])
    return heard
