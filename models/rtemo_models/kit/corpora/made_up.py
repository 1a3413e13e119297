"""A data folder of made-up voices, small enough that every system runs through its steps in seconds.

Buzzing tones stand for speech; the manifests have the columns of the real ones. Nothing that is learned from it means
anything: it shows that the steps of a system fit together on a machine, before hours are spent on real corpora.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ

MOODS: Mapping[str, tuple[float, float]] = {
    "neutral": (1.0, 4.0),
    "happy": (1.3, 5.5),
    "sad": (0.8, 2.5),
    "angry": (1.5, 6.5),
}
"""Emotion → factor of pitch, syllables a second."""

SPEAKERS: Mapping[str, Sequence[str]] = {
    "ravdess": ("train", "train", "dev"),
    "nemo": ("train", "train", "dev"),
    "ased": ("train", "dev"),
    "rakshak": ("train", "dev"),
    "tess": ("train",),
    "baved": ("train", "train", "dev"),
}
"""Corpus → split of each of its speakers."""

TEXTS = ("The sky was clear that night.", "Say it to me again.", "Where did you leave the key?")
"""What the voices of some corpora are taken to say; that it cannot be heard does not matter here."""
WORDED = ("ravdess", "nemo", "tess")

SITES: Mapping[str, Sequence[tuple[str, int]]] = {
    "tortoise": (("Tortoise", 3), ("human", 2)),
    "styletts2": (("VITS", 3), ("human", 2)),
    "luo": (("EmotionTTS-prosody", 3), ("human", 2)),
    "vits": (("VITS", 3), ("human", 2)),
}
"""Site → systems and how many clips of each."""


def voice(duration_s: float, pitch_hz: float, syllable_hz: float, random: np.random.Generator) -> NDArray[np.float32]:
    """A buzz that wavers in pitch and comes in syllables, float32 [samples]."""
    time_s = np.arange(int(SAMPLE_RATE_HZ * duration_s)) / SAMPLE_RATE_HZ
    wavering_hz = pitch_hz * (1 + 0.08 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time_s))
    turns = 2 * np.pi * np.cumsum(wavering_hz) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(k * turns) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * syllable_hz * time_s + random.uniform(0, 6)), 0.05, 1)
    return (0.1 * buzz * syllables + 1e-3 * random.standard_normal(len(time_s))).astype(np.float32)


def make_data(folder: Path) -> Path:
    """Write `emotion`, `clean`, `noise`, `rir` and `spoof` under a folder, the same every time; returns the folder.

    A folder that holds them already is left alone.
    """
    import soundfile

    if (folder / "spoof" / "manifest.csv").exists():  # written last
        return folder
    random = np.random.default_rng(0)

    def write(path: str, samples: NDArray[np.float32]) -> str:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        return path

    def table(name: str, rows: Sequence[Mapping[str, str]]) -> None:
        with (folder / name / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def sound(path: str, duration_s: float, pitch_hz: float, syllable_hz: float) -> str:
        return write(path, voice(duration_s, pitch_hz, syllable_hz, random))

    emotional = []
    for corpus, splits in SPEAKERS.items():
        for number, split in enumerate(splits):
            pitch_hz = random.uniform(110, 220)
            for k, (emotion, level) in enumerate(_said(corpus, number)):
                factor, syllable_hz = MOODS[emotion or "neutral"]
                duration_s = 1.7 + 0.1 * (k % 3)
                text = TEXTS[k % len(TEXTS)] if corpus in WORDED else ""
                path = sound(f"emotion/{corpus}/{number}-{k}.wav", duration_s, factor * pitch_hz, syllable_hz)
                who = {"path": path, "corpus": corpus, "language": "en", "speaker": f"{corpus}-{number}", "gender": ""}
                what = {"emotion": emotion, "level": level, "text": text, "split": split}
                emotional.append(who | what | {"duration_s": f"{duration_s:.3f}"})
    table("emotion", emotional)
    read = []
    for corpus in ("librispeech", "speechocean762"):
        for number, split in enumerate(("train", "train", "dev")):
            path = sound(f"clean/{corpus}/{number}.wav", 2.2, random.uniform(100, 230), 4.0)
            row = {"path": path, "corpus": corpus, "speaker": f"{corpus}-{number}", "split": split}
            read.append(row | {"duration_s": "2.200"})
    table("clean", read)
    noises = [
        {"path": write(f"noise/{kind}-{split}.wav", _noise(kind, random)), "kind": kind, "split": split}
        for kind in ("rain", "nonspeech", "babble")
        for split in ("train", "dev")
    ]
    table("noise", noises)
    (folder / "rir").mkdir(exist_ok=True)
    soundfile.write(folder / "rir" / "room.flac", 0.5 * np.exp(-np.arange(1600) / 200), SAMPLE_RATE_HZ)
    table("spoof", [row | {"path": sound(row["path"], 1.8, 150, 4.0)} for row in _shown()])
    return folder


def _said(corpus: str, number: int) -> Iterator[tuple[str, str]]:
    """Emotion and level of each clip of a speaker."""
    if corpus == "baved":
        yield from (("", str(k % 3)) for k in range(6))
    elif corpus == "ravdess" and number == 0:  # enough of two moods that moods can be fitted
        for emotion in ("neutral", "angry"):
            yield from ((emotion, ("normal", "strong")[k % 2] if emotion != "neutral" else "normal") for k in range(8))
        yield from (("happy", "normal"), ("sad", "strong"))
    else:
        for emotion in MOODS:
            yield from ((emotion, level if corpus == "ravdess" else "") for level in ("normal", "strong"))


def _noise(kind: str, random: np.random.Generator) -> NDArray[np.float32]:
    noise = random.standard_normal(3 * SAMPLE_RATE_HZ)
    if kind == "rain":
        noise = np.convolve(noise, np.ones(8) / 8, "same")
    if kind == "babble":
        noise = sum(voice(3.0, random.uniform(100, 250), 4.0, random) for _ in range(5))
    return (0.05 * noise / np.std(noise)).astype(np.float32)


def _shown() -> Iterator[dict[str, str]]:
    """Rows of the manifest of demonstration pages."""
    for site, systems in SITES.items():
        for system, count in systems:
            for k in range(count):
                yield {
                    "path": f"spoof/{site}/{system}/{site}_{system}-{'abcdef'[k]}_{k}.wav",
                    "source": site,
                    "system": system,
                    "bona_fide": str(int(system == "human")),
                    "emotion": "",
                    "duration_s": "1.800",
                }
