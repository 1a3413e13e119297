"""Music: how steady the tones of a spectrum are, which those of speech never are for long."""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
STEADY = 2.2
"""Value from which on a block is music: 99 of 100 blocks of training speakers lie below, and nearly all with held notes
above (`python -m bench.quality.corpus.thresholds`)."""

BLOCK_S, STEP_S = 2.56, 0.64
_FRAME_SAMPLES, _HOP_SAMPLES = 1024, 512
_HIGHEST_HZ = 4000.0  # what a telephone passes
_NEIGHBOURS = 21
_ABOVE_DB = 3.0
_PEAKS = 5
_SILENT_DBFS = -65.0
_HANN = np.hanning(_FRAME_SAMPLES).astype(np.float32)


def steadiness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tell how steady tones are in blocks of 2.56 s, one every .64 s, float32 [k] → float32 [blocks].

    After continuous frequency activation (Seyerlehner, Pohle, Schedl and Widmer 2007, "Automatic music detection in
    television productions"): bins that stand out of their neighbours are marked, the marks of a block added up by
    frequency, and the heights of the five highest peaks above the valleys beside them added up. Notes that are held
    give peaks even under speech; the gliding harmonics of a voice do not, unless it sings.
    """
    count = (len(samples) - _FRAME_SAMPLES) // _HOP_SAMPLES + 1
    block, step = (round(seconds * RATE_HZ / _HOP_SAMPLES) for seconds in (BLOCK_S, STEP_S))
    if count < block // 2:
        return np.zeros(1, np.float32)
    marks = np.concatenate([_marks(samples, first, min(first + 4096, count)) for first in range(0, count, 4096)])
    starts = range(0, max(count - block, 0) + 1, step)
    return np.array([_peaks(marks[start : start + block].mean(axis=0)) for start in starts], np.float32)


def music_share(curve: NDArray[np.float32], start: int, end: int, steady: float = STEADY) -> float:
    """Tell which share of a turn is music: of the blocks that lie in it by half at least, those that are steady.

    Args:
        curve: Of the whole recording, as `steadiness` gives it.
        start: First sample of the turn.
        end: One behind its last.
        steady: Value from which on a block is music.
    """
    middles = (np.arange(len(curve)) * STEP_S + BLOCK_S / 2) * RATE_HZ
    inside = np.flatnonzero((middles >= start) & (middles < end))
    if not len(inside):
        inside = np.array([int(np.abs(middles - (start + end) / 2).argmin())])
    return float((curve[inside] >= steady).mean())


def _marks(samples: NDArray[np.float32], first: int, last: int) -> NDArray[np.bool_]:
    """Mark the bins that stand out, bool [last - first, bins]."""
    stretch = samples[first * _HOP_SAMPLES : (last - 1) * _HOP_SAMPLES + _FRAME_SAMPLES]
    frames = np.lib.stride_tricks.sliding_window_view(stretch, _FRAME_SAMPLES)[::_HOP_SAMPLES]
    bins = round(_HIGHEST_HZ / RATE_HZ * _FRAME_SAMPLES)
    power = np.abs(np.fft.rfft(frames * _HANN, axis=1)[:, :bins]) ** 2
    level_db = (10.0 * np.log10(power + 1e-9)).astype(np.float32)
    padded = np.pad(level_db, ((0, 0), (_NEIGHBOURS // 2 + 1, _NEIGHBOURS // 2)), mode="edge")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    around = (sums[:, _NEIGHBOURS:] - sums[:, :-_NEIGHBOURS]) / _NEIGHBOURS
    loud = 10.0 * np.log10((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-12) > _SILENT_DBFS
    return np.asarray((level_db - around > _ABOVE_DB) & loud[:, None])


def _peaks(activation: NDArray[np.float64]) -> float:
    inner = activation[1:-1]
    is_peak = (inner > activation[:-2]) & (inner >= activation[2:])
    heights = []
    for place in (np.flatnonzero(is_peak) + 1).tolist():
        left = place
        while left > 0 and activation[left - 1] <= activation[left]:
            left -= 1
        right = place
        while right < len(activation) - 1 and activation[right + 1] <= activation[right]:
            right += 1
        heights.append(float(activation[place] - max(activation[left], activation[right])))
    return sum(sorted(heights)[-_PEAKS:])
