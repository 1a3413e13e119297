"""Plugins that take time on purpose, each of which gives way in something, and tell what becomes of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Emit, GivesWay, Level, Mark, PluginSpec, ResetReason, StateTable
from rtemo.engine.clock import VirtualClock
from tests.engine.plugins import FakePlugin, FakeProcessor


class Costly(FakeProcessor):
    """Takes `busy_ns` of a virtual clock at every hop once it has begun; speaks every `every_hops` hops of each stream.

    It works less where `block.thrift` asks for it, or where it makes audio that nobody wants.
    """

    def __init__(self, clock: VirtualClock, busy_ns: int, every_hops: int, capacity: int, spec: PluginSpec) -> None:
        self.busy_ns = 0
        self._cost_ns = busy_ns
        self.ticks = 0
        self.flags: list[int] = []
        self.resets: list[tuple[list[int], ResetReason]] = []
        self._clock = clock
        self._every_hops = every_hops
        self._spec = spec
        self._table = StateTable(capacity)
        self._count = self._table.add("count", (), np.int64)
        self._late = self._table.add("late", (spec.latency_samples,), np.float32)
        self.admit = self._table.admit  # type: ignore[method-assign]
        self.retire = self._table.retire  # type: ignore[method-assign]

    def begin(self) -> None:
        """Cost something from now on: warming up costs nothing."""
        self.busy_ns, self.ticks = self._cost_ns, 0
        self.flags.clear()

    def process(self, block: Block, emit: Emit) -> None:
        self.ticks += 1
        self.flags.append(int(block.flags[0]))
        is_idle = self._spec.edits_audio and not block.is_audio_wanted.any()
        self._clock.advance(0 if is_idle else self.busy_ns // block.thrift)
        if self._spec.edits_audio and not is_idle:
            joined = np.concatenate([self._late[: block.n], block.samples], axis=1)
            hop = block.samples.shape[1]
            self._late[: block.n] = joined[:, hop:]
            block.samples[:] = -joined[:, :hop]
        for mark in self._spec.provides:
            block.marks[mark.name][:] = 1
        self._count[: block.n] += 1
        for row in np.flatnonzero(self._count[: block.n] >= self._every_hops * block.thrift).tolist():
            self._count[row] = 0
            end = int(block.start_sample[row]) + block.samples.shape[1]
            emit(row, Level(rms_dbfs=0.0, peak_dbfs=0.0, clipped_ratio=0.0), max(end, 0), max(end, 0))

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        self.resets.append((rows.tolist(), reason))


def costly(
    name: str, clock: VirtualClock, busy_ms: float, *gives_way: GivesWay, every_hops: int = 10, **facts: Any
) -> FakePlugin:
    """Make a plugin that takes time; its mark `name.mark` is 1."""
    spec = PluginSpec(name=name, gives_way=gives_way, provides=(Mark(f"{name}.mark"),), **facts)
    return FakePlugin(spec, lambda context, capacity: Costly(clock, round(busy_ms * 1e6), every_hops, capacity, spec))
