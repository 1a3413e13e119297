"""Watch: whether a stream's samples look wrong: silent, faint, clipped, at the wrong scale, off zero, or no numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, load_unaligned, splat, total

SILENT, FAINT, CLIPPED, SCALE, OFFSET, BROKEN = 1, 2, 3, 4, 5, 6
PROBLEMS = ("", "silent", "faint", "clipped", "scale", "offset", "broken")
"""What may be wrong, by the number in `WATCH`."""

DETAILS = (
    "",
    "nothing but zeros: a muted or unconnected input",
    "no sample above -84 dBFS: an input that is off, or values scaled down once too often (32768 to 1)",
    "samples at full scale: the input is too loud, so that what is heard is distorted",
    "most samples at full scale: values from -32768 to 32767 given as float samples, which lie between -1 and 1, or an "
    "input that is far too loud",
    "samples lie around a value that is not zero: an input with a direct voltage, or unsigned values taken for signed",
    "NaN or infinite samples, heard as zeros: whatever computes them divides by zero or reads memory that is not set",
)

FAINT_PEAK = np.float32(10 ** (-84 / 20))
"""Two steps of 16 bit."""
CLIPPED_RATIO = 0.005
SCALE_RATIO = 0.3
OFFSET_MEAN = 0.1
"""Mean over a span of a second or more. That of recordings is below .001; a voice of lopsided pulses may reach .07."""
STANDING_MEAN = 0.02
"""The same, where there is little else: more than half of the power."""
PATIENT_SPANS = 6
"""A stream that has sounded is not called silent before that many spans: on the telephone somebody listens."""

WATCH = np.dtype(
    [
        ("hops", np.int64),
        ("start", np.int64),
        ("energy", np.float64),
        ("sum", np.float64),
        ("peak", np.float32),
        ("clipped_samples", np.int64),
        ("broken_hops", np.int64),
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
_SANITISED = int(HopFlag.SANITISED)
_LAST = int(HopFlag.LAST)


@kernel
def watch(
    samples: NDArray[np.float32],
    power: NDArray[np.float32],
    peak: NDArray[np.float32],
    clipped_samples: NDArray[np.int32],
    flags: NDArray[np.uint8],
    position: NDArray[np.int64],
    span_hops: int,
    least_hops: int,
    rows: NDArray[np.void],
    notices: NDArray[np.void],
) -> bool:
    """Add one hop of every row; say whether any row's samples look wrong in a way that was not said before.

    A span is judged when it is over, at the end of the stream, and after `least_hops` where the scale is wrong or
    samples are no numbers. What was said is said again only after a span in which nothing was wrong.

    Args:
        samples: float32 [n, hop_samples].
        power: float32 [n], mean square of the hop.
        peak: float32 [n], largest magnitude.
        clipped_samples: int32 [n].
        flags: uint8 [n] of `HopFlag` bits; concealed and padded hops do not count.
        position: int64 [n], first sample of the hop.
        span_hops: Length of a span.
        least_hops: Shortest span that is judged.
        rows: `WATCH` [capacity], changed in place.
        notices: `NOTICE` [capacity], overwritten.
    """
    any_wrong = False
    hop_samples = samples.shape[1]
    flat = samples.reshape(-1)
    for i in range(power.size):
        row = rows[i]
        notice = notices[i]
        notice.problem = 0
        if flags[i] & _NOT_HEARD == 0:
            if row.hops == 0:
                row.start = position[i]
            row.hops += 1
            row.energy += power[i]
            row.sum += _sum(flat, i * hop_samples, hop_samples)
            row.broken_hops += flags[i] & _SANITISED != 0
            row.peak = max(row.peak, peak[i])
            row.clipped_samples += clipped_samples[i]
        ratio = row.clipped_samples / max(1, row.hops * hop_samples)
        is_over = row.hops >= span_hops or flags[i] & _LAST != 0
        is_urgent = row.hops == least_hops and (ratio >= SCALE_RATIO or row.broken_hops > 0)
        if row.hops >= least_hops and (is_over or is_urgent):
            problem = _problem(row, ratio, abs(row.sum) / (row.hops * hop_samples))
            if problem != 0 and problem != row.said:
                any_wrong = True
                notice.problem = problem
                notice.start = row.start
                notice.power = row.energy / row.hops
                notice.peak = row.peak
                notice.clipped_ratio = ratio
            row.said = problem
        if is_over:
            row.hops = row.clipped_samples = row.broken_hops = 0
            row.energy = row.sum = 0.0
            row.peak = np.float32(0.0)
    return any_wrong


@kernel
def _sum(flat: Any, begin: int, count: int) -> Any:
    whole = count - count % LANES
    sums = splat(np.float32(0.0))
    for i in range(0, whole, LANES):
        sums = fma(load_unaligned(flat, begin + i), splat(np.float32(1.0)), sums)
    found = total(sums)
    for i in range(whole, count):
        found += flat[begin + i]
    return found


@kernel
def _problem(row: Any, ratio: float, mean: float) -> int:
    if row.broken_hops > 0:
        return BROKEN
    if row.peak == 0.0:
        row.silent_spans += 1
        return SILENT if not row.has_sounded or row.silent_spans >= PATIENT_SPANS else 0
    row.silent_spans = 0
    row.has_sounded = True
    if row.peak < FAINT_PEAK:
        return FAINT
    if ratio >= SCALE_RATIO:
        return SCALE
    if ratio >= CLIPPED_RATIO:
        return CLIPPED
    is_standing = mean >= STANDING_MEAN and mean * mean > 0.5 * row.energy / row.hops
    return OFFSET if mean >= OFFSET_MEAN or is_standing else 0
