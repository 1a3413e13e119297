"""Selection: the streams whose speakers may be analysed, as the block that plugins about persons see."""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block
from rtemo.engine.stage import MarkTable


class Selection:
    """Keeps streams of which only the timing may be known out of the block that plugins about persons work on.

    Such a plugin has rows of its own, 0..count-1, one for each stream it may hear; the others it never meets: not their
    samples, not their facts, and no state is kept of them. While nobody is left out, which is the usual case, the block
    itself is what everybody works on, and this costs nothing.

    Args:
        capacity: Most streams.
        hop_samples: Length of a hop.
        keeps_heard: Whether the audio as it entered the chain is kept.

    Attributes:
        total: Streams in the block.
        count: Streams that are selected.
        rows: int64 [capacity], for each selected row, its row in the block.
    """

    def __init__(self, capacity: int, hop_samples: int, keeps_heard: bool) -> None:
        self.total = self.count = 0
        self.rows: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._capacity = capacity
        self._hop_samples = hop_samples
        self._keeps_heard = keeps_heard
        self._is_all = True
        self._part: Block | None = None
        self._marks: dict[str, NDArray[np.generic]] = {}
        self._heard: NDArray[np.float32] | None = None

    @property
    def is_all(self) -> bool:
        """Whether every stream is selected, in the order of the block."""
        return self._is_all

    def admit(self, row: int, is_person: bool) -> int | None:
        """Take in the stream at `row`, the first free one; tells its selected row, None when it is left out."""
        self.total += 1
        place = None
        if is_person:
            place = self.count
            self.rows[place] = row
            self.count += 1
        self._changed()
        return place

    def retire(self, row: int, last: int) -> tuple[int, int] | None:
        """Forget the stream at `row`, whose place `last` takes.

        Returns:
            The same in selected rows: which goes, and which takes its place; None when it was left out.
        """
        selected = self.rows[: self.count]
        found = np.flatnonzero(selected == row)
        moved = None
        if found.size:
            place, last_place = int(found[0]), self.count - 1
            selected[place] = selected[last_place]
            self.count -= 1
            moved = (place, last_place)
        selected = self.rows[: self.count]
        selected[selected == last] = row
        self.total -= 1
        self._changed()
        return moved

    def place_of(self, row: int) -> int | None:
        """Find the selected row of a row of the block; None when it is left out."""
        if self._is_all:
            return row
        found = np.flatnonzero(self.rows[: self.count] == row)
        return int(found[0]) if found.size else None

    def renew(self) -> None:
        """Leave all buffers to a plugin that does not return, and make new ones."""
        self._part = None

    def gather(self, block: Block, tables: Sequence[MarkTable]) -> Block:
        """Give the block of the selected streams, with the marks of `tables`; a copy, valid until the next call."""
        part = self._part
        if part is None:
            part = self._part = self._make(block)
        rows = self.rows[: self.count]
        for source, target in (
            (block.samples, part.samples),
            (block.rows, part.rows),
            (block.start_sample, part.start_sample),
            (block.flags, part.flags),
            (block.is_doubted, part.is_doubted),
        ):
            np.take(source, rows, axis=0, out=target, mode="clip")
        for table in tables:
            name = table.mark.name
            if name not in self._marks:
                self._marks[name] = np.zeros((self.count, *table.mark.shape), table.values.dtype)
            np.take(table.values, rows, axis=0, out=self._marks[name], mode="clip")
        if self._heard is not None:
            np.take(block.heard, rows, axis=0, out=self._heard, mode="clip")
        part.is_audio_wanted = block.is_audio_wanted[rows]
        part.tick = block.tick
        part.thrift = block.thrift
        part.events = block.events
        return part

    def scatter(self, part: Block, block: Block, tables: Sequence[MarkTable], edits_audio: bool) -> None:
        """Put back what a plugin has made of the selected streams: its marks, its doubts, and its audio."""
        rows = self.rows[: self.count]
        if edits_audio:
            block.samples[rows] = part.samples
        block.is_doubted[rows] = part.is_doubted
        for table in tables:
            table.values[rows] = self._marks[table.mark.name]

    def _changed(self) -> None:
        count = self.count
        self._is_all = count == self.total and bool((self.rows[:count] == np.arange(count)).all())
        self._part = None

    def _make(self, block: Block) -> Block:
        count = self.count
        self._marks = {}
        self._heard = np.zeros((count, self._hop_samples), np.float32) if self._keeps_heard else None
        return Block(
            block.tick,
            np.zeros((count, self._hop_samples), np.float32),
            np.zeros(count, np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, np.uint8),
            MappingProxyType(self._marks),
            self._heard,
            np.zeros(count, np.bool_),
            [block.streams[row] for row in self.rows[:count].tolist()] if block.streams else (),
        )
