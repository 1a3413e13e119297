"""Tally: pitch, level and pauses of the turn that goes on, for all rows at once."""

import math

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel

LOW_HZ = 55.0
BINS_PER_SEMITONE = 4
BINS = 40 * BINS_PER_SEMITONE
"""Of the histogram of pitch: a quarter of a semitone each, from 55 to 554 Hz."""
LEAST_VOICED_HOPS = 10
"""Fewer have no pitch worth telling."""

TALLY = np.dtype(
    [
        ("in_turn", np.int64),
        ("speech_hops", np.int64),
        ("voiced_hops", np.int64),
        ("energy", np.float64),
        ("start", np.int64),  # first sample with voice
        ("end", np.int64),  # one past the last
        ("quiet_hops", np.int64),  # since then
        ("paused_hops", np.int64),
        ("pauses", np.int64),
        ("pause_start", np.int64),  # of the longest
        ("pause_end", np.int64),
        ("part_hops", np.int64),
        ("part_energy", np.float64),
        ("part_start", np.int64),
        ("loudest", np.float64),
        ("loud_start", np.int64),
        ("loud_end", np.int64),
        ("softest", np.float64),
        ("soft_start", np.int64),
        ("soft_end", np.int64),
    ]
)
"""One row's sums over the turn; a fresh one is all zeros."""

REPORT = np.dtype(
    [
        ("is_due", np.bool_),
        ("speech_hops", np.int64),
        ("start", np.int64),
        ("end", np.int64),
        ("pitch_hz", np.float64),  # median; NaN where too little is voiced
        ("range_semitones", np.float64),  # 10th to 90th percentile
        ("level_dbfs", np.float64),
        ("pause_ratio", np.float64),
        ("pause_start", np.int64),
        ("pause_end", np.int64),
        ("loud_start", np.int64),
        ("loud_end", np.int64),
        ("soft_start", np.int64),
        ("soft_end", np.int64),
    ]
)
"""What a turn amounts to."""


@kernel
def count(
    in_turn: NDArray[np.bool_],
    is_speech: NDArray[np.bool_],
    is_last: NDArray[np.bool_],
    position: NDArray[np.int64],
    hop_samples: int,
    level_dbfs: NDArray[np.float32],
    pitch_hz: NDArray[np.float32],
    pause_hops: int,
    part_hops: int,
    tallies: NDArray[np.void],
    histograms: NDArray[np.int32],
    reports: NDArray[np.void],
) -> bool:
    """Add one hop of every row; make a report of each turn that is over, and say whether there is any.

    Level is the mean power of the hops with voice, so that pauses do not make a turn quiet. A silence counts as a pause
    once it has lasted `pause_hops` and the voice has come back: what follows the last word is none.

    Args:
        in_turn: bool [n], within a stretch of speech, its pauses included.
        is_speech: bool [n], voice in this hop.
        is_last: bool [n], the stream ends with this hop.
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        level_dbfs: float32 [n], NaN where unknown.
        pitch_hz: float32 [n], 0 where unvoiced.
        pause_hops: Least length of a pause.
        part_hops: Voice in one part of the turn, of which the loudest and the softest are kept.
        tallies: `TALLY` [n], changed in place.
        histograms: int32 [n, BINS], changed in place.
        reports: `REPORT` [n], overwritten where due.
    """
    any_due = False
    for i in range(in_turn.shape[0]):
        tally = tallies[i]
        is_over = (tally.in_turn != 0 and not in_turn[i]) or is_last[i]
        tally.in_turn = 1 if in_turn[i] else 0
        if is_speech[i]:
            _add(tally, histograms[i], position[i], hop_samples, level_dbfs[i], pitch_hz[i], pause_hops, part_hops)
        elif tally.speech_hops > 0:
            tally.quiet_hops += 1
        reports[i].is_due = is_over and tally.speech_hops > 0
        if reports[i].is_due:
            any_due = True
            conclude(tally, histograms[i], hop_samples, reports[i])
        if is_over:
            tally.speech_hops = tally.voiced_hops = tally.quiet_hops = tally.paused_hops = tally.pauses = 0
            tally.energy = tally.part_energy = tally.loudest = tally.softest = 0.0
            tally.part_hops = tally.pause_start = tally.pause_end = 0
            tally.loud_start = tally.loud_end = tally.soft_start = tally.soft_end = 0
            histograms[i, :] = 0
    return any_due


