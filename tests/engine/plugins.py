"""Small plugins with one property each, for tests of the engine."""

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.lending import Lending
from rtemo.api import Block, Emit, Level, Mark, PluginContext, PluginSpec, ResetReason, StateTable
from rtemo.engine.clock import VirtualClock


class NoOptions(msgspec.Struct, frozen=True):
    """The fakes are configured by their constructors."""


class FakeProcessor:
    """Does nothing; the base of the others."""

    def process(self, block: Block, emit: Emit) -> None: ...
    def admit(self, row: int) -> None: ...
    def retire(self, row: int, last: int) -> None: ...
    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None: ...
    def close(self) -> None: ...


class FakePlugin:
    """A plugin whose processor is made by a function; keeps the processor for the test to look at."""

    options_type: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, spec: PluginSpec, make: Callable[[PluginContext, int], Any]) -> None:
        self.spec = spec
        self._make = make
        self.processor: Any = None

    def open(self, context: PluginContext, capacity: int) -> Any:
        self.processor = self._make(context, capacity)
        return self.processor


def lent(plugin: Any) -> FakePlugin:
    """Take a configured plugin into a chain without the registry; it is lent the bundles that are installed."""
    return FakePlugin(plugin.spec, lambda context, capacity: plugin.open(Lending(), capacity))


def listener(name: str, processor: FakeProcessor, **spec: Any) -> FakePlugin:
    """Make a plugin of a ready processor."""
    return FakePlugin(PluginSpec(name=name, **spec), lambda context, capacity: processor)


class DelayProcessor(FakeProcessor):
    """Delays the audio by a number of samples, with an implementation unlike the engine's own."""

    def __init__(self, capacity: int, hop_samples: int, delay_samples: int) -> None:
        self._table = StateTable(capacity)
        self._queue = self._table.add("queue", (delay_samples,), np.float32)
        self.admit = self._table.admit  # type: ignore[method-assign]
        self.retire = self._table.retire  # type: ignore[method-assign]

    def process(self, block: Block, emit: Emit) -> None:
        queue = self._queue[: block.n]
        joined = np.concatenate([queue, block.samples], axis=1)
        block.samples[:] = joined[:, : block.samples.shape[1]]
        queue[:] = joined[:, block.samples.shape[1] :]


def delay(name: str, delay_samples: int) -> FakePlugin:
    """Make a plugin that edits audio with a known latency."""
    return FakePlugin(
        PluginSpec(name=name, edits_audio=True, latency_samples=delay_samples),
        lambda context, capacity: DelayProcessor(capacity, context.format.hop_samples, delay_samples),
    )


class GainProcessor(FakeProcessor):
    """Multiplies."""

    def __init__(self, gain: float) -> None:
        self._gain = np.float32(gain)

    def process(self, block: Block, emit: Emit) -> None:
        with np.errstate(invalid="ignore"):
            block.samples *= self._gain


def gain(name: str, factor: float) -> FakePlugin:
    """Make a plugin that edits audio without latency."""
    return FakePlugin(PluginSpec(name=name, edits_audio=True), lambda context, capacity: GainProcessor(factor))


class Seen(msgspec.Struct):
    """One hop of one stream as a processor saw it."""

    slot: int
    start_sample: int
    flags: int
    samples: NDArray[np.float32]
    marks: dict[str, Any]
    heard: NDArray[np.float32] | None


class WitnessProcessor(FakeProcessor):
    """Keeps copies of all it sees."""

    def __init__(self, hears_input: bool = False) -> None:
        self.seen: list[Seen] = []
        self.ticks = 0
        self._hears_input = hears_input

    def process(self, block: Block, emit: Emit) -> None:
        self.ticks += 1
        for row in range(block.n):
            self.seen.append(
                Seen(
                    slot=int(block.rows[row]),
                    start_sample=int(block.start_sample[row]),
                    flags=int(block.flags[row]),
                    samples=block.samples[row].copy(),
                    marks={name: array[row].copy() for name, array in block.marks.items()},
                    heard=block.heard[row].copy() if self._hears_input else None,
                )
            )


def witness(name: str = "witness", hears_input: bool = False) -> FakePlugin:
    """Make a plugin that only looks; what was seen is in `plugin.processor.seen`."""
    return FakePlugin(
        PluginSpec(name=name, hears_input=hears_input), lambda context, capacity: WitnessProcessor(hears_input)
    )


