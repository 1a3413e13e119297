"""Room: what a worker still has room for, by what was measured there."""

import statistics
from collections import deque
from typing import NamedTuple

from rtemo.api import Health
from rtemo.config.workers import WorkersOptions

_WINDOW_S = 10.0
_LEAST_STREAMS = 4  # of fewer, what one costs is mostly what a tick costs
_HEADROOM = 2.0  # in a report's time no more streams are added than this many times those that were measured


class _Report(NamedTuple):
    at_s: float
    streams: int
    load: float
    late_p99_us: float


class Room:
    """Follows load and lateness of one worker over the last ten seconds.

    What a stream costs is measured: load by stream, the median over reports with about as many streams as there ever
    were meanwhile, so that a moment in which the machine had other things to do counts little. Networks run in batches:
    more streams cost less each, so that what is believed of a few is too much for many, and an estimate that errs lets
    fewer in, until the next report. Any thread may read, one writes.

    Args:
        options: Bounds.
        share: Part of a processor that there is for each worker: less than 1 where workers are more than processors.

    Attributes:
        load: As last reported.
        late_p99_us: As last reported.
        is_open: Whether calls may be placed there at all.
    """

    def __init__(self, options: WorkersOptions, share: float = 1.0) -> None:
        self.load = 0.0
        self.late_p99_us = 0.0
        self.is_open = False
        self._options = options
        self._max_load = options.max_load * min(1.0, share)
        self._reports: deque[_Report] = deque()
        self._cost = 0.0
        self._measured_streams = 0

    def hear(self, health: Health, now_s: float) -> None:
        """Take a report of the worker; `now_s` is monotonic."""
        self.load, self.late_p99_us = health.load, health.late_p99_us
        self._reports.append(_Report(now_s, health.streams, health.load, health.late_p99_us))
        while now_s - self._reports[0].at_s > _WINDOW_S:
            self._reports.popleft()
        measured = [report for report in self._reports if report.streams >= _LEAST_STREAMS]
        self._measured_streams = max((report.streams for report in measured), default=0)
        # Of the reports with the most streams: those with fewer tell of dearer ones.
        most = [report for report in measured if 2 * report.streams > self._measured_streams]
        self._cost = statistics.median([report.load / report.streams for report in most] or [0.0])

    def refusal(self, streams: int) -> str:
        """Tell why one more stream finds no room beside those that are placed there; empty when it does.

        Args:
            streams: How many are placed there now.
        """
        if not self.is_open:
            return "is not running"
        late_us = statistics.median([report.late_p99_us for report in self._reports] or [0.0])
        if streams and late_us > 1000.0 * self._options.max_late_ms:
            return f"is late by {late_us / 1000:.0f} ms"
        if not self._cost:
            if streams >= self._options.first_streams:
                return f"has {streams} streams whose cost is not known yet"
            return ""
        if (streams + 1) * self._cost > self._max_load:
            return f"has {streams} streams at a load of {self.load:.2f}, of {self._max_load:.2f}"
        if streams + 1 > max(self._options.first_streams, _HEADROOM * self._measured_streams):
            return f"has {streams} streams, of which {self._measured_streams} are measured"
        return ""
