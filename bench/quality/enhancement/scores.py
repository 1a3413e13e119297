"""Scores of systems on mixtures, kept so that no pair is measured twice, and what they say together."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.enhancement.kept import Kept
from bench.quality.enhancement.metrics import score
from bench.quality.enhancement.mixtures import Mixture
from bench.quality.enhancement.systems import System
from rtemo.scoring.bootstrap import interval

DRAWS = 2000
_EDITION = 1  # of the metrics: scores of another one are measured anew


class ScoreFile:
    """Scores of one system, mixture by mixture.

    Args:
        folder: Where to; None keeps nothing.
        system: Only with a fingerprint is anything kept.
    """

    def __init__(self, folder: Path | None, system: System) -> None:
        self._system = system
        self._kept = Kept(folder if system.fingerprint else None, f"{system.name}-{system.fingerprint}-{_EDITION}")

    def measure(self, mixture: Mixture, metrics: Sequence[str]) -> dict[str, float]:
        """Give scores of a mixture, measuring those that are not known."""
        known = self._kept.get(mixture.digest)
        missing = [name for name in metrics if name not in known]
        if missing:
            self._kept.add(mixture.digest, score(mixture.clean, self._system.enhance(mixture.noisy), missing))
        return self._kept.get(mixture.digest)


class Table:
    """Scores of one system over a set, float64 [clips, snrs, metrics]; NaN where a metric failed."""

    def __init__(self, mixtures: Sequence[Mixture], scores: Sequence[dict[str, float]], metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.snrs_db = sorted({m.snr_db for m in mixtures})
        self.clips = sorted({m.clip for m in mixtures})
        self.values = np.full((len(self.clips), len(self.snrs_db), len(self.metrics)), math.nan)
        self.noise, self.corpus = [""] * len(self.clips), [""] * len(self.clips)
        for mixture, entry in zip(mixtures, scores, strict=True):
            clip = self.clips.index(mixture.clip)
            self.values[clip, self.snrs_db.index(mixture.snr_db)] = [entry[name] for name in self.metrics]
            self.noise[clip], self.corpus[clip] = mixture.noise, mixture.corpus

    @property
    def failures(self) -> dict[str, int]:
        """How often each metric could not be computed."""
        return {name: int(np.isnan(self.values[..., k]).sum()) for k, name in enumerate(self.metrics)}

    def by_clip(self, metric: str, snr_db: float | None = None) -> NDArray[np.float64]:
        """Give a metric per clip, at one SNR or as the mean over all; NaN where nothing is known."""
        values = self.values[..., self.metrics.index(metric)]
        if snr_db is not None:
            return np.asarray(values[:, self.snrs_db.index(snr_db)])
        count = (~np.isnan(values)).sum(1)
        return np.where(count > 0, np.nansum(values, 1) / np.maximum(count, 1), math.nan)


def mean_and_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over clips with its 95 % bootstrap interval; clips are drawn, NaN left out."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan, math.nan
    picks = np.random.default_rng(0).integers(known.size, size=(DRAWS, known.size))
    return float(known.mean()), *interval(known[picks].mean(1))
