"""Clips whose text is known, as they are, over the telephone, and in noise."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.vad.corpus import RATE_HZ, read_audio, telephone

CORPORA = ("crema", "nemo", "ravdess")
"""Corpora of whole sentences: 12 of CREMA-D, 90 Polish ones of nEMO, two of RAVDESS, with emotion in all of them."""
CONDITIONS = ("clean", "telephone", "noise_10db")
_LEAD_S, _TRAIL_S = 0.5, 1.5


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence.

    Attributes:
        name: Path in the corpus.
        samples: float32 [k] at 16 kHz, with silence around, as a turn of a call has it.
        speech_s: Length of the clip itself.
    """

    name: str
    corpus: str
    language: str
    speaker: str
    text: str
    samples: NDArray[np.float32]
    speech_s: float


def read_clips(data: Path, split: str, per_corpus: int, seed: int) -> list[Clip]:
    """Draw clips of every corpus, the same for the same seed."""
    with (data / "emotion" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["text"]]
    clips = []
    for corpus in CORPORA:
        of = [row for row in rows if row["corpus"] == corpus]
        for index in np.random.default_rng(seed).permutation(len(of))[:per_corpus]:
            row = of[index]
            sound = read_audio(data / row["path"]).astype(np.float32)
            samples = np.pad(sound, (round(_LEAD_S * RATE_HZ), round(_TRAIL_S * RATE_HZ)))
            names = (row["path"], corpus, row["language"], row["speaker"], row["text"])
            clips.append(Clip(*names, samples, len(sound) / RATE_HZ))
    return clips


def read_noises(data: Path, split: str) -> list[NDArray[np.float32]]:
    """Noises of a split."""
    with (data / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [
            read_audio(data / row["path"]).astype(np.float32) for row in csv.DictReader(file) if row["split"] == split
        ]


def under(
    condition: str, samples: NDArray[np.float32], number: int, noises: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A clip under a condition; the same number gives the same noise."""
    if condition == "telephone":
        return telephone(samples * (0.05 / _rms(samples)))
    if condition.startswith("noise_"):
        noise = np.resize(noises[number % len(noises)], len(samples))
        gain = _rms(samples) / (_rms(noise) + 1e-9) / 10 ** (float(condition[6:-2]) / 20)
        return (samples + gain * noise).astype(np.float32)
    return samples


def _rms(samples: NDArray[np.float32]) -> float:
    """Level of what is loud enough to be speech."""
    power = samples.astype(np.float64) ** 2
    loud = power[power > 1e-4 * power.max()]
    return float(np.sqrt(loud.mean())) if len(loud) else 1.0
