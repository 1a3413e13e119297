"""Plugins with one known property each, for the tests of the contract tests."""

from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Emit, Mark, PluginContext, PluginSpec, ResetReason, StateTable


class NoOptions(msgspec.Struct, frozen=True):
    """Options of a plugin without options."""


class FakeProcessor:
    """Does nothing and counts what it is told."""

    def __init__(self, capacity: int) -> None:
        self.state = StateTable(capacity)
        self.calls = 0
        self.live = 0
        self.closed = 0

    def process(self, block: Block, emit: Emit) -> None:
        self.calls += 1
        assert block.n == self.live, f"a block of {block.n} rows, {self.live} were admitted"
        self.work(block, emit)

    def work(self, block: Block, emit: Emit) -> None:
        """Do what the plugin is for."""

    def admit(self, row: int) -> None:
        assert row == self.live
        self.live += 1
        self.state.admit(row)

    def retire(self, row: int, last: int) -> None:
        assert last == self.live - 1
        self.live -= 1
        self.state.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        for row in rows.tolist():
            self.state.reset(row)

    def close(self) -> None:
        self.closed += 1


class FakePlugin:
    """A plugin made of a spec and a processor class; keeps the processors it opened."""

    options_type: ClassVar[type[msgspec.Struct]] = NoOptions
    spec = PluginSpec(name="fake")

    def __init__(self, options: object = None) -> None:
        self.processors: list[FakeProcessor] = []

    def open(self, context: PluginContext, capacity: int) -> FakeProcessor:
        self.processors.append(self.make(capacity))
        return self.processors[-1]

    def make(self, capacity: int) -> FakeProcessor:
        return FakeProcessor(capacity)


class DelayPlugin(FakePlugin):
    """Delays audio by a known number of samples, and says so (or says `declared_samples`)."""

    def __init__(self, latency_samples: int = 200, declared_samples: int | None = None, name: str = "delay") -> None:
        super().__init__()
        self._latency_samples = latency_samples
        declared = latency_samples if declared_samples is None else declared_samples
        self.spec = PluginSpec(name=name, latency_samples=declared, edits_audio=True)

    def make(self, capacity: int) -> FakeProcessor:
        latency_samples = self._latency_samples

        class Delay(FakeProcessor):
            def __init__(self) -> None:
                super().__init__(capacity)
                self._held = self.state.add("held", (latency_samples,), np.float32)

            def work(self, block: Block, emit: Emit) -> None:
                hop = block.samples.shape[1]
                joined = np.concatenate([self._held[: block.n], block.samples], axis=1)
                block.samples[:] = joined[:, :hop]
                self._held[: block.n] = joined[:, hop:]

        return Delay()


class GainPlugin(FakePlugin):
    """Multiplies audio by a gain, without delay, and tells the gain in a mark."""

    def __init__(self, gain: float = 0.5, name: str = "gain") -> None:
        super().__init__()
        self._gain = np.float32(gain)
        self.spec = PluginSpec(name=name, edits_audio=True, provides=(Mark(f"{name}.factor"),))

    def make(self, capacity: int) -> FakeProcessor:
        gain, mark = self._gain, f"{self.spec.name}.factor"

        class Gain(FakeProcessor):
            def work(self, block: Block, emit: Emit) -> None:
                block.samples *= gain
                block.marks[mark][:] = gain

        return Gain(capacity)


class RaisingPlugin(FakePlugin):
    """Raises at the given call of `process`, counted from 0, and at every one after it."""

    def __init__(
        self, at_call: int = 0, *, edits_audio: bool = False, latency_samples: int = 0, name: str = "raising"
    ) -> None:
        super().__init__()
        self._at_call = at_call
        self._edits_audio = edits_audio
        self.spec = PluginSpec(
            name=name,
            edits_audio=edits_audio,
            latency_samples=latency_samples,
            provides=(Mark(f"{name}.mark", unknown=-1.0),),
        )

    def make(self, capacity: int) -> FakeProcessor:
        at_call, edits_audio, mark = self._at_call, self._edits_audio, f"{self.spec.name}.mark"

        class Raising(FakeProcessor):
            def work(self, block: Block, emit: Emit) -> None:
                if self.calls > at_call:
                    if edits_audio:
                        block.samples[:] = 0.25  # half-done work must not be heard
                    raise RuntimeError("out of luck")
                block.marks[mark][:] = 1.0

        return Raising(capacity)
