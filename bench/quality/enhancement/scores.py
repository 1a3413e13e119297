"""Scores of systems on mixtures, kept so that no pair is measured twice, and what they say together."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.enhancement.metrics import score
from bench.quality.enhancement.mixtures import Mixture
from bench.quality.enhancement.systems import System

DRAWS = 2000
_EDITION = 1  # of the metrics: scores of another one are measured anew


class ScoreFile:
    """Scores of one system in one file, a line per mixture; a run that was cut short goes on where it stopped.

    Args:
        folder: Where to; None keeps nothing.
        system: Only with a fingerprint is anything kept.
    """

    def __init__(self, folder: Path | None, system: System) -> None:
        self._system = system
        self._known: dict[str, dict[str, float]] = {}
        self._path: Path | None = None
        if folder is not None and system.fingerprint:
            folder.mkdir(parents=True, exist_ok=True)
            name = "".join(c if c.isalnum() else "-" for c in f"{system.name}-{system.fingerprint}")
            self._path = folder / f"{name}-{_EDITION}.jsonl"
            if self._path.exists():
                for line in self._path.read_text(encoding="utf-8").splitlines():
                    try:
                        entry = json.loads(line)
                    except json.JSONDecodeError:
                        continue  # the line at which a run was cut off
                    self._known.setdefault(entry.pop("digest"), {}).update(entry)

    def measure(self, mixture: Mixture, metrics: Sequence[str]) -> dict[str, float]:
        """Give scores of a mixture, measuring those that are not known."""
        known = self._known.setdefault(mixture.digest, {})
        missing = [name for name in metrics if name not in known]
        if missing:
            found = score(mixture.clean, self._system.enhance(mixture.noisy), missing)
            known |= found
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write("\n" * self._is_torn() + json.dumps({"digest": mixture.digest, **found}) + "\n")
        return known

    def _is_torn(self) -> bool:
        assert self._path is not None
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"


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
    low, high = np.percentile(known[picks].mean(1), [2.5, 97.5])
    return float(known.mean()), float(low), float(high)
