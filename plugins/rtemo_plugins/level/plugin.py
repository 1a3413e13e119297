"""LevelPlugin: level, clipping and background noise of every stream."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Block,
    Emit,
    HopFlag,
    Level,
    Mark,
    PluginContext,
    PluginSpec,
    ResetReason,
    StateTable,
    StreamFormat,
)
from rtemo.api.units import seconds_to_hops
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.level import LevelMeter, amplitude_to_dbfs, power_to_dbfs
from rtemo_plugins.level.options import LevelOptions

_NOT_HEARD = np.uint8(HopFlag.CONCEALED | HopFlag.PADDED)


class LevelPlugin:
    """Measures every hop and reports about once a second."""

    options_type: ClassVar[type[LevelOptions]] = LevelOptions

    def __init__(self, options: LevelOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="level",
            summary="Level, peak, clipping and background noise.",
            version="1",
            provides=(
                Mark("level.rms_dbfs", meaning="level of the hop; a full-scale sine reads -3"),
                Mark("level.peak_dbfs", meaning="largest magnitude of the hop"),
                Mark("level.clipped_samples", "int32", (), -1, "samples of the hop at full scale"),
                Mark("level.noise_dbfs", meaning="estimated background level; NaN in the first half second"),
            ),
        )

    def open(self, context: PluginContext, capacity: int) -> "LevelProcessor":
        """Make a processor."""
        return LevelProcessor(self._options, context.format, capacity)


class LevelProcessor:
    """Meters all rows at once and sums up each stream's interval.

    Intervals are counted in the stream's own hops. Concealed and padded hops are not audio and count for nothing.
    """

    def __init__(self, options: LevelOptions, format: StreamFormat, capacity: int) -> None:
        self._hop_samples = format.hop_samples
        self._interval_hops = seconds_to_hops(options.interval_s, format.sample_rate_hz, format.hop_samples)
        self._meter = LevelMeter(capacity, hop_samples=format.hop_samples, rate_hz=format.sample_rate_hz)
        self._state = StateTable(capacity)
        self._hops = self._state.add("hops", (), np.int64)
        self._heard = self._state.add("heard_hops", (), np.int64)
        self._start = self._state.add("start_sample", (), np.int64)
        self._energy = self._state.add("energy", (), np.float64)
        self._peak = self._state.add("peak", (), np.float32)
        self._clipped = self._state.add("clipped_samples", (), np.int64)
        self._is_new = self._state.add("is_new", (), np.bool_, fill=True)

    def process(self, block: Block, emit: Emit) -> None:
        """Measure one hop, write the marks, and report the intervals that are over."""
        n = block.n
        level = self._meter.process(finite_rows(block.samples))
        marks = block.marks
        marks["level.rms_dbfs"][:] = power_to_dbfs(level.power)
        marks["level.peak_dbfs"][:] = amplitude_to_dbfs(level.peak)
        marks["level.clipped_samples"][:] = level.clipped_samples
        marks["level.noise_dbfs"][:] = power_to_dbfs(level.noise_power)

        np.copyto(self._start[:n], block.start_sample, where=self._is_new[:n])
        self._is_new[:n] = False
        heard = (block.flags & _NOT_HEARD) == 0
        self._hops[:n] += 1
        self._heard[:n] += heard
        self._energy[:n] += np.where(heard, level.power, 0.0)
        self._peak[:n] = np.maximum(self._peak[:n], np.where(heard, level.peak, 0.0))
        self._clipped[:n] += np.where(heard, level.clipped_samples, 0)
        is_due = (self._hops[:n] >= self._interval_hops) | (block.flags & np.uint8(HopFlag.LAST) != 0)
        for row in np.flatnonzero(is_due).tolist():
            self._report(row, int(block.start_sample[row]) + self._hop_samples, float(level.noise_power[row]), emit)

    def _report(self, row: int, end_sample: int, noise_power: float, emit: Emit) -> None:
        heard = int(self._heard[row])
        if heard:
            data = Level(
                rms_dbfs=_rounded(power_to_dbfs(self._energy[row] / heard)),
                peak_dbfs=_rounded(amplitude_to_dbfs(self._peak[row])),
                clipped_ratio=int(self._clipped[row]) / (heard * self._hop_samples),
                noise_dbfs=None if np.isnan(noise_power) else _rounded(power_to_dbfs(noise_power)),
            )
            emit(row, data, int(self._start[row]), end_sample)
        self._state.reset(row)

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._state.admit(row)
        self._meter.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the last one takes its place."""
        self._state.retire(row, last)
        self._meter.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Put the given rows into the state of a fresh stream."""
        for row in rows.tolist():
            self._state.reset(row)
            self._meter.reset(row)

    def close(self) -> None:
        """Nothing is held beyond memory."""


def _rounded(dbfs: NDArray[np.float64]) -> float:
    return round(float(dbfs), 2)
