"""Others: what another plugin says of a voice, which counts in the place of the experts' verdict while it is fresh."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import BlockEvent, Spoof, StateTable

HOLD_S = 30.0
"""Speech for which what was said of a voice holds, in s; as long as an alarm does."""


class Others:
    """Notes of whom another plugin speaks.

    A large network beside the tick tells synthesis from speech better than the experts do, but cannot decide about
    every voice: where it has, they have nothing to add. What it said holds for so much speech, or until it takes it
    back; then they speak again.

    Args:
        plugins: Who is believed.
        hold_hops: Hops with voice for which what was said holds.
        capacity: Most streams.

    Attributes:
        left_hops: int64 [capacity], hops with voice for which what was said of each stream still holds.
    """

    def __init__(self, plugins: Sequence[str], hold_hops: int, capacity: int) -> None:
        self._plugins = frozenset(plugins)
        self._hold_hops = hold_hops
        self._table = table = StateTable(capacity)
        self.left_hops: NDArray[np.int64] = table.add("left_hops", (), np.int64)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def hear(self, events: Sequence[BlockEvent]) -> list[tuple[int, Spoof]]:
        """Note what was said, and give what was decided with the row that it is about, in order."""
        heard = []
        for event in events:
            if event.row is not None and event.plugin in self._plugins and isinstance(event.data, Spoof):
                self.left_hops[event.row] = self._hold_hops if event.data.is_decided else 0
                if event.data.is_decided:
                    heard.append((event.row, event.data))
        return heard

    def speak_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of which of `rows` what was said still holds, bool [k]."""
        return np.asarray(self.left_hops[rows] > 0)
