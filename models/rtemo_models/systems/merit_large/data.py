"""Clips with their audio, and what is done to it so that rooms, lines, voices and noises cannot be learnt by heart."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo_models.kit.audio.cache import AudioCache, open_audio
from rtemo_models.kit.audio.degrade import Degrade
from rtemo_models.kit.audio.rooms import read_rooms, reverberate, scaled_noise, synthetic_room, telephone
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA, Clip, read_clips

NEUTRAL, CALM = EMOTIONS.index("neutral"), EMOTIONS.index("calm")

WINDOW_SAMPLES = 48_000
"""What the network hears at once."""
_LINE = Degrade({"clip": 0.05, "agc": 0.15, "codec": 0.3, "loss": 0.05})
_PACKET_SAMPLES = 640


@dataclass(frozen=True, slots=True)
class Sounds:
    """All clips, decoded, with the noises and rooms of training and those kept from it."""

    clips: list[Clip]
    audio: AudioCache
    noises: dict[str, list[NDArray[np.float32]]]
    """Split → noises."""
    rooms: list[NDArray[np.float32]]

    def rows(self, split: str) -> list[int]:
        """Which clips are of a split."""
        return [i for i, clip in enumerate(self.clips) if clip.split == split]


def open_sounds(data_dir: Path, work_dir: Path) -> Sounds:
    """Read the manifests and decode what is not decoded yet."""
    clips = read_clips(data_dir)
    audio = open_audio(work_dir / "speech", data_dir, [clip.path for clip in clips])
    with (data_dir / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    noise_audio = open_audio(work_dir / "noise", data_dir, [row["path"] for row in listed])
    noises: dict[str, list[NDArray[np.float32]]] = {"train": [], "dev": []}
    for i, row in enumerate(listed):
        noises.setdefault(row["split"], []).append(noise_audio.samples(i))
    return Sounds(clips, audio, noises, read_rooms(data_dir / "rir"))


def accepted(clip: Clip, knows_neutral: bool) -> NDArray[np.float32]:
    """Which of the eight labels are right for a clip, float32 [8], summing to 1; all zero where nothing is known.

    Calm of a corpus without neutral, and speech read without an emotion, may be either.
    """
    right = np.zeros(len(EMOTIONS), np.float32)
    if clip.corpus in NEUTRAL_CORPORA:
        right[[NEUTRAL, CALM]] = 0.5
    elif clip.label >= 0:
        right[clip.label] = 1.0
        if clip.label == CALM and not knows_neutral:
            right[[NEUTRAL, CALM]] = 0.5
    return right


def degraded(
    samples: NDArray[np.float32],
    random: np.random.Generator,
    noises: list[NDArray[np.float32]],
    rooms: list[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """A copy as another voice, room, line or street might have it; its length changes with its speed."""
    samples = samples.copy()
    if random.random() < 0.5:
        samples = at_speed(samples, random.uniform(0.87, 1.15))
    if random.random() < 0.4:
        samples = coloured(samples, random)
    if random.random() < 0.3:
        room = rooms[random.integers(len(rooms))] if rooms and random.random() < 0.5 else synthetic_room(random)
        samples = reverberate(samples, room)
    if noises and random.random() < 0.6:
        noise = noises[random.integers(len(noises))]
        at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
        samples = samples + scaled_noise(samples, noise[at], random.uniform(-3.0, 20.0))
    if random.random() < 0.25:
        samples = telephone(
            _at_level(samples, random.uniform(-32, -18)), random.uniform(150, 350), random.uniform(3200, 3800)
        )
    count = len(samples)
    whole = np.pad(samples, (0, -count % _PACKET_SAMPLES))  # codecs take whole packets
    return _at_level(_LINE(whole, random)[:count], random.uniform(-36, -16))


def coloured(samples: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A copy as another microphone has it: a smooth curve of gain over frequency, of some decibels."""
    corners_hz = np.array([60.0, 250.0, 600.0, 1200.0, 2400.0, 4800.0, 8000.0])
    gain_db = np.cumsum(random.normal(0.0, 3.0, len(corners_hz)))
    frequencies_hz = np.maximum(np.fft.rfftfreq(len(samples), 1 / 16_000), 30.0)
    curve_db = np.interp(np.log2(frequencies_hz), np.log2(corners_hz), gain_db - gain_db.mean())
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (curve_db / 20), len(samples)).astype(np.float32)


def at_speed(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Faster and higher, or slower and lower: another throat."""
    places = np.arange(0, len(samples) - 1, speed)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def under(
    condition: str, samples: NDArray[np.float32], seed: int, noises: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A dev clip under a condition; the same seed gives the same noise."""
    random = np.random.default_rng((99, seed))
    if condition == "telephone":
        return telephone(_at_level(samples, -26.0))
    if condition.startswith("noise_"):
        noise = noises[random.integers(len(noises))]
        at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
        return samples + scaled_noise(samples, noise[at], float(condition.removeprefix("noise_").removesuffix("db")))
    return samples


def _at_level(samples: NDArray[np.float32], rms_dbfs: float) -> NDArray[np.float32]:
    rms = float(np.sqrt(np.mean(samples**2)) + 1e-9)
    return np.clip(samples * (10 ** (rms_dbfs / 20) / rms), -1, 1).astype(np.float32)
