"""LevelPlugin: level, clipping and background noise of every stream."""

from typing import ClassVar

import numpy as np

from rtemo.api import (
    Block,
    Emit,
    Level,
    Mark,
    PluginContext,
    PluginSpec,
    Quality,
    RowParts,
    StateTable,
    StreamFormat,
)
from rtemo.api.units import seconds_to_hops
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.level import LevelMeter, amplitude_to_dbfs, power_to_dbfs
from rtemo_plugins.level.options import LevelOptions
from rtemo_plugins.level.tally import REPORT, TALLY, count
from rtemo_plugins.level.watch import DETAILS, NOTICE, PROBLEMS, WATCH, watch


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
            summary="Level, peak, clipping and background noise; samples that look wrong.",
            version="1",
            emits=(Level, Quality),
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


class LevelProcessor(RowParts):
    """Meters all rows at once and sums up each stream's interval, which is counted in the stream's own hops."""

    def __init__(self, options: LevelOptions, format: StreamFormat, capacity: int) -> None:
        self._hop_samples = format.hop_samples
        self._interval_hops = seconds_to_hops(options.interval_s, format.sample_rate_hz, format.hop_samples)
        self._meter = LevelMeter(capacity, hop_samples=format.hop_samples, rate_hz=format.sample_rate_hz)
        self._state = StateTable(capacity)
        self._tallies = self._state.add("tally", (), TALLY)
        self._reports = np.zeros(capacity, REPORT)
        self._span_hops = seconds_to_hops(options.quality_s, format.sample_rate_hz, format.hop_samples)
        self._least_hops = seconds_to_hops(1.0, format.sample_rate_hz, format.hop_samples)
        self._watched = self._state.add("watch", (), WATCH)
        self._notices = np.zeros(capacity, NOTICE)
        super().__init__(self._state, self._meter)

    def process(self, block: Block, emit: Emit) -> None:
        """Measure one hop, write the marks, and report the intervals that are over."""
        samples = finite_rows(block.samples)
        level = self._meter.process(samples)
        marks = block.marks
        noise_dbfs = marks["level.noise_dbfs"]
        marks["level.clipped_samples"][:] = level.clipped_samples
        if count(
            level.power, level.peak, level.clipped_samples, level.noise_power, block.flags, block.start_sample,
            self._hop_samples, self._interval_hops, self._tallies, self._reports,
            marks["level.rms_dbfs"], marks["level.peak_dbfs"], noise_dbfs,
        ):  # fmt: skip
            for row in np.flatnonzero(self._reports["is_due"][: block.n]).tolist():
                report = self._reports[row]
                data = Level(
                    rms_dbfs=round(float(report["rms_dbfs"]), 2),
                    peak_dbfs=round(float(report["peak_dbfs"]), 2),
                    clipped_ratio=float(report["clipped_ratio"]),
                    noise_dbfs=None if np.isnan(noise_dbfs[row]) else round(float(noise_dbfs[row]), 2),
                )
                emit(row, data, int(report["start"]), int(block.start_sample[row]) + self._hop_samples)
        if watch(
            samples, level.power, level.peak, level.clipped_samples, block.flags, block.start_sample,
            self._span_hops, self._least_hops, self._watched, self._notices,
        ):  # fmt: skip
            for row in np.flatnonzero(self._notices["problem"][: block.n]).tolist():
                notice = self._notices[row]
                quality = Quality(
                    problem=PROBLEMS[notice["problem"]],
                    detail=DETAILS[notice["problem"]],
                    rms_dbfs=round(float(power_to_dbfs(notice["power"])), 2),
                    peak_dbfs=round(float(amplitude_to_dbfs(notice["peak"])), 2),
                    clipped_ratio=round(float(notice["clipped_ratio"]), 6),
                )
                emit(row, quality, int(notice["start"]), int(block.start_sample[row]) + self._hop_samples)
