"""RowResampler: sample-rate conversion of many streams that come and go, in one kernel call per batch of packets."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.resample import PASS_FRACTION, _convolve, _tap_table, design_prototype


@kernel
def _convert_rows(
    rows: Any, samples: Any, history: Any, heard: Any, given: Any, taps: Any, up: int, down: int, out: Any, counts: Any
) -> None:
    """Convert row i of `samples` [n, k] with the state of row rows[i]; give counts[i] samples to row i of `out`."""
    kept = history.shape[1]
    k = samples.shape[1]
    line = np.empty((1, kept + k), np.float32)
    for i in range(rows.shape[0]):
        row = rows[i]
        line[0, :kept] = history[row]
        line[0, kept:] = samples[i]
        ready = -(-(heard[row] + k) * up // down)
        count = max(0, ready - given[row])
        _convolve(line, heard[row] - kept, taps, up, down, given[row], count, out[i : i + 1], 0)
        history[row] = line[0, k:]
        heard[row] += k
        given[row] += count
        counts[i] = count


class RowResampler:
    """A `PolyphaseResampler` for each of `capacity` streams, whose states stand in the rows of tables.

    What a stream gets is the same to the last bit, whichever other streams share a call with it and however its
    audio is cut. A stream keeps its row for life.

    Args:
        from_hz: Input rate.
        to_hz: Output rate.
        capacity: Rows.

    Attributes:
        latency_samples: Output samples that are held back.
        given_samples: int64 [capacity], position of the next sample each row will give, the latency included.
    """

    def __init__(self, from_hz: int, to_hz: int, capacity: int) -> None:
        common = math.gcd(from_hz, to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self.capacity = capacity
        self._up = to_hz // common
        self._down = from_hz // common
        prototype = design_prototype(self._up, self._down, pass_fraction=PASS_FRACTION)
        self._taps = _tap_table(prototype, self._up)
        self.latency_samples = (prototype.size - 1) // 2 // self._down
        self._history = np.zeros((capacity, self._taps.shape[1] - 1), np.float32)
        self._heard_samples = np.zeros(capacity, np.int64)
        self.given_samples = np.full(capacity, self.latency_samples, np.int64)

    def reset(self, row: int) -> None:
        """Start a new recording at `row`, after silence."""
        self._history[row] = 0.0
        self._heard_samples[row] = 0
        self.given_samples[row] = self.latency_samples

    def process(
        self, rows: NDArray[np.int64], samples: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Take one packet of each of n streams and give what is ready.

        Args:
            rows: int64 [n], each at most once.
            samples: float32 [n, k].

        Returns:
            float32 [n, m], and int64 [n]: how many of the m samples of each stream count.
        """
        n, k = samples.shape
        out = np.empty((n, -(-k * self._up // self._down) + 1), np.float32)
        counts = np.empty(n, np.int64)
        _convert_rows(
            np.ascontiguousarray(rows, np.int64),
            np.array(samples, np.float32, order="C", copy=None if samples.flags.writeable else True),
            self._history,
            self._heard_samples,
            self.given_samples,
            self._taps,
            self._up,
            self._down,
            out,
            counts,
        )
        return out, counts

    def flush(self, row: int) -> NDArray[np.float32]:
        """End a recording: give the samples that were still held back, float32 [m], and start anew."""
        heard_samples = int(self._heard_samples[row])
        due = -(-heard_samples * self._up // self._down) + self.latency_samples
        missing = due - int(self.given_samples[row])
        silence = math.ceil(self.latency_samples * self._down / self._up) + 1
        out, counts = self.process(np.array([row]), np.zeros((1, silence), np.float32))
        self.reset(row)
        return out[0, : min(missing, int(counts[0]))]