class StamperProcessor(FakeProcessor):
    """Marks every hop with its own start and with whether it is flagged as concealed."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def process(self, block: Block, emit: Emit) -> None:
        block.marks[self._mark][:] = block.start_sample


def stamper(name: str = "stamper", mark: str = "stamp", **spec: Any) -> FakePlugin:
    """Make a plugin whose mark is the position of the hop it was made for."""
    return FakePlugin(
        PluginSpec(name=name, provides=(Mark(name=mark, dtype="float64"),), **spec),
        lambda context, capacity: StamperProcessor(mark),
    )


class TellerProcessor(FakeProcessor):
    """Emits the level of every n-th hop: per-stream state, so that compaction shows."""

    def __init__(self, capacity: int, every_hops: int) -> None:
        self._table = StateTable(capacity)
        self._count = self._table.add("count", (), np.int64)
        self._energy = self._table.add("energy", (), np.float64)
        self._every = every_hops
        self.admit = self._table.admit  # type: ignore[method-assign]
        self.retire = self._table.retire  # type: ignore[method-assign]

    def process(self, block: Block, emit: Emit) -> None:
        n, hop = block.samples.shape
        self._count[:n] += 1
        for row in range(n):
            self._energy[row] += float(np.square(block.samples[row].astype(np.float64)).sum())
            if self._count[row] % self._every == 0:
                end = int(block.start_sample[row]) + hop
                level = Level(rms_dbfs=float(self._energy[row]), peak_dbfs=0.0, clipped_ratio=0.0)
                emit(row, level, end - hop * self._every, end)
                self._energy[row] = 0.0


def teller(name: str = "teller", every_hops: int = 1) -> FakePlugin:
    """Make a plugin that emits a `level` event with the energy of every `every_hops` hops."""
    return FakePlugin(PluginSpec(name=name), lambda context, capacity: TellerProcessor(capacity, every_hops))


class FailingProcessor(FakeProcessor):
    """Raises at a chosen call, and counts calls after that."""

    def __init__(self, at: str, count: int) -> None:
        self._at = at
        self._left = count
        self.calls_after = 0
        self.has_raised = False
        self.closed = 0

    def _reach(self, verb: str) -> None:
        if self.has_raised:
            self.calls_after += 1
        if verb != self._at:
            return
        self._left -= 1
        if self._left == 0:
            self.has_raised = True
            raise ZeroDivisionError(f"on purpose in {verb}")

    def process(self, block: Block, emit: Emit) -> None:
        block.marks.get("stamp", block.start_sample[:0])[:] = 7
        self._reach("process")

    def admit(self, row: int) -> None:
        self._reach("admit")

    def retire(self, row: int, last: int) -> None:
        self._reach("retire")

    def close(self) -> None:
        self.closed += 1
        self._reach("close")


def failing(name: str, at: str, count: int = 1, **spec: Any) -> FakePlugin:
    """Make a plugin that raises at the `count`-th call of `at`."""
    return FakePlugin(PluginSpec(name=name, **spec), lambda context, capacity: FailingProcessor(at, count))


class HangingProcessor(DelayProcessor):
    """A delay that does not return from the chosen tick until released; then it writes over all it can reach."""

    def __init__(self, capacity: int, hop_samples: int, delay_samples: int) -> None:
        super().__init__(capacity, hop_samples, delay_samples)
        self.hang_at_tick = -1
        self.is_hanging = threading.Event()
        self.release = threading.Event()
        self.has_returned = threading.Event()
        self.is_harmful = True

    def process(self, block: Block, emit: Emit) -> None:
        if block.tick != self.hang_at_tick:
            super().process(block, emit)
            return
        self.is_hanging.set()
        self.release.wait(30.0)
        if not self.is_harmful:
            return
        block.samples[:] = 1.0
        block.flags[:] = 255
        block.start_sample[:] = -1
        for array in block.marks.values():
            array[:] = 13
        emit(0, Level(rms_dbfs=99.0, peak_dbfs=99.0, clipped_ratio=0.0), 0, 1)
        self.has_returned.set()


def hanging(name: str, delay_samples: int = 0) -> FakePlugin:
    """Make a plugin with latency that can be told to hang."""
    return FakePlugin(
        PluginSpec(name=name, edits_audio=True, latency_samples=delay_samples),
        lambda context, capacity: HangingProcessor(capacity, context.format.hop_samples, delay_samples),
    )


class SlowProcessor(FakeProcessor):
    """Takes as long as it is told, on a virtual clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.busy_ns = 0
        self.ticks = 0
        self.flags: list[int] = []

    def process(self, block: Block, emit: Emit) -> None:
        self.ticks += 1
        self.flags.append(int(block.flags[0]))
        self._clock.advance(self.busy_ns)


def slow(name: str, clock: VirtualClock, **spec: Any) -> FakePlugin:
    """Make a plugin that advances the clock by `plugin.processor.busy_ns` at every tick."""
    return FakePlugin(PluginSpec(name=name, **spec), lambda context, capacity: SlowProcessor(clock))
