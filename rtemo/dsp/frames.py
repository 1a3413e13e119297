"""Frames: the newest samples of each stream under a window, one frame per hop."""

from typing import Any

import numpy as np

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, gather_rows, load, load_unaligned, splat, store, store_unaligned


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
    live = min(LANES, n - tile)
    gather_rows(history, tile, live, registers, 0)
    gather_rows(samples, tile, live, registers, kept)
    for i in range(window.size):
        store(registers, i, load(registers, i) * splat(window[i]))
    registers[kept + hop :] = np.float32(0.0)
    for row in range(tile, tile + live):
        push_history(history[row], samples[row])


@kernel
def push_history(history: Any, samples: Any) -> None:
    """Append `samples` [k] to `history` [kept], dropping the oldest."""
    kept, k = history.size, samples.size
    moved = max(0, kept - k)
    done = moved - moved % LANES
    for i in range(0, done, LANES):
        store_unaligned(history, i, load_unaligned(history, i + k))
    for i in range(done, moved):
        history[i] = history[i + k]
    for i in range(moved, kept):
        history[i] = samples[k - kept + i]
