"""Alignment of two recordings of one text by dynamic time warping (Sakoe & Chiba 1978) over log-mel bands."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.cepstra import cosine_basis
from rtemo.dsp.whisper_mel import HOP_SAMPLES, log_mel_power

_BANDS = 26
_LEAST_SAMPLES = 400


def warp_path(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """Tell which frame of `b` belongs to each frame of `a`.

    Args:
        a: float32 [k] at 16 kHz.
        b: float32 [m] at 16 kHz, the same text.

    Returns:
        int64 [k // 160], never decreasing, within 0 and the last frame of `b`.

    Raises:
        ValueError: One is shorter than a frame.
    """
    if min(len(a), len(b)) < _LEAST_SAMPLES:
        raise ValueError(f"recordings of {len(a)} and {len(b)} samples cannot be aligned")
    x, y = _features(a), _features(b)
    distance = 1.0 - x @ y.T
    rows, columns = distance.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for row in range(1, rows + 1):
        above = np.minimum(total[row - 1, :-1], total[row - 1, 1:])
        line = distance[row - 1]
        # Going along a row: total[c] = line[c] + min(above[c], total[c - 1]), as a running minimum of differences.
        sums = np.cumsum(line)
        total[row, 1:] = sums + np.minimum.accumulate(above - np.concatenate([[0.0], sums[:-1]]))
    path = np.zeros(rows, np.int64)
    row, column = rows, columns
    while row > 0:
        path[row - 1] = column - 1
        steps = (total[row - 1, column - 1], total[row - 1, column], total[row, column - 1])
        step = int(np.argmin(steps)) if row > 1 or column > 1 else 0
        row -= step != 2
        column -= step != 1
        column = max(column, 1)
    return path


def moved_times(samples: NDArray[np.int64], path: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move positions in the first recording to the second, int64 [n] in samples."""
    if not len(path):
        return samples
    frames = np.clip(samples // HOP_SAMPLES, 0, len(path) - 1)
    return path[frames] * HOP_SAMPLES + samples % HOP_SAMPLES


def _features(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cepstrum-like shape of each frame and its change, without mean and deviation of the recording, of length 1."""
    mels = log_mel_power(samples).astype(np.float64)
    mels = np.maximum(mels, mels.max() - 5.0)
    low = mels[:, : 3 * _BANDS].reshape(len(mels), _BANDS, 3).mean(axis=2)
    cosines = cosine_basis(np.arange(1, 13), _BANDS)
    shape = np.concatenate([low.mean(axis=1, keepdims=True) * 2.0, low @ cosines.T], axis=1)
    change = np.gradient(shape, axis=0) * 2.0 if len(shape) > 1 else np.zeros_like(shape)
    both = np.concatenate([shape, change], axis=1)
    both = (both - both.mean(axis=0)) / (both.std(axis=0) + 1e-6)
    length = np.linalg.norm(both, axis=1, keepdims=True)
    return np.asarray(both / np.maximum(length, 1e-9), np.float64)
