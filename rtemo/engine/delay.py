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


class HopDelay:
    """Delays a per-hop array [n, ...] by whole hops, in place; used for marks and flags.

    Until real values come out, rows read `fill`.
    """

    def __init__(
        self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[np.generic], fill: float, delay_hops: int
    ) -> None:
        self._table = StateTable(capacity)
        self._history = self._table.add("history", (delay_hops, *shape), dtype, fill)
        self.admit = self._table.admit
        self.retire = self._table.retire

    def exchange(self, values: NDArray[np.generic]) -> None:
        """Take this hop's values and replace them by the delayed ones."""
        history = self._history[: values.shape[0]]
        delayed = history[:, 0].copy()
        history[:, :-1] = history[:, 1:].copy()
        history[:, -1] = values
        values[:] = delayed
