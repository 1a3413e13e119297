"""Windows of all clips in all views, side by side, and how they are drawn in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo_models.systems.gem_large.clips import SpoofClip
from rtemo_models.systems.gem_large.features import VALUES, Table
from rtemo_models.systems.gem_large.tables import Heard

EACH = 4
"""Genuine and synthetic windows of a source that stand together in a batch."""
CROPS = ((0, 6), (0, 4))
"""Stretches of a window that are heard, from block to block: all of it, and its first two seconds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of some sources, `EACH` genuine and then `EACH` synthetic ones of every source.

    Attributes:
        rows: int64 [sources · 2 · EACH] of windows.
        crop: int64 [sources · 2 · EACH], which of `CROPS`.
        is_there: bool [sources · 2 · EACH]; a source of one class has no windows of the other.
    """

    rows: NDArray[np.int64]
    crop: NDArray[np.int64]
    is_there: NDArray[np.bool_]


def pooled(blocks: NDArray[np.float32], frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Statistics over windows from those of their blocks.

    Args:
        blocks: float32 [n, blocks, layers, 3, width], the three statistics of each.
        frames: float32 [n, blocks], how many frames each has.

    Returns:
        float32 [n, layers, 3, width].
    """
    share = frames / np.maximum(frames.sum(1, keepdims=True), 1)
    mean = np.einsum("nb,nblw->nlw", share, blocks[:, :, :, 0])
    square = np.einsum("nb,nblw->nlw", share, blocks[:, :, :, 0] ** 2 + blocks[:, :, :, 1] ** 2)
    change = np.einsum("nb,nblw->nlw", share, blocks[:, :, :, 2] ** 2)
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 1e-6)), np.sqrt(np.maximum(change, 1e-6))], 2)


class Windows:
    """All windows.

    Args:
        sets: Of clips, with their tables.

    Attributes:
        clips: All clips of all sets, one after the other.
        clip: int64 [n], whose window it is.
        view: str [n].
        logits: float32 [n, 8] of the emotions.
        values: float16 [n, crops, values].
    """

    def __init__(self, sets: Mapping[str, Heard]) -> None:
        self.clips: list[SpoofClip] = []
        values, said, clip, view = [], [], [], []
        for heard in sets.values():
            for name, table in heard.views.items():
                values.append(_crops(table))
                said.append(table.said)
                clip.append(table.clip + len(self.clips))
                view += [name] * len(table.clip)
            self.clips += heard.clips
        self.values = np.concatenate(values)
        self.logits = np.concatenate(said)[:, :8]
        self.clip = np.concatenate(clip)
        self.view = np.array(view)


def _crops(table: Table) -> NDArray[np.float16]:
    """Values of the crops of all windows of a table, float16 [n, crops, values]; kept beside it."""
    kept = table.folder / "crops.npy"
    if kept.exists():
        return np.asarray(np.load(kept, mmap_mode="r"))
    made = np.empty((len(table.clip), len(CROPS), VALUES), np.float16)
    for at in range(0, len(made), 128):
        part = table.blocks[at : at + 128].astype(np.float32)
        frames = table.frames[at : at + 128].astype(np.float32)
        place = np.arange(frames.shape[1])
        for k, (begin, end) in enumerate(CROPS):
            made[at : at + 128, k] = pooled(part, frames * ((place >= begin) & (place < end))).reshape(len(part), -1)
    np.save(kept, made)
    return made


class Drawer:
    """Draws batches in which every source has as many genuine windows as synthetic ones.

    So no source tells the classes: neither a page nor a corpus, whose genuine clips stand beside their copies. Sources
    are drawn by the root of their size, systems and speakers of a source alike. A source of one class is drawn less.

    Args:
        windows: All of them.
        clips: Which clips may be drawn.
        plain: Share of windows that are heard as they are.
        alone: How often to draw a source of one class, for once that another of its size is drawn.
        corpora: How often to draw a corpus, likewise.
        said: How often to draw what a synthesiser at hand has said, likewise.
        random: Where it is drawn from.
    """

    def __init__(
        self,
        windows: Windows,
        clips: Sequence[int],
        plain: float,
        alone: float,
        corpora: float,
        said: float,
        random: np.random.Generator,
    ) -> None:
        self._random, self._plain = random, plain
        self._of_clip: dict[int, tuple[list[int], list[int]]] = {k: ([], []) for k in clips}
        for row, (clip, view) in enumerate(zip(windows.clip.tolist(), windows.view.tolist(), strict=True)):
            if clip in self._of_clip and view != "telephone":
                self._of_clip[clip][view != "plain"].append(row)
        self._of: dict[str, tuple[dict[str, list[int]], dict[str, list[int]]]] = {}
        share: dict[str, float] = {}
        for k in clips:
            clip_ = windows.clips[k]
            groups = self._of.setdefault(clip_.source, ({}, {}))[int(clip_.is_synthetic)]
            groups.setdefault(clip_.system or clip_.speaker, []).append(k)
            share[clip_.source] = share.get(clip_.source, 0.0) + (1.0 if clip_.is_page or clip_.is_said else corpora**2)
        self._sources = sorted(share)
        weight = np.sqrt([share[s] for s in self._sources])
        is_said = {windows.clips[k].source for k in clips if windows.clips[k].is_said}
        weight *= [said if s in is_said else 1.0 if all(self._of[s]) else alone for s in self._sources]
        self._share = weight / weight.sum()

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
        crop = np.where(random.random(len(rows)) < 0.5, 0, random.integers(len(CROPS), size=len(rows)))
        return Batch(np.array(rows), crop, np.array(is_there))
