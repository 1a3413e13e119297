"""RowParts: the half of a processor that every one needs alike, for state that lies in several parts."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api.plugin import ResetReason


class RowPart(Protocol):
    """Something with state of its own for every row, as a `StateTable` or a kernel of `rtemo.dsp`."""

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""

    def reset(self, row: int) -> None:
        """Put `row` into the state of a fresh stream."""


class RowParts:
    """Keeps the rows of all parts in step; a processor derives from it and adds `process`.

    Args:
        parts: Everything of the processor that has rows.
    """

    def __init__(self, *parts: RowPart) -> None:
        self._parts = parts

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        for part in self._parts:
            part.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        for part in self._parts:
            part.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Put the given rows into the state of a fresh stream."""
        for row in rows.tolist():
            for part in self._parts:
                part.reset(row)

    def close(self) -> None:
        """Nothing to free: weights belong to the engine, and the rest is memory."""
