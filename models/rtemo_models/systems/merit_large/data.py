"""Clips with their audio, and what is done to the audio so that rooms, lines and noises cannot be learnt by heart."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo_models.kit.audio.cache import AudioCache, open_audio
from rtemo_models.kit.audio.rooms import read_rooms, reverberate, scaled_noise, synthetic_room, telephone
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA, Clip, read_clips

NEUTRAL, CALM = EMOTIONS.index("neutral"), EMOTIONS.index("calm")
CONDITIONS = ("telephone", "noise_10db", "noise_0db")
"""What dev clips are heard through, besides clean."""


WINDOW_SAMPLES = 48_000
"""What the network hears at once."""
_LEAD_SAMPLES, _TRAIL_SAMPLES = 2400, 3200
"""What is left before and after speech, as the plugin's turns have it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the network hears of a clip at one time, as a turn would bring it."""

    clip: int
    start_sample: int
    end_sample: int


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


def chunks_of(sounds: Sounds, clips: Iterable[int]) -> list[Chunk]:
    """The speech of clips: their first 3 s, and their last 3 s where there is more than half a second beyond."""
    chunks = []
    for clip in clips:
        start, end = speech_span(sounds.audio.samples(clip))
        chunks.append(Chunk(clip, start, min(end, start + WINDOW_SAMPLES)))
        if end > start + WINDOW_SAMPLES + 8000:
            chunks.append(Chunk(clip, end - WINDOW_SAMPLES, end))
    return chunks


def speech_span(samples: NDArray[np.float32]) -> tuple[int, int]:
    """Where the speech of a clip begins and ends by WebRTC's detector (mode 2), with what a turn has around it."""
    import webrtcvad

    detector = webrtcvad.Vad(2)
    loud = samples * (0.5 / (float(np.abs(samples).max()) + 1e-6))
    pcm = (loud * 32767).astype(np.int16)
    hops = len(pcm) // 320
    spoken = [k for k in range(hops) if detector.is_speech(pcm[k * 320 : (k + 1) * 320].tobytes(), 16_000)]
    if not spoken:
        return 0, len(samples)
    end = min(len(samples), (spoken[-1] + 1) * 320 + _TRAIL_SAMPLES)
    return max(0, min(spoken[0] * 320 - _LEAD_SAMPLES, end - 8000)), end


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
    if random.random() < 0.3:
        room = rooms[random.integers(len(rooms))] if rooms and random.random() < 0.5 else synthetic_room(random)
        samples = reverberate(samples, room)
    if noises and random.random() < 0.6:
        noise = noises[random.integers(len(noises))]
        at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
        samples = samples + scaled_noise(samples, noise[at], random.uniform(-3.0, 20.0))
    if random.random() < 0.3:
        samples = telephone(
            _at_level(samples, random.uniform(-32, -18)), random.uniform(150, 350), random.uniform(3200, 3800)
        )
    return samples.astype(np.float32)


def tightened(samples: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A copy cut as closely as a stricter detector of speech cuts turns, never under half a second.

    What is within 35 dB of the loudest 10 ms counts as speech; 80 to 250 ms before it stay, and up to 400 ms after.
    """
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level_db = 10 * np.log10((blocks.astype(np.float64) ** 2).mean(1) + 1e-12)
    active = np.flatnonzero(level_db > level_db.max() - 35)
    start = max(0, int(active[0]) * 160 - int(random.uniform(0.08, 0.25) * 16_000))
    end = min(len(samples), int(active[-1] + 1) * 160 + int(random.uniform(0.0, 0.4) * 16_000))
    return samples[min(start, max(0, end - 8000)) : end].copy()


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
