"""History: the last seconds of every stream, for whoever works on windows of the past."""

import numpy as np
from numpy.typing import NDArray

from rtemo.engine.pages import zeros_by_page


class History:
    """One ring of whole hops per slot; the driver writes, lanes read without a lock and check what they got.

    Memory of slots that were never used is never touched, so it costs nothing.

    Args:
        slots: Streams held at once.
        hops: Hops kept of each.
        hop_samples: Samples of a hop.

    Attributes:
        count: int64 [slots], hops written since the stream came.
        life: int64 [slots], number of the stream that has the slot; a reader of an older one gets nothing.
    """

    def __init__(self, slots: int, hops: int, hop_samples: int) -> None:
        self.hops = hops
        self.hop_samples = hop_samples
        self.count = np.zeros(slots, np.int64)
        self.life = np.zeros(slots, np.int64)
        self._slab = zeros_by_page((slots, hops, hop_samples), np.float32)
        self._position = np.zeros((slots, hops), np.int64)

    @property
    def bytes_per_stream(self) -> int:
        """Memory that one stream holds once its ring is full."""
        return int(self._slab[0].nbytes + self._position[0].nbytes)

    def append(self, slots: NDArray[np.int64], samples: NDArray[np.float32], start_sample: NDArray[np.int64]) -> None:
        """Keep one hop of each slot: float32 [n, hop_samples] at positions int64 [n]. Driver thread."""
        at = slots, self.count[slots] % self.hops
        self._slab[at] = samples
        self._position[at] = start_sample
        self.count[slots] += 1

    def clear(self, slot: int) -> None:
        """Overwrite what a slot holds and begin a new life of it. Driver thread."""
        self.life[slot] += 1
        kept = min(int(self.count[slot]), self.hops)
        self.count[slot] = 0
        self._slab[slot, :kept] = 0.0

    def end_sample(self, slot: int) -> int:
        """Tell the position behind the newest hop; 0 before the first."""
        count = int(self.count[slot])
        return int(self._position[slot, (count - 1) % self.hops]) + self.hop_samples if count else 0

    def read(self, slot: int, life: int, start_sample: int, end_sample: int) -> tuple[int, NDArray[np.float32]] | None:
        """Copy what is there of [start_sample, end_sample) of a stream, without a jump in it. Any thread.

        Returns:
            Position of the first sample and float32 [k], the contiguous end of what was asked for; None when it has
            been overwritten, or the slot is somebody else's by now.
        """
        count = int(self.count[slot])
        kept = min(count, self.hops)
        numbers = np.arange(count - kept, count)
        position = self._position[slot, numbers % self.hops]
        wanted = (position < end_sample) & (position > start_sample - self.hop_samples)
        numbers, position = numbers[wanted], position[wanted]
        jumps = np.flatnonzero(np.diff(position) != self.hop_samples)
        if len(jumps):
            numbers, position = numbers[jumps[-1] + 1 :], position[jumps[-1] + 1 :]
        if not len(numbers):
            return None
        samples = self._slab[slot, numbers % self.hops].reshape(-1)
        if self.life[slot] != life or int(self.count[slot]) - int(numbers[0]) > self.hops:
            return None
        first = max(start_sample, int(position[0]), 0)
        samples = samples[first - int(position[0]) : end_sample - int(position[0])]
        return (first, samples) if len(samples) else None
