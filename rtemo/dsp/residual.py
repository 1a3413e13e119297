"""Residual: what linear prediction leaves of a voice, and how peaked, skewed and loud that is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.frames import frame_tile
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import (
    LANES,
    fma,
    gather_rows,
    largest,
    load,
    magnitude,
    natural_log,
    root,
    scatter_tile,
    splat,
    store,
)
from rtemo.dsp.rows import RowKernel, check_out, float32_rows

VALUES = 4
"""Values of a frame: log kurtosis, skewness, mean magnitude over deviation, log prediction gain."""

ORDER = 16
"""Of the prediction: two poles for each of the formants below 8 kHz, and some for the slope."""

_EMPHASIS = np.float32(0.9)
_WHITE = np.float32(1.0001)  # noise 40 dB below the frame, so that the recursion stays stable
_FLOOR = np.float32(1e-7)


@kernel
def _predict(y: Any, r: Any, a: Any, t: Any) -> None:
    """Coefficients `a` [order + 1, LANES] that predict frames `y` [frame_samples, LANES] (Levinson-Durbin)."""
    order, size = a.shape[0] - 1, y.shape[0]
    zero, one = splat(np.float32(0.0)), splat(np.float32(1.0))
    for lag in range(order + 1):
        even, odd = zero, zero  # two sums: a single chain of additions would wait for itself
        last = size - lag - (size - lag) % 2
        for i in range(0, last, 2):
            even = fma(load(y, i), load(y, i + lag), even)
            odd = fma(load(y, i + 1), load(y, i + 1 + lag), odd)
        if last < size - lag:
            even = fma(load(y, last), load(y, last + lag), even)
        store(r, lag, even + odd)
    error = fma(load(r, 0), splat(_WHITE), splat(_FLOOR))
    store(r, 0, error)
    store(a, 0, one)
    for i in range(1, order + 1):
        total = load(r, i)
        for j in range(1, i):
            total = fma(load(a, j), load(r, i - j), total)
        reflection = (zero - total) / error
        for j in range(1, i):
            store(t, j, fma(reflection, load(a, i - j), load(a, j)))
        for j in range(1, i):
            store(a, j, load(t, j))
        store(a, i, reflection)
        error = error * (one - reflection * reflection)


@kernel
def _describe(y: Any, work: Any, out: Any) -> None:
    """Emphasise the windowed frames `y` [frame_samples, LANES], predict them and describe the residual.

    Args:
        y: Overwritten.
        work: Three arrays [order + 1, LANES].
        out: [VALUES, LANES], overwritten.
    """
    r, a, t = work
    order, size = a.shape[0] - 1, y.shape[0]
    for i in range(size - 1, 0, -1):
        store(y, i, fma(splat(-_EMPHASIS), load(y, i - 1), load(y, i)))
    _predict(y, r, a, t)
    zero = splat(np.float32(0.0))
    first, second, third, fourth = zero, zero, zero, zero
    for i in range(order, size):
        left = load(y, i)
        for j in range(1, order + 1):
            left = fma(load(a, j), load(y, i - j), left)
        square = left * left
        first = first + magnitude(left)
        second = second + square
        third = fma(square, left, third)
        fourth = fma(square, square, fourth)
    count = splat(np.float32(1.0 / (size - order)))
    power = fma(second, count, splat(np.float32(1e-12)))
    deviation = root(power)
    store(out, 0, natural_log(fma(fourth, count / (power * power), splat(np.float32(1e-3)))))
    store(out, 1, third * count / (power * deviation))
    store(out, 2, first * count / deviation)
    store(out, 3, natural_log(largest(load(r, 0) / (power * splat(np.float32(size))), splat(np.float32(1e-3)))))


@kernel
def _stream(samples: Any, history: Any, window: Any, work: Any, y: Any, values: Any, out: Any) -> None:
    for tile in range(0, samples.shape[0], LANES):
        frame_tile(samples, history, window, tile, y)
        _describe(y, work, values)
        scatter_tile(values, tile, out)


@kernel
def _frames(frames: Any, window: Any, work: Any, y: Any, values: Any, out: Any) -> None:
    for tile in range(0, frames.shape[0], LANES):
        gather_rows(frames, tile, min(LANES, frames.shape[0] - tile), y, 0)
        for i in range(window.size):
            store(y, i, load(y, i) * splat(window[i]))
        _describe(y, work, values)
        scatter_tile(values, tile, out)


class Residual(RowKernel):
    """Describes the linear prediction residual of the newest frame of each stream, once per hop, without look-ahead.

    A voice is pulses of the glottis and turbulence behind a filter (Atal and Hanauer 1971); prediction takes the filter
    off. How peaked and lopsided the rest is tells real pulses from those that a synthesiser makes. Gain does not
    matter but for a floor 70 dB below full scale.

    Args:
        capacity: Streams that `process` can hold at once.
        frame_samples: Length of a frame, under a Hann window.
        hop_samples: New samples per frame.
    """

    def __init__(self, capacity: int, *, frame_samples: int = 320, hop_samples: int = 160) -> None:
        super().__init__(capacity)
        angle = 2.0 * np.pi * np.arange(frame_samples) / frame_samples
        self._window = (0.5 - 0.5 * np.cos(angle)).astype(np.float32)
        self._history = self.state.add("history", (frame_samples - hop_samples,), np.float32)
        self._work = tuple(np.zeros((ORDER + 1, LANES), np.float32) for _ in range(3))
        self._y = np.zeros((frame_samples, LANES), np.float32)
        self._values = np.zeros((VALUES, LANES), np.float32)
        self._out = np.zeros((capacity, VALUES), np.float32)

    def process(self, samples: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Take one hop of each stream and describe the residual of each, float32 [n, VALUES].

        Args:
            samples: float32 [n, hop_samples].
            out: float32 [n, VALUES], C-contiguous, to write into; without it an array that the next call overwrites.
        """
        x = float32_rows(samples)
        if out is not None:
            check_out(out, (x.shape[0], VALUES), np.float32)
        result = self._out[: x.shape[0]] if out is None else out
        _stream(x, self._history, self._window, self._work, self._y, self._values, result)
        return result

    def of_frames(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Describe frames that were cut already, float32 [n, frame_samples], any number; float32 [n, VALUES]."""
        x = float32_rows(frames)
        result = np.zeros((len(x), VALUES), np.float32)
        _frames(x, self._window, self._work, self._y, self._values, result)
        return result
