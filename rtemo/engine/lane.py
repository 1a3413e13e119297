"""Lane: slow work of one plugin beside the tick, as the driver sees it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Emit, LaneState, StreamFormat
from rtemo.api.lane import STRIDE, Finding, LaneSpec
from rtemo.api.units import seconds_to_hops, seconds_to_samples
from rtemo.engine.history import History
from rtemo.engine.lane_queue import LaneJob
from rtemo.engine.lane_worker import LaneWorker
from rtemo.engine.stats import Histogram

Tell = Callable[[Finding, Emit], None]

_SPREAD_TICKS = 8
"""Ticks over which a live driver spreads windows or findings that come at once, so that none of them is long."""
_AT_ONCE = 4
"""How many of them a tick takes in any case."""


class Lane:
    """One lane of one plugin, as the driver sees it.

    What is due is counted per slot, so rows may move.

    Attributes:
        thrift: Every how many of its strides cuts a window.

    Args:
        plugin: Who asked for it.
        is_timing: Whether it may work on streams of which only the timing may be known.
        spec: Its facts.
        tell: What the plugin makes of a finding.
        worker: Who works on it.
        history: Where its audio lies.
        slots: Streams held at once.
        format: Of all audio.
    """

    def __init__(
        self,
        plugin: str,
        is_timing: bool,
        spec: LaneSpec,
        tell: Tell,
        worker: LaneWorker,
        history: History,
        slots: int,
        format: StreamFormat,
    ) -> None:
        rate_hz, hop = format.sample_rate_hz, format.hop_samples
        self.plugin = plugin
        self.is_timing = is_timing
        self.spec = spec
        self.tell = tell
        self.worker = worker
        self.queue = worker.queue
        self.history = history
        self.age = Histogram()
        self.window_samples = seconds_to_samples(spec.window_s, rate_hz)
        self.least_samples = seconds_to_samples(spec.least_s, rate_hz)
        self.stride_hops = max(1, seconds_to_hops(spec.stride_s, rate_hz, hop))
        self.land_hops = seconds_to_hops(spec.land_s, rate_hz, hop)
        self.waits_for = frozenset(spec.on) - {STRIDE}
        self.has_strides = STRIDE in spec.on
        self.thrift = 1
        self._since = np.zeros(slots, np.int64)
        self._is_wanted = np.zeros(slots, np.bool_)

    def clear(self, slot: int) -> None:
        """Begin anew with the stream that has come into a slot."""
        self._since[slot] = 0
        self._is_wanted[slot] = False

    def due(self, block: Block) -> NDArray[np.int64]:
        """Count one hop of every row and give the rows whose stride is over.

        Live, streams that began together do not stay together: some of their windows come a few hops later.
        """
        slots = block.rows
        self._since[slots] += 1
        if self.spec.while_mark:
            self._is_wanted[slots] |= block.marks[self.spec.while_mark] != 0
        else:
            self._is_wanted[slots] = True
        rows = np.flatnonzero(self._since[slots] >= self.stride_hops * self.thrift)
        most = max(_AT_ONCE, 2 * len(slots) // self.stride_hops, len(slots) // _SPREAD_TICKS)
        if self.queue.is_live and len(rows) > most:
            rows = rows[np.argsort(-self._since[slots[rows]], kind="stable")[:most]]
        self._since[slots[rows]] = 0
        rows = rows[self._is_wanted[slots[rows]]]
        self._is_wanted[slots[rows]] = False
        return rows

    def collect(self) -> list[LaneJob]:
        """Take of what is done as much as one tick of a live driver should tell."""
        return self.queue.collect(max(_AT_ONCE, self.queue.count_done // _SPREAD_TICKS))

    def state(self) -> LaneState:
        """Tell how it fares, ages since the last time."""
        state = LaneState(
            name=self.worker.where,
            queue=len(self.queue),
            batch_mean=self.worker.batch.mean_ns(),
            age_p50_ms=self.age.percentile_ns(50) / 1e6,
            age_p99_ms=self.age.percentile_ns(99) / 1e6,
            lane_skipped=self.queue.skipped,
            lane_failed=self.queue.failed,
            restarts=self.worker.restarts,
            state="left out" if self.worker.is_left_out else self.worker.state,
        )
        self.age.clear()
        self.worker.batch.clear()
        return state
