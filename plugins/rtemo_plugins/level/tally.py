"""Tally: what a stream's level amounts to since the last report, for all rows at once."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel
from rtemo.dsp.level import SILENCE_DBFS

TALLY = np.dtype(
    [
        ("hops", np.int64),
        ("heard_hops", np.int64),  # those that are audio
        ("start", np.int64),
        ("energy", np.float64),
        ("peak", np.float32),
        ("clipped_samples", np.int64),
    ]
)
"""One row's sums; a fresh one is all zeros."""

REPORT = np.dtype(
    [
        ("is_due", np.bool_),
        ("start", np.int64),
        ("rms_dbfs", np.float64),
        ("peak_dbfs", np.float64),
        ("clipped_ratio", np.float64),
    ]
)

_SILENT_POWER = 10.0 ** (SILENCE_DBFS / 10.0)
_NOT_HEARD = int(HopFlag.CONCEALED | HopFlag.PADDED)
_LAST = int(HopFlag.LAST)


@kernel
def count(
    power: NDArray[np.float32],
    peak: NDArray[np.float32],
    clipped_samples: NDArray[np.int32],
    noise_power: NDArray[np.float32],
    flags: NDArray[np.uint8],
    position: NDArray[np.int64],
    hop_samples: int,
    interval_hops: int,
    tallies: NDArray[np.void],
    reports: NDArray[np.void],
    rms_dbfs: NDArray[np.float32],
    peak_dbfs: NDArray[np.float32],
    noise_dbfs: NDArray[np.float32],
) -> bool:
    """Convert one hop of every row to dBFS and add it to the row's sums; say whether any report is due.

    A report is due after `interval_hops` of the stream's own, and at its end. Concealed and padded hops are not audio
    and count for nothing; an interval without audio is not reported.

    Args:
        power: float32 [n], mean square of the hop.
        peak: float32 [n], largest magnitude.
        clipped_samples: int32 [n].
        noise_power: float32 [n], NaN when not known.
        flags: uint8 [n] of `HopFlag` bits.
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        interval_hops: Length of an interval.
        tallies: `TALLY` [n], changed in place.
        reports: `REPORT` [n], overwritten.
        rms_dbfs: float32 [n], overwritten.
        peak_dbfs: float32 [n], overwritten.
        noise_dbfs: float32 [n], overwritten.
    """
    any_due = False
    for i in range(power.size):
        tally = tallies[i]
        report = reports[i]
        rms_dbfs[i] = _dbfs(power[i])
        peak_dbfs[i] = _dbfs(np.float64(peak[i]) ** 2)
        noise_dbfs[i] = _dbfs(noise_power[i])
        if tally.hops == 0:
            tally.start = position[i]
        tally.hops += 1
        if flags[i] & _NOT_HEARD == 0:
            tally.heard_hops += 1
            tally.energy += power[i]
            tally.peak = max(tally.peak, peak[i])
            tally.clipped_samples += clipped_samples[i]
        is_over = tally.hops >= interval_hops or flags[i] & _LAST != 0
        report.is_due = is_over and tally.heard_hops > 0
        if report.is_due:
            any_due = True
            report.start = tally.start
            report.rms_dbfs = _dbfs(tally.energy / tally.heard_hops)
            report.peak_dbfs = _dbfs(np.float64(tally.peak) ** 2)
            report.clipped_ratio = tally.clipped_samples / (tally.heard_hops * hop_samples)
        if is_over:
            tally.hops = tally.heard_hops = tally.clipped_samples = 0
            tally.energy = 0.0
            tally.peak = np.float32(0.0)
    return any_due


@kernel
def _dbfs(power: float) -> float:
    """Convert a mean square as `rtemo.dsp.level.power_to_dbfs` does; NaN stays NaN."""
    return 10.0 * np.log10(_SILENT_POWER if power < _SILENT_POWER else np.float64(power))
