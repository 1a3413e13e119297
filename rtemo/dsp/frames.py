"""Frames: the newest samples of each stream under a window, one frame per hop."""

from typing import Any

import numpy as np

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES


@kernel
def frame_tile(samples: Any, history: Any, window: Any, tile: int, registers: Any) -> None:
    """Put the windowed frames of one tile into registers and move the history on by a hop.

    Args:
        samples: float32 [n, hop_samples], the newest hop.
        history: float32 [capacity, frame_samples - hop_samples], the samples before it.
        window: float32 [frame_samples].
        tile: First row of the tile.
        registers: float32 [frame_samples or more, LANES]; the rest, and spare lanes, become zero.
    """
    n, hop = samples.shape
    kept = history.shape[1]
    registers[:] = np.float32(0.0)
    for lane in range(min(LANES, n - tile)):
        row = tile + lane
        for i in range(kept):
            registers[i, lane] = window[i] * history[row, i]
        for i in range(hop):
            registers[kept + i, lane] = window[kept + i] * samples[row, i]
        push_history(history[row], samples[row])


@kernel
def push_history(history: Any, samples: Any) -> None:
    """Append `samples` [k] to `history` [kept], dropping the oldest."""
    kept, k = history.size, samples.size
    for i in range(kept - k):
        history[i] = history[i + k]
    for i in range(max(0, kept - k), kept):
        history[i] = samples[k - kept + i]
