"""Windows of all clips in all views, side by side, and how they are drawn in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.systems.gem_large.clips import SpoofClip
from rtemo_models.systems.gem_large.features import WINDOW_BLOCKS
from rtemo_models.systems.gem_large.net import STATISTICS, NetConfig
from rtemo_models.systems.gem_large.tables import Heard

EACH = 4
"""Genuine and synthetic windows of a source that stand together in a batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of some sources, `EACH` genuine and then `EACH` synthetic ones of every source.

    Attributes:
        rows: int64 [sources · 2 · EACH] of windows.
        first: int64, first block.
        count: int64, blocks.
        is_there: bool [sources · 2 · EACH]; a source of one class has no windows of the other.
    """

    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    is_there: NDArray[np.bool_]


class Windows:
    """All windows.

    Args:
        sets: Of clips, with their tables.
        layers: Layers of the encoder to keep, counted from 1.

    Attributes:
        clips: All clips of all sets, one after the other.
        clip: int64 [n], whose window it is.
        view: str [n].
        logits: float32 [n, 8] of the emotions.
        frames: int16 [n, 6].
    """

    def __init__(self, sets: Mapping[str, Heard], layers: tuple[int, ...]) -> None:
        self.layers = layers
        self.clips: list[SpoofClip] = []
        blocks, frames, said, clip, view = [], [], [], [], []
        for heard in sets.values():
            for name, table in heard.views.items():
                blocks.append(np.asarray(table.blocks[:, :, [layer - 1 for layer in layers]]))
                frames.append(table.frames)
                said.append(table.said)
                clip.append(table.clip + len(self.clips))
                view += [name] * len(table.clip)
            self.clips += heard.clips
        self.blocks = np.concatenate(blocks)
        self.frames = np.concatenate(frames)
        self.logits = np.concatenate(said)[:, :8]
        self.clip = np.concatenate(clip)
        self.view = np.array(view)
        self.is_synthetic = np.array([c.is_synthetic for c in self.clips])

    def take(
        self, rows: NDArray[np.int64], config: NetConfig, first: NDArray[np.int64] | None = None,
        count: NDArray[np.int64] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Blocks [n, 6, layers, 3, width] of the config's layers, and their frames [n, 6], 0 outside of a stretch.

        Args:
            rows: Of windows.
            config: Whose layers.
            first: First block of every stretch; all blocks if not given.
            count: Blocks of every stretch.
        """
        chosen = [self.layers.index(layer) for layer in config.layers]
        blocks = self.blocks[rows] if chosen == list(range(len(self.layers))) else self.blocks[rows][:, :, chosen]
        frames = self.frames[rows].astype(np.float32)
        if first is not None and count is not None:
            place = np.arange(WINDOW_BLOCKS)[None]
            frames = frames * ((place >= first[:, None]) & (place < (first + count)[:, None]))
        return torch.from_numpy(blocks.astype(np.float32)), torch.from_numpy(frames.astype(np.float32))


class Drawer:
    """Draws batches in which every source has as many genuine windows as synthetic ones.

    So no source tells the classes: neither a page nor a corpus, whose genuine clips stand beside their copies. Sources
    are drawn by the root of their size, systems of a source alike. A source of one class is drawn less.

    Args:
        windows: All of them.
        clips: Which clips may be drawn.
        plain: Share of windows that are heard as they are.
        alone: How often to draw a source of one class, for once that another of its size is drawn.
        corpora: How often to draw a corpus, likewise.
        random: Where it is drawn from.
    """

    def __init__(
        self, windows: Windows, clips: Sequence[int], plain: float, alone: float, corpora: float,
        random: np.random.Generator,
    ) -> None:
        self._windows, self._random, self._plain = windows, random, plain
        drawn: dict[int, tuple[list[int], list[int]]] = {k: ([], []) for k in clips}
        for row, (clip, view) in enumerate(zip(windows.clip.tolist(), windows.view.tolist(), strict=True)):
            if clip in drawn and view != "telephone":
                drawn[clip][view != "plain"].append(row)
        self._of_clip = drawn
        self._of: dict[str, tuple[dict[str, list[int]], dict[str, list[int]]]] = {}
        size: dict[str, float] = {}
        for k in clips:
            clip = windows.clips[k]
            groups = self._of.setdefault(clip.source, ({}, {}))[int(clip.is_synthetic)]
            groups.setdefault(clip.system or clip.speaker, []).append(k)
            size[clip.source] = size.get(clip.source, 0.0) + 1.0
        self._sources = sorted(size)
        share = np.sqrt([size[s] for s in self._sources])
        for k, source in enumerate(self._sources):
            if not all(self._of[source]):
                share[k] *= alone
            if source not in {windows.clips[c].source for c in clips if windows.clips[c].is_page}:
                share[k] *= corpora
        self._share = share / share.sum()

    def draw(self, sources: int) -> Batch:
        """Draw a batch of so many sources."""
        random = self._random
        rows, is_there = [], []
        for source in random.choice(len(self._sources), sources, p=self._share).tolist():
            for groups in self._of[self._sources[source]]:
                names = list(groups)
                for _ in range(EACH):
                    is_there.append(bool(names))
                    if not names:
                        rows.append(0)
                        continue
                    clips = groups[names[random.integers(len(names))]]
                    plain, other = self._of_clip[clips[random.integers(len(clips))]]
                    chosen = plain if plain and (not other or random.random() < self._plain) else other
                    rows.append(chosen[random.integers(len(chosen))])
        taken = np.array(rows)
        filled = np.maximum((self._windows.frames[taken] > 0).sum(1), 1)
        count = np.where(random.random(len(taken)) < 0.5, filled, np.minimum(filled, random.integers(2, 7, len(taken))))
        first = (random.random(len(taken)) * (filled - count + 1)).astype(np.int64)
        return Batch(taken, first, count, np.array(is_there))


def statistics_count() -> int:
    """How many statistics every block has."""
    return len(STATISTICS)
