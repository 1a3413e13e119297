"""Clips that are compared, and what is kept of each: frames of the large listener and the style of the voice."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.corpora.clip import Clip, read_manifest
from rtemo_models.systems.sapa.settings import CLASSES, Settings

FRAMES, STYLES = "sapa/frames.npz", "sapa/styles.npz"


class Heard(NamedTuple):
    """What the steps `features` and `styles` keep.

    Attributes:
        frames: float16 [frames, values], 50 a second, the clips one after the other.
        offsets: int64 [clips + 1].
        styles: float32 [clips, 256], speaker embeddings of length one.
    """

    frames: NDArray[np.float16]
    offsets: NDArray[np.int64]
    styles: NDArray[np.float32]

    def of(self, clip: int) -> NDArray[np.float32]:
        """Frames of a clip."""
        return self.frames[self.offsets[clip] : self.offsets[clip + 1]].astype(np.float32)


def chosen(data: Path, settings: Settings) -> list[Clip]:
    """Clips of the classes, so many of each corpus at most, classes and speakers as evenly as can be."""
    corpora = [name for names in settings.languages.values() for name in names]
    found: list[Clip] = []
    for corpus in corpora:
        of = [
            clip
            for clip in read_manifest(data / "emotion" / "manifest.csv")
            if clip.corpus == corpus and clip.emotion in CLASSES
        ]
        cells: dict[tuple[str, str], list[Clip]] = {}
        for clip in sorted(of, key=lambda clip: hashlib.sha256(clip.path.encode()).digest()):
            cells.setdefault((clip.emotion, clip.speaker), []).append(clip)
        ranked = [(rank, cell, clip) for cell, clips in cells.items() for rank, clip in enumerate(clips)]
        ranked.sort(key=lambda entry: (entry[0], hashlib.sha256(repr(entry[1]).encode()).digest()))
        found += sorted((clip for *_, clip in ranked[: settings.most_clips]), key=lambda clip: clip.path)
    return found


def read_heard(work: Path) -> tuple[Heard, list[str]]:
    """What the steps `features` and `styles` wrote, and the paths of the clips."""
    with np.load(work / FRAMES) as kept:
        frames, offsets, paths = kept["frames"], kept["offsets"], kept["paths"].tolist()
    with np.load(work / STYLES) as kept:
        known = dict(zip(kept["paths"].tolist(), kept["styles"], strict=True))
    return Heard(frames, offsets, np.stack([known[path] for path in paths])), paths


def language_of(clips: Sequence[Clip], settings: Settings) -> NDArray[np.str_]:
    """The language of every clip, by its corpus."""
    by = {corpus: language for language, corpora in settings.languages.items() for corpus in corpora}
    return np.array([by[clip.corpus] for clip in clips])
