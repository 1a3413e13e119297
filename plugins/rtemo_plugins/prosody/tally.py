"""Tally: what a stream's speech amounts to since the last report, for all rows at once."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.order import sort_values

LEAST_VOICED_HOPS = 3
"""Fewer voiced hops have no pitch worth reporting."""

LEAST_RANGE_HOPS = 10
"""Fewer voiced hops have no range worth reporting."""

TALLY = np.dtype(
    [
        ("speech_hops", np.int64),
        ("voiced_hops", np.int64),
        ("peaks", np.int64),
        ("tilt_sum", np.float64),  # over voiced hops
        ("other_tilt_sum", np.float64),  # over the rest of the speech
        ("start", np.int64),
        ("end", np.int64),
        ("in_turn", np.int64),
    ]
)
"""One row's sums; a fresh one is all zeros."""

REPORT = np.dtype(
    [
        ("is_due", np.bool_),
        ("start", np.int64),
        ("end", np.int64),
        ("speech_hops", np.int64),
        ("voiced_hops", np.int64),
        ("peaks", np.int64),
        ("tilt", np.float64),
        ("low_hz", np.float64),  # 10th percentile of pitch
        ("pitch_hz", np.float64),  # median
        ("high_hz", np.float64),  # 90th percentile
    ]
)


@kernel
def count(
    in_turn: NDArray[np.bool_],
    is_speech: NDArray[np.bool_],
    is_last: NDArray[np.bool_],
    position: NDArray[np.int64],
    hop_samples: int,
    pitch_hz: NDArray[np.float32],
    is_voiced: NDArray[np.bool_],
    peaks: NDArray[np.uint8],
    tilt: NDArray[np.float32],
    interval_hops: int,
    least_hops: int,
    tallies: NDArray[np.void],
    voiced_hz: NDArray[np.float32],
    reports: NDArray[np.void],
) -> bool:
    """Add one hop of every row to its sums; make a report of what is complete, and say whether there is any.

    A report is due after `interval_hops` of speech, and at the end of a turn or stream when `least_hops` are left;
    less is forgotten. A peak of the rate of speech is confirmed after the syllable, so peaks count in pauses too.

    Args:
        in_turn: bool [n], within a stretch of speech, its pauses included.
        is_speech: bool [n], speech in this hop.
        is_last: bool [n], the stream ends with this hop.
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        pitch_hz: float32 [n].
        is_voiced: bool [n], whether the pitch means anything.
        peaks: uint8 [n], syllable-like peaks confirmed in this hop.
        tilt: float32 [n].
        interval_hops: Speech of one report.
        least_hops: Least speech of a report at the end of a turn.
        tallies: `TALLY` [n], changed in place.
        voiced_hz: float32 [n, interval_hops], pitch of the voiced hops so far.
        reports: `REPORT` [n], overwritten where due.
    """
    any_due = False
    for i in range(in_turn.shape[0]):
        tally = tallies[i]
        report = reports[i]
        is_over = (tally.in_turn != 0 and not in_turn[i]) or is_last[i]
        tally.in_turn = 1 if in_turn[i] else 0
        if in_turn[i] or is_over:
            tally.peaks += peaks[i]
        if is_speech[i]:
            if tally.speech_hops == 0:
                tally.start = position[i]
            tally.speech_hops += 1
            tally.end = position[i] + hop_samples
            if is_voiced[i]:
                voiced_hz[i, tally.voiced_hops] = pitch_hz[i]
                tally.voiced_hops += 1
                tally.tilt_sum += tilt[i]
            else:
                tally.other_tilt_sum += tilt[i]
        report.is_due = tally.speech_hops >= interval_hops or (is_over and tally.speech_hops >= least_hops)
        if report.is_due:
            any_due = True
            _conclude(tally, voiced_hz[i], report)
        if report.is_due or is_over:
            tally.speech_hops = tally.voiced_hops = tally.peaks = 0
            tally.tilt_sum = tally.other_tilt_sum = 0.0
    return any_due


@kernel
def _conclude(tally: np.void, voiced_hz: NDArray[np.float32], report: np.void) -> None:
    report.start = tally.start
    report.end = tally.end
    report.speech_hops = tally.speech_hops
    report.voiced_hops = tally.voiced_hops
    report.peaks = tally.peaks
    if tally.voiced_hops > 0:
        report.tilt = tally.tilt_sum / tally.voiced_hops
        ordered = voiced_hz[: tally.voiced_hops].copy()
        sort_values(ordered)
        report.low_hz = _percentile(ordered, 0.1)
        report.pitch_hz = _percentile(ordered, 0.5)
        report.high_hz = _percentile(ordered, 0.9)
    else:
        report.tilt = tally.other_tilt_sum / tally.speech_hops


@kernel
def _percentile(ordered: NDArray[np.float32], share: float) -> float:
    """Interpolate linearly between the two nearest values."""
    at = share * (ordered.size - 1)
    below = int(at)
    above = min(below + 1, ordered.size - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])