@kernel
def _add(
    tally: np.void,
    histogram: NDArray[np.int32],
    start: int,
    hop_samples: int,
    level_dbfs: float,
    pitch_hz: float,
    pause_hops: int,
    part_hops: int,
) -> None:
    if tally.speech_hops == 0:
        tally.start = start
    if tally.quiet_hops >= pause_hops:
        tally.paused_hops += tally.quiet_hops
        tally.pauses += 1
        if start - tally.end > tally.pause_end - tally.pause_start:
            tally.pause_start = tally.end
            tally.pause_end = start
    tally.quiet_hops = 0
    tally.speech_hops += 1
    tally.end = start + hop_samples
    if level_dbfs == level_dbfs:
        power = 10.0 ** (level_dbfs / 10.0)
        tally.energy += power
        if tally.part_hops == 0:
            tally.part_start = start
        tally.part_hops += 1
        tally.part_energy += power
        if tally.part_hops >= part_hops:
            if tally.loud_end == 0 or tally.part_energy > tally.loudest:
                tally.loudest = tally.part_energy
                tally.loud_start, tally.loud_end = tally.part_start, tally.end
            if tally.soft_end == 0 or tally.part_energy < tally.softest:
                tally.softest = tally.part_energy
                tally.soft_start, tally.soft_end = tally.part_start, tally.end
            tally.part_hops = 0
            tally.part_energy = 0.0
    if pitch_hz > LOW_HZ:
        place = int(math.log2(pitch_hz / LOW_HZ) * 12 * BINS_PER_SEMITONE)
        if place < BINS:
            histogram[place] += 1
            tally.voiced_hops += 1


@kernel
def conclude(tally: np.void, histogram: NDArray[np.int32], hop_samples: int, report: np.void) -> None:
    """Write what a turn amounts to so far.

    Args:
        tally: One of `TALLY`.
        histogram: int32 [BINS] of its pitch.
        hop_samples: Length of the hop.
        report: One of `REPORT`, overwritten but for `is_due`.
    """
    report.speech_hops = tally.speech_hops
    report.start, report.end = tally.start, tally.end
    report.pitch_hz = report.range_semitones = np.nan
    if tally.voiced_hops >= LEAST_VOICED_HOPS:
        low = _percentile(histogram, tally.voiced_hops, 0.1)
        middle = _percentile(histogram, tally.voiced_hops, 0.5)
        high = _percentile(histogram, tally.voiced_hops, 0.9)
        report.pitch_hz = LOW_HZ * 2.0 ** (middle / 12)
        report.range_semitones = high - low
    report.level_dbfs = np.nan
    if tally.energy > 0:
        report.level_dbfs = 10.0 * math.log10(tally.energy / tally.speech_hops)
    report.pause_ratio = tally.paused_hops / max(tally.speech_hops + tally.paused_hops, 1)
    report.pause_start, report.pause_end = tally.pause_start, tally.pause_end
    report.loud_start, report.loud_end = tally.loud_start, tally.loud_end
    report.soft_start, report.soft_end = tally.soft_start, tally.soft_end


@kernel
def _percentile(histogram: NDArray[np.int32], count: int, share: float) -> float:
    """Semitones above `LOW_HZ`, interpolated within the bin."""
    wanted = share * count
    below = 0
    for place in range(BINS):
        if below + histogram[place] >= wanted and histogram[place] > 0:
            return (place + (wanted - below) / histogram[place]) / BINS_PER_SEMITONE
        below += histogram[place]
    return BINS / BINS_PER_SEMITONE
