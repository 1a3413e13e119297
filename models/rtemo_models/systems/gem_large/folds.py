"""Networks of every fold, each heard on the pages that it never saw, whose systems it never heard elsewhere either."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo_models.systems.gem_large.clips import SpoofClip, page_folds, trained_on
from rtemo_models.systems.gem_large.net import GemLarge
from rtemo_models.systems.gem_large.train import Material, Settings, hear, train

LEAST_OF_CLASS = 4
"""Genuine and synthetic clips that a page must have to be scored by itself."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What networks say of the clips of all pages, each network of those that it was not trained on.

    Attributes:
        clips: int64 [n], numbers of the clips.
        fold: int64 [n].
        said: float64 [n, 4], log-odds of every expert, mean over the windows of a clip.
        mixed: float64 [n], log-odds mixed by the gate of every window.
        gate: float64 [n, 4], mean over the windows.
    """

    clips: NDArray[np.int64]
    fold: NDArray[np.int64]
    said: NDArray[np.float64]
    mixed: NDArray[np.float64]
    gate: NDArray[np.float64]


def fold_of_clips(clips: Sequence[SpoofClip]) -> NDArray[np.int64]:
    """Fold of every clip as it is of a page; -1 for corpora and copies."""
    folds = page_folds(clips)
    return np.array([folds[c.source] if c.is_page and not c.way else -1 for c in clips])


def allowed_of(clips: Sequence[SpoofClip], fold: int) -> list[int]:
    """Clips that the networks of a fold may be trained on; all if it is -1."""
    unseen = {page for page, number in page_folds(clips).items() if number == fold}
    return trained_on(clips, unseen)


def score_clips(nets: Sequence[GemLarge], material: Material, clips: NDArray[np.int64], view: str) -> Scored:
    """What networks say of some clips in a view."""
    windows = material.windows
    rows = np.flatnonzero((windows.view == view) & np.isin(windows.clip, clips))
    said, gate = hear(nets, material, rows)
    mixed = (said * gate).sum(1)
    numbers, place = np.unique(windows.clip[rows], return_inverse=True)
    count = np.bincount(place, minlength=len(numbers)).astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros((len(numbers), *values.shape[1:]))
        np.add.at(total, place, values)
        return total / count.reshape(-1, *[1] * (values.ndim - 1))

    return Scored(numbers, np.zeros(len(numbers), np.int64), mean(said), mean(mixed), mean(gate))


def score_fold(material: Material, settings: Settings, fold: int, views: Sequence[str]) -> dict[str, Scored]:
    """Train the networks of a fold and score what they did not see, in every view."""
    clips = material.windows.clips
    allowed = allowed_of(clips, fold)
    nets = [train(material, allowed, settings, seed) for seed in range(settings.seeds)]
    unseen = np.flatnonzero(fold_of_clips(clips) == fold)
    return {view: score_clips(nets, material, unseen, view) for view in views}


def joined(parts: Sequence[Scored]) -> Scored:
    """What the networks of several folds say, folds in order."""
    fold = np.repeat(np.arange(len(parts)), [len(p.clips) for p in parts])
    names = ("clips", "said", "mixed", "gate")
    return Scored(fold=fold, **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def equal_error(score: NDArray[np.float64], is_synthetic: NDArray[np.bool_]) -> float:
    """Equal error rate: where the share of genuine clips above a threshold meets that of synthetic ones below it."""
    genuine, synthetic = np.sort(score[~is_synthetic]), np.sort(score[is_synthetic])
    at = np.unique(score)
    false_alarm = 1 - np.searchsorted(genuine, at, "left") / len(genuine)
    miss = np.searchsorted(synthetic, at, "left") / len(synthetic)
    best = int(np.argmin(np.abs(false_alarm - miss)))
    return float(false_alarm[best] + miss[best]) / 2


def same_page(
    clips: Sequence[SpoofClip], scored: Scored, score: NDArray[np.float64], fold: int | None = None
) -> dict[str, float]:
    """Equal error rate within every page that has enough of both classes; of one fold, or of all."""
    source = np.array([clips[k].source for k in scored.clips.tolist()])
    is_synthetic = np.array([clips[k].is_synthetic for k in scored.clips.tolist()])
    found = {}
    for page in np.unique(source if fold is None else source[scored.fold == fold]).tolist():
        rows = source == page
        if min(is_synthetic[rows].sum(), (~is_synthetic[rows]).sum()) >= LEAST_OF_CLASS:
            found[page] = equal_error(score[rows], is_synthetic[rows])
    return found
