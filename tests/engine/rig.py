"""Rig: an engine on virtual time whose sources are a timetable, so that hours run in seconds."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Counters, Event, StreamEnd, StreamWriter
from rtemo.engine.clock import Doorbell, VirtualClock
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore

HOP = 160
HOP_NS = 10_000_000
RATE_HZ = 16_000


class Timetable(VirtualClock):
    """A virtual clock on which things happen at their time while the engine waits."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when_ns: int, act: Callable[[], None]) -> None:
        """Let `act` happen at `when_ns`."""
        heapq.heappush(self._entries, (when_ns, next(self._order), act))

    def every(self, period_ns: float, act: Callable[[], None], start_ns: int, end_ns: int) -> None:
        """Let `act` happen periodically; the period may be a fraction of a nanosecond off."""

        def again(count: int) -> None:
            act()
            when_ns = start_ns + round((count + 1) * period_ns)
            if when_ns < end_ns:
                self.at(when_ns, lambda: again(count + 1))

        self.at(start_ns, lambda: again(0))

    @property
    def next_ns(self) -> int | None:
        """When the next thing happens; None when nothing will."""
        return self._entries[0][0] if self._entries else None

    def wait(self, bell: Doorbell, until_ns: int) -> bool:
        while self._entries and self._entries[0][0] <= until_ns:
            when_ns, _, act = heapq.heappop(self._entries)
            self._now_ns = max(self._now_ns, when_ns)
            act()
            if bell.wait(0.0):
                return True
            bell.is_armed = True
        return super().wait(bell, until_ns)

    def catch_up(self) -> None:
        """Let everything happen that is due by now, as when the engine was busy."""
        while self._entries and self._entries[0][0] <= self._now_ns:
            heapq.heappop(self._entries)[2]()


class Rig:
    """An opened engine, what it played and what it said.

    Attributes:
        heard: (call, channel) → list of (start_sample, hop) from the audio tap.
    """

    def __init__(
        self,
        *plugins: Any,
        live: bool = True,
        clock: Timetable | None = None,
        open_store: Callable[[], Any] | None = ModelStore,
        **options: Any,
    ) -> None:
        self.clock = clock or Timetable()
        self.heard: dict[tuple[str, str], list[tuple[int, NDArray[np.float32]]]] = defaultdict(list)
        self.engine = Engine(
            plugins,
            EngineOptions(**options),
            is_live=live,
            clock=self.clock,
            open_store=open_store,
            on_audio=self._hear,
        )
        self.engine.open()
        self.engine.lanes.start()
        self.events: list[Event] = []

    def _hear(self, call: str, channel: str, start_sample: int, hop: NDArray[np.float32]) -> None:
        self.heard[call, channel].append((start_sample, hop.copy()))

    def open(self, call: str = "a", channel: str = "0", prefill_s: float = 0.0) -> StreamWriter:
        return self.engine.open_stream(call, channel, prefill_s=prefill_s)

    def step(self) -> bool:
        """One step of the driver; tells whether it ticked."""
        self.clock.catch_up()
        return self.engine.driver.step(self.engine.chain.turn.holder)

    def tick(self, count: int = 1) -> None:
        """Step until `count` ticks were made, within a bound."""
        goal = self.engine.driver.ticks + count
        for _ in range(50 * count + 50):
            if self.engine.driver.ticks >= goal:
                return
            self.step()
        raise AssertionError(f"{count} ticks did not come")

    def run_until(self, until_ns: int) -> None:
        """Step until virtual time has reached `until_ns`."""
        while self.clock.now_ns() < until_ns:
            self.step()

    def run_dry(self, limit_steps: int = 50_000) -> None:
        """Step until every stream has left."""
        for _ in range(limit_steps):
            if self.engine.floor.is_empty:
                return
            self.step()
        raise AssertionError("streams were left over")

    def take_events(self) -> list[Event]:
        """Events since the last call, kept in `events` too."""
        new = self.engine.outbox.take(0.0)
        self.events += new
        return new

    def all_events(self, kind: str = "", call: str | None = None) -> list[Event]:
        """Every event so far, of one kind and call if given."""
        self.take_events()
        return [
            event for event in self.events if (not kind or event.kind == kind) and (call is None or event.call == call)
        ]

    def final_counters(self, call: str) -> Counters:
        """Counters of a stream that has ended."""
        (event,) = self.all_events("stream_end", call)
        assert isinstance(event.data, StreamEnd)
        return event.data.counters

    def counters(self) -> Counters:
        """Counters of the run so far."""
        driver = self.engine.driver
        return self.engine.floor.counters(driver.xruns, driver.skipped_turns)

    def audio(self, call: str = "a", channel: str = "0") -> NDArray[np.float32]:
        """All that was played of a stream, in order."""
        hops = [hop for _, hop in self.heard[call, channel]]
        return np.concatenate(hops) if hops else np.zeros(0, np.float32)


def ramp(count_samples: int, start: int = 0) -> NDArray[np.float32]:
    """Samples that tell their own position exactly, never near full scale: k / 2^24 of the position's low bits."""
    position = np.arange(start, start + count_samples, dtype=np.int64)
    return ((position % (1 << 20) + 1) / np.float64(1 << 21)).astype(np.float32)


def noise(count_samples: int, seed: int = 0, level: float = 0.1) -> NDArray[np.float32]:
    """Reproducible noise."""
    return (level * np.random.default_rng(seed).standard_normal(count_samples)).clip(-0.9, 0.9).astype(np.float32)


def cut(samples: NDArray[np.float32], sizes: Sequence[int]) -> list[NDArray[np.float32]]:
    """Cut samples into chunks of the given sizes; the rest comes as one more."""
    edges = np.cumsum(sizes)
    return [chunk for chunk in np.split(samples, edges[edges < samples.shape[0]]) if chunk.shape[0]]
