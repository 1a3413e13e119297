"""Spans: since when each stream speaks, told by the driver and asked by the lane."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable, StreamFacts

_KEPT = 8
"""Stretches of one stream that a window may still ask for."""


class Span(NamedTuple):
    """A stretch of speech."""

    start_sample: int
    is_over: bool


class Spans:
    """Keeps the last stretches of speech of every stream.

    What is answered about a position does not depend on what was said of later ones, so it does not matter when a lane
    comes to ask.

    Args:
        capacity: Most streams.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._table = table = StateTable(capacity)
        self._was_speech = table.add("was_speech", (), np.bool_)
        self.reset = table.reset
        self._ids: list[int] = []
        self._rows: dict[int, int] = {}
        self._is_stale = True
        self._late_samples = 0
        self._found: dict[int, list[list[int]]] = {}

    def hear(
        self, is_speech: NDArray[np.bool_], start_sample: NDArray[np.int64], streams: Sequence[StreamFacts]
    ) -> None:
        """Take one hop of every stream: bool [n] and int64 [n]. Driver thread."""
        n = len(is_speech)
        if len(streams) != n:  # the engine warms up
            return
        if self._is_stale:
            self._learn(streams, start_sample)
        was_speech = self._was_speech[:n]
        changed = np.flatnonzero(is_speech != was_speech)
        if not len(changed):
            return
        for row in changed.tolist():
            spans = self._found.setdefault(self._ids[row], [])
            if is_speech[row]:
                spans.append([int(start_sample[row]), -1])
                del spans[:-_KEPT]
            elif spans:
                spans[-1][1] = int(start_sample[row])
        was_speech[changed] = is_speech[changed]

    def at(self, stream: StreamFacts, sample: int) -> Span | None:
        """Give the last stretch of a stream that began before a position; None before the first. Any thread.

        Behind plugins that delay the audio, what was said so far is about audio that is as much older.
        """
        known = sample - self._late_samples
        for start, end in reversed(tuple(self._found.get(stream.id, ()))):
            if start < known:
                return Span(start, 0 <= end < known)
        return None

    def row(self, stream: StreamFacts) -> int | None:
        """Tell where a stream stands; None when it has left, or nothing was heard of it so far."""
        return self._rows.get(stream.id)

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self._is_stale = True

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._table.retire(row, last)
        self._is_stale = True
        if row < len(self._ids):
            self._rows.pop(self._ids[row], None)
        if row != last and last < len(self._ids):
            self._ids[row] = self._ids[last]
            self._rows[self._ids[last]] = row
        del self._ids[last:]

    def _learn(self, streams: Sequence[StreamFacts], start_sample: NDArray[np.int64]) -> None:
        for stream, start in zip(streams, start_sample.tolist(), strict=True):
            if stream.id not in self._rows:  # a stream begins at 0, or as much before as the audio is late here
                self._late_samples = max(self._late_samples, -start)
        self._ids = [stream.id for stream in streams]
        self._rows = {id: row for row, id in enumerate(self._ids)}
        self._is_stale = False
        gone = [id for id in self._found if id not in self._rows]
        for id in gone[: max(0, len(gone) - self._capacity)]:  # of those that left last a lane may still ask
            del self._found[id]
