"""Noisy speech with its clean twin, read from files and mixed when asked: for corpora too large to cache."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rtemo.api import EMOTIONS
from rtemo.api.errors import AudioInputError
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.degrade import Degrade
from rtemo_models.kit.corpora.clip import Clip

LEAST_SAMPLES = 800
"""Shorter clips are lengthened with silence: an encoder needs 25 ms, statistics some frames."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One clip, as it is heard and as it was said."""

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    target: NDArray[np.float32]
    """float32 [classes]: a distribution, or all 0 without a label."""


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Clips padded to the longest."""

    noisy: Tensor
    """float32 [batch, samples]."""
    clean: Tensor
    """float32 [batch, samples]."""
    lengths: Tensor
    """int64 [batch]."""
    target: Tensor
    """float32 [batch, classes]."""

    def to(self, device: torch.device) -> "PairBatch":
        """The same on another device."""
        parts = (self.noisy, self.clean, self.lengths, self.target)
        return PairBatch(*(part.to(device, non_blocking=True) for part in parts))


class NoisyPairs(Dataset[Pair]):
    """Pairs of some clips; the same epoch, index and seed always give the same pair.

    Args:
        clips: Clips, their paths relative to `data_dir` or absolute.
        noises: Paths of noise recordings, of the same split as the clips.
        data_dir: Folder that paths are relative to.
        classes: Names of emotions; clips of others have no label.
        snr_db: Signal-to-noise ratios, drawn evenly; against the clip's mean power, as in the published mixer.
        longest_s: Clips are cut to this.
        degrade: Effect → share of clips, applied to the clean side too, which keeps its room and line; see `Degrade`.
        soft: Learn from the listeners' votes, where there are some, instead of the majority.
        seed: Seed.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        noises: Sequence[str],
        data_dir: Path,
        classes: Sequence[str],
        snr_db: Sequence[float],
        longest_s: float = 12.0,
        degrade: Mapping[str, float] | None = None,
        soft: bool = False,
        seed: int = 7,
    ) -> None:
        if not noises:
            raise AudioInputError("no noise recording for this split", "enter some in noise/manifest.csv")
        self.clips, self.noises, self.data_dir = clips, noises, data_dir
        self.classes, self.snr_db, self.soft, self.seed = tuple(classes), tuple(snr_db), soft, seed
        self.longest_samples = int(longest_s * SAMPLE_RATE_HZ)
        self.degrade = Degrade(degrade or {})
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> Pair:
        """Clip `i` of the present epoch."""
        random = np.random.default_rng((self.seed, self.epoch, i))
        clean = read_samples(self.data_dir / self.clips[i].path, self.longest_samples)
        clean = self.degrade(clean, random)
        clean = np.pad(clean, (0, max(0, LEAST_SAMPLES - len(clean))))
        noise = read_samples(self.data_dir / self.noises[random.integers(len(self.noises))])
        noisy = mixed(clean, noise, float(random.choice(self.snr_db)), int(random.integers(len(noise))))
        return Pair(noisy, clean, self.target(self.clips[i]))

    def target(self, clip: Clip) -> NDArray[np.float32]:
        """The clip's label as a distribution over the classes; votes count when asked for."""
        if self.soft and clip.votes:
            votes = np.array([clip.votes[EMOTIONS.index(name)] for name in self.classes], np.float32)
            if votes.sum() > 0:
                return votes / votes.sum()
        return np.array([name == clip.emotion for name in self.classes], np.float32)


def class_weights(clips: Sequence[Clip], classes: Sequence[str]) -> Tensor:
    """Weight of each class, N / (C · n_c), float32 [classes]; a class without clips weighs 0."""
    counts = torch.tensor([sum(c.emotion == name for c in clips) for name in classes], dtype=torch.float32)
    return torch.where(counts > 0, counts.sum() / (len(classes) * counts.clamp_min(1)), 0.0)


def mixed(clean: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float, start: int) -> NDArray[np.float32]:
    """Clean speech plus noise, rolled by `start` and tiled to its length, at a ratio of mean powers."""
    rolled = np.resize(np.roll(noise, -start), len(clean)).astype(np.float64)
    powers = float(np.mean(clean.astype(np.float64) ** 2)), float(np.mean(rolled**2))
    gain = np.sqrt(powers[0] / (powers[1] * 10 ** (snr_db / 10))) if min(powers) > 0 else 0.0
    return (clean + gain * rolled).astype(np.float32)


def read_samples(path: Path, longest: int = -1) -> NDArray[np.float32]:
    """The first `longest` samples of a file at 16 kHz, channels averaged.

    Raises:
        AudioInputError: If it cannot be read, is empty or has another rate.
    """
    import soundfile

    try:
        samples, rate_hz = soundfile.read(path, frames=longest, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AudioInputError(f"{path} cannot be read: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or not len(samples):
        found = f"{rate_hz} Hz" if len(samples) else "no samples"
        raise AudioInputError(f"{path} has {found}; expected {SAMPLE_RATE_HZ} Hz", "resample it first")
    return np.ascontiguousarray(samples.mean(axis=1))


def read_noises(data_dir: Path, split: str) -> list[str]:
    """Paths of the noises of a split, from `noise/manifest.csv`."""
    with (data_dir / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [r["path"] for r in csv.DictReader(file) if r["split"] == split]


def collated(pairs: Sequence[Pair]) -> PairBatch:
    """Pairs as one batch, padded with zeros."""
    lengths = [len(p.noisy) for p in pairs]
    longest = max(lengths)

    def padded(parts: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack([np.pad(p, (0, longest - len(p))) for p in parts]))

    return PairBatch(
        padded([p.noisy for p in pairs]),
        padded([p.clean for p in pairs]),
        torch.tensor(lengths),
        torch.from_numpy(np.stack([p.target for p in pairs])),
    )
