"""Recall: the last hops of every stream as they came in, so that the enhancer can catch up when somebody asks."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable

RECALL_HOPS = 256
"""Hops that are kept and heard again, 2.6 s."""

_AHEAD = 1  # a context holds for as many hops as a step has; the newest step may be unfinished


class Recall:
    """One ring of hops per row, and what the listener told during them. Rows that were never used cost no memory.

    Args:
        capacity: Most streams.
        hop_samples: Length of a hop.
        context: Shape of what the listener tells.
        step_hops: Hops for which a context holds.
    """

    def __init__(self, capacity: int, hop_samples: int, context: tuple[int, ...], step_hops: int) -> None:
        self._table = StateTable(capacity)
        self._step_hops = step_hops
        self.hops: NDArray[np.int64] = self._table.add("hops", (), np.int64)  # type: ignore[assignment]
        steps = RECALL_HOPS // step_hops + _AHEAD
        self._samples = np.zeros((capacity, RECALL_HOPS, hop_samples), np.float32)
        self._contexts = np.zeros((capacity, steps, *context), np.float32)

    def append(self, samples: NDArray[np.float32], context: NDArray[np.float32]) -> None:
        """Keep one hop of n streams, float32 [n, hop_samples], and what the listener tells, float32 [n, …]."""
        n = len(samples)
        hops, rows = self.hops[:n], np.arange(n)
        self._samples[rows, hops % RECALL_HOPS] = samples
        self._contexts[rows, hops // self._step_hops % self._contexts.shape[1]] = context
        hops += 1

    def read(self, rows: NDArray[np.int64], back_hops: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Copy the hop of some rows that came `back_hops` before the newest (0), and its context.

        Before the first hop of a stream there is silence.
        """
        at = self.hops[rows] - 1 - back_hops
        samples = self._samples[rows, at % RECALL_HOPS]
        samples[at < 0] = 0.0
        return samples, self._contexts[rows, at // self._step_hops % self._contexts.shape[1]]

    def held(self, row: int) -> int:
        """Tell how many hops of a row are there."""
        return min(int(self.hops[row]), RECALL_HOPS)

    def admit(self, row: int) -> None:
        """Forget what a row heard."""
        kept = self.held(row)
        self._samples[row, :kept] = 0.0
        self._contexts[row] = 0.0
        self._table.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        if row != last:
            kept = max(self.held(row), self.held(last))
            self._samples[row, :kept] = self._samples[last, :kept]
            self._contexts[row] = self._contexts[last]
            self.hops[row] = self.hops[last]
        self.admit(last)
