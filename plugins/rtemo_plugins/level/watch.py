"""Watch: whether a stream's samples look wrong: silent, faint, clipped, or at the wrong scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel

SILENT, FAINT, CLIPPED, SCALE = 1, 2, 3, 4
PROBLEMS = ("", "silent", "faint", "clipped", "scale")
"""What may be wrong, by the number in `WATCH`."""

DETAILS = (
    "",
    "nothing but zeros: a muted or unconnected input",
    "no sample above -84 dBFS: an input that is off, or values scaled down once too often (32768 to 1)",
    "samples at full scale: the input is too loud, so that what is heard is distorted",
    "most samples at full scale: values from -32768 to 32767 given as float samples, which lie between -1 and 1, or an "
    "input that is far too loud",
)

FAINT_PEAK = np.float32(10 ** (-84 / 20))
"""Two steps of 16 bit."""
CLIPPED_RATIO = 0.005
SCALE_RATIO = 0.3
PATIENT_SPANS = 6
"""A stream that has sounded is not called silent before that many spans: on the telephone somebody listens."""

WATCH = np.dtype(
    [
        ("hops", np.int64),
        ("start", np.int64),
        ("energy", np.float64),
        ("peak", np.float32),
        ("clipped_samples", np.int64),
        ("silent_spans", np.int64),
        ("has_sounded", np.bool_),
        ("said", np.int64),
    ]
)
"""One row's sums over the span, and what has been said; a fresh one is all zeros."""

NOTICE = np.dtype(
    [
        ("problem", np.int64),  # 0 for none
        ("start", np.int64),
        ("power", np.float64),
        ("peak", np.float32),
        ("clipped_ratio", np.float64),
    ]
)

_NOT_HEARD = int(HopFlag.CONCEALED | HopFlag.PADDED)
_LAST = int(HopFlag.LAST)


@kernel
def watch(
    power: NDArray[np.float32],
    peak: NDArray[np.float32],
    clipped_samples: NDArray[np.int32],
    flags: NDArray[np.uint8],
    position: NDArray[np.int64],
    hop_samples: int,
    span_hops: int,
    least_hops: int,
    rows: NDArray[np.void],
    notices: NDArray[np.void],
) -> bool:
    """Add one hop of every row; say whether any row's samples look wrong in a way that was not said before.

    A span is judged when it is over, at the end of the stream, and after `least_hops` where the scale is wrong. What
    was said is said again only after a span in which nothing was wrong.

    Args:
        power: float32 [n], mean square of the hop.
        peak: float32 [n], largest magnitude.
        clipped_samples: int32 [n].
        flags: uint8 [n] of `HopFlag` bits; concealed and padded hops do not count.
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        span_hops: Length of a span.
        least_hops: Shortest span that is judged.
        rows: `WATCH` [capacity], changed in place.
        notices: `NOTICE` [capacity], overwritten.
    """
    any_wrong = False
    for i in range(power.size):
        row = rows[i]
        notice = notices[i]
        notice.problem = 0
        if flags[i] & _NOT_HEARD == 0:
            if row.hops == 0:
                row.start = position[i]
            row.hops += 1
            row.energy += power[i]
            row.peak = max(row.peak, peak[i])
            row.clipped_samples += clipped_samples[i]
        ratio = row.clipped_samples / max(1, row.hops * hop_samples)
        is_over = row.hops >= span_hops or flags[i] & _LAST != 0
        if row.hops >= least_hops and (is_over or (row.hops == least_hops and ratio >= SCALE_RATIO)):
            problem = _problem(row, ratio)
            if problem != 0 and problem != row.said:
                any_wrong = True
                notice.problem = problem
                notice.start = row.start
                notice.power = row.energy / row.hops
                notice.peak = row.peak
                notice.clipped_ratio = ratio
            row.said = problem
        if is_over:
            row.hops = row.clipped_samples = 0
            row.energy = 0.0
            row.peak = np.float32(0.0)
    return any_wrong


@kernel
def _problem(row: Any, ratio: float) -> int:
    if row.peak == 0.0:
        row.silent_spans += 1
        return SILENT if not row.has_sounded or row.silent_spans >= PATIENT_SPANS else 0
    row.silent_spans = 0
    row.has_sounded = True
    if row.peak < FAINT_PEAK:
        return FAINT
    if ratio >= SCALE_RATIO:
        return SCALE
    return CLIPPED if ratio >= CLIPPED_RATIO else 0
