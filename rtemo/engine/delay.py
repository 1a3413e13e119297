"""Delay lines: keep audio and marks in step with a plugin that delays the audio."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable


class AudioDelay:
    """Delays the audio of every row by a fixed number of samples; used to bypass a plugin without a jump."""

    def __init__(self, capacity: int, hop_samples: int, delay_samples: int) -> None:
        self.delay_samples = delay_samples
        self._hop_samples = hop_samples
        self._table = StateTable(capacity)
        self._line = self._table.add("line", (delay_samples + hop_samples,), np.float32)
        self.admit = self._table.admit
        self.retire = self._table.retire

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take one hop, float32 [n, hop_samples]."""
        line = self._line[: samples.shape[0]]
        if self.delay_samples:
            line[:, : self.delay_samples] = line[:, self._hop_samples :].copy()
        line[:, self.delay_samples :] = samples

    def pull(self, out: NDArray[np.float32]) -> None:
        """Write the delayed hop over `out`, float32 [n, hop_samples]."""
        out[:] = self._line[: out.shape[0], : self._hop_samples]

    def exchange(self, samples: NDArray[np.float32]) -> None:
        """Take one hop and replace it by the delayed one, in place."""
        self.push(samples)
        self.pull(samples)


class PositionDelay:
    """Delays the position of every row as the audio is delayed, in place: where what comes out belongs.

    To subtract the delay would be right only as long as positions run on. After a jump (hops dropped for being
    late) what still comes out belongs to before it. Where a delay is no whole number of hops, one hop then holds
    the end of the one and the beginning of the other; its position is that of its first sample.
    """

    def __init__(self, capacity: int, hop_samples: int, delay_samples: int) -> None:
        hops = -(-delay_samples // hop_samples)
        self._into_hop = hops * hop_samples - delay_samples
        self._before = np.arange(-hops, 0, dtype=np.int64) * hop_samples
        self._table = StateTable(capacity)
        self._held = self._table.add("held", (hops,), np.int64)
        self._has_begun = self._table.add("has_begun", (), np.bool_)
        self.admit = self._table.admit
        self.retire = self._table.retire

    def exchange(self, start_sample: NDArray[np.int64]) -> None:
        """Take the positions of this hop, int64 [n], and replace them by those of the audio that comes out."""
        n = start_sample.shape[0]
        held, has_begun = self._held[:n], self._has_begun[:n]
        if not has_begun.all():
            fresh = np.logical_not(has_begun)
            held[fresh] = start_sample[fresh, None] + self._before
            has_begun[:] = True
        delayed = held[:, 0] + self._into_hop
        held[:, :-1] = held[:, 1:].copy()
        held[:, -1] = start_sample
        start_sample[:] = delayed


class HopDelay:
    """Delays a per-hop array [n, ...] by whole hops, in place; used for marks and flags.

    Until real values come out, rows read `fill`.
    """

    def __init__(
        self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[np.generic], fill: float, delay_hops: int
    ) -> None:
        self._history: NDArray[np.generic] = np.full((delay_hops, capacity, *shape), fill, dtype)
        self._fill = fill
        self._oldest = 0  # the hop that is due, whose place the newest takes

    def exchange(self, values: NDArray[np.generic]) -> None:
        """Take this hop's values and replace them by the delayed ones."""
        held = self._history[self._oldest][: len(values)]
        delayed = held.copy()
        held[:] = values
        values[:] = delayed
        self._oldest = (self._oldest + 1) % len(self._history)

    def admit(self, row: int) -> None:
        """Begin a stream at `row`."""
        self._history[:, row] = self._fill

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._history[:, row] = self._history[:, last]
        self.admit(last)
