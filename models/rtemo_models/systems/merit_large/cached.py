"""The windows of all copies, encoded once and cached, and tables of them to train and to score with."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit_large.data import Sounds
from rtemo_models.systems.merit_large.features import Encode, WindowCache, export_encoder, open_encoder, open_windows
from rtemo_models.systems.merit_large.train import Part, Table
from rtemo_models.systems.merit_large.windows import (
    CLEAN,
    Item,
    Window,
    file_of,
    heard_copy,
    items_of,
    read_windows,
    stretch_of,
)


@dataclass(frozen=True, slots=True)
class Heard:
    """Windows of one copy, and what is known of them."""

    items: list[Item]
    cache: WindowCache


@dataclass(frozen=True, slots=True)
class Cached:
    """Windows of all copies; the undegraded one first."""

    clips: list[Clip]
    copies: list[Heard]

    def part(self, copy: Heard, rows: list[int]) -> Part:
        """Some windows of a copy for a table."""
        is_last = np.array([item.is_last for item in copy.items], bool)
        return Part(copy.cache, [self.clips[item.clip] for item in copy.items], is_last, rows)

    def rows(self, copy: Heard, split: str) -> list[int]:
        """Windows of the clips of a split."""
        return [k for k, item in enumerate(copy.items) if self.clips[item.clip].split == split]

    def training(self, layers: tuple[int, ...]) -> Table:
        """All training windows in all copies."""
        return Table([self.part(copy, self.rows(copy, "train")) for copy in self.copies], layers)

    def everybody(self, layers: tuple[int, ...]) -> Table:
        """All windows of all speakers; of those who are not trained on the undegraded copy alone."""
        return Table([self.part(copy, list(range(len(copy.items)))) for copy in self.copies], layers)

    def whole(self, layers: tuple[int, ...], split: str) -> Table:
        """The last window of every clip with an emotion: what is said at its end."""
        clean = self.copies[0]
        rows = [k for k in self.rows(clean, split) if clean.items[k].is_last]
        return Table([self.part(clean, [k for k in rows if self.clips[clean.items[k].clip].emotion])], layers)


def open_cached(
    sounds: Sounds, work: Path, variables: dict[str, NDArray[Any]], copies: int, keep: tuple[int, ...] = ()
) -> Cached:
    """Encode the windows that have not been encoded yet; `keep` as for `open_windows`.

    Raises:
        FileNotFoundError: Nobody has written where the engine cuts them.
    """
    encode = open_encoder(export_encoder(work / "encoder.onnx", variables))
    found = read_windows(file_of(work, CLEAN))
    names = (CLEAN, *map(str, range(1, copies + 1)))
    return Cached(sounds.clips, [open_copy(sounds, work, encode, found, copy, keep) for copy in names])


def open_copy(
    sounds: Sounds, work: Path, encode: Encode, found: dict[str, list[Window]], copy: str, keep: tuple[int, ...] = ()
) -> Heard:
    """Windows of one copy, encoded if they have not been; `found` is where the engine cuts the clean clips."""
    items = items_of(sounds, copy, found)

    @lru_cache(maxsize=1)
    def samples(clip: int) -> NDArray[np.float32]:
        return heard_copy(sounds, copy, clip)

    def cut(k: int) -> NDArray[np.float32]:
        clip = items[k].clip
        return stretch_of(items[k], samples(clip), len(sounds.audio.samples(clip)))

    return Heard(items, open_windows(work / f"values-{copy}", encode, len(items), cut, keep=keep))
