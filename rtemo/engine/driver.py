"""Driver: the one thread that owns time; it ticks the chain once per hop of all live streams."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from rtemo.api import (
    Block,
    Fault,
    Health,
    HopFlag,
    Payload,
    PluginError,
    SourceCounts,
    StreamFacts,
    StreamFormat,
)
from rtemo.engine.chain import Chain, TurnLost
from rtemo.engine.clock import Clock, Doorbell
from rtemo.engine.demand import Demand
from rtemo.engine.floor import Floor
from rtemo.engine.gather import Intake
from rtemo.engine.hand_out import AudioTap, HandOut
from rtemo.engine.ladder import Ladder
from rtemo.engine.lanes import Lanes
from rtemo.engine.options import EngineOptions
from rtemo.engine.outbox import Outbox
from rtemo.engine.pacer import Pacer, Verdict
from rtemo.engine.relief import Relief
from rtemo.engine.sink_thread import SinkThread
from rtemo.engine.stage import Stage
from rtemo.engine.stats import Histogram
from rtemo.engine.stream import Stream
from rtemo.engine.trouble import describe

_BELL_ROWS = 8  # with more live streams some packet always rings; looking four times a hop costs less
_CATCH_UP_NS = 1_000_000


class Driver:
    """Gathers, runs the chain, charges what is late, and retires what has ended.

    `step` makes one decision and can be called by hand on a virtual clock; `run` repeats it on a thread.
    """

    def __init__(
        self,
        format: StreamFormat,
        options: EngineOptions,
        is_live: bool,
        clock: Clock,
        bell: Doorbell,
        floor: Floor,
        intake: Intake,
        outbox: Outbox,
        on_audio: AudioTap | None = None,
        sinks: Sequence[SinkThread] = (),
        lanes: Lanes | None = None,
        demand: Demand | None = None,
    ) -> None:
        capacity = floor.capacity
        self._format = format
        self._options = options
        self._clock = clock
        self._bell = bell
        self._floor = floor
        self._intake = intake
        self._outbox = outbox
        self._sinks = tuple(sinks)
        self._hand_out = HandOut(format, floor, intake, self._sinks, on_audio, self.report_fault)
        self._demand = demand or Demand((), on_audio is not None, capacity)
        self._asked_lanes = lanes
        self._lanes: Lanes | None = None
        self._lingering: list[tuple[Stream, int]] = []
        self._pacer = Pacer(format.hop_ns, format.hop_samples, is_live, round(options.stall_s * 1e9))
        self._is_live = is_live
        self.chain: Chain
        self._capacity = capacity
        self._capture_ns = np.zeros(capacity, np.int64)
        self._hop_end = np.zeros(capacity, np.int64)
        self._block: Block
        self._new_buffers()
        self._stop = threading.Event()
        self._rang_ns = 0
        self.is_muted = self.has_failed = False
        self.ticks = self.xruns = 0
        self._relief: Relief | None = None
        self.source_counts: Callable[[], tuple[SourceCounts, ...]] = tuple
        self.tick_time, self.late = Histogram(), Histogram()
        self._health_due_ns = 0
        self._health: Health | None = None

    def start(self, chain: Chain) -> None:
        """Begin pacing with a warmed chain."""
        self.chain = chain
        if self._asked_lanes is not None and self._asked_lanes.all:
            self._lanes = self._asked_lanes
        now_ns = self._clock.now_ns()
        self._pacer.start(now_ns)
        self._health_due_ns = now_ns + round(self._options.health_interval_s * 1e9)
        if self._is_live:
            ladder = Ladder(self._format.hop_ns, self._options.give_up_load)
            self._relief = Relief(ladder, chain, self._lanes, self._report, now_ns)

    def leave_lanes_out(self) -> None:
        """Cut no window from now on, so that nothing but ticks is measured."""
        self._lanes = None

    def run(self, holder: int) -> None:
        """Drive until stopped or until the turn is taken away."""
        try:
            while not self._stop.is_set():
                self.step(holder)
        except TurnLost:
            return
        except BaseException as error:
            self.has_failed = True
            self.report_fault("engine", describe(error), action="stopped")
            raise

    def stop(self) -> None:
        """Ask the driver thread to end after the present tick. Any thread."""
        self._stop.set()
        self._bell.is_armed = True
        self._bell.ring()

    def step(self, holder: int = 0) -> bool:
        """Admit arrivals, then tick or wait; tell whether it ticked."""
        floor = self._floor
        if self._lanes is not None:
            self._bring_home(holder)
        self._admit_arrivals()
        now_ns = self._clock.now_ns()
        if now_ns >= self._health_due_ns:
            self._report_health(now_ns)
        if self._relief is not None and now_ns >= self._relief.ladder.due_ns:
            self._relief.look(now_ns, holder)
        verdict, until_ns = self._decide(now_ns)
        if verdict is Verdict.WAIT and self._is_live and len(floor.rows) > _BELL_ROWS:
            self._bell.mute()
            until_ns = min(until_ns, self._health_due_ns, now_ns + self._format.hop_ns // 4)
            if not self._stop.is_set():
                self._wait(now_ns, until_ns)
            self._rang_ns = 0
            return False
        if verdict is Verdict.WAIT:
            # Arm first, then look again: audio that came in between must not be slept through.
            self._bell.arm()
            self._admit_arrivals()
            verdict, until_ns = self._decide(now_ns)
            if verdict is Verdict.WAIT:
                if self._stop.is_set():
                    return False
                rang = self._wait(now_ns, min(until_ns, self._health_due_ns))
                self._rang_ns = self._bell.rang_ns if rang else 0
                return False
            self._bell.is_armed = False
        self._rang_ns = 0
        self._tick(holder)
        return True

    def _wait(self, now_ns: int, until_ns: int) -> bool:
        """Wait for the bell; what passes meanwhile is no work."""
        relief = self._relief
        if relief is not None:
            relief.ladder.work(now_ns)
        rang = self._clock.wait(self._bell, until_ns)
        if relief is not None:
            relief.ladder.rest(self._clock.now_ns())
        return rang

    def _admit_arrivals(self) -> None:
        came = self._floor.admit_arrivals(self.chain)
        for stream in came:
            if self._lanes is not None:
                self._lanes.clear(stream.slot)
        if came:
            self._demand.ask_now(self._floor.rows)

    def _bring_home(self, holder: int) -> None:
        """Have what lanes found told, and let streams go of which nothing more is to be told."""
        lanes, lingering = self._lanes, self._lingering
        if lanes is None:
            return
        ended = {stream for stream, _ in lingering}
        self.chain.tell(lanes.collect(lambda stream: stream in ended), holder)
        if not lingering:
            return
        self.chain.hear(holder)
        now_ns = self._clock.now_ns()
        self._lingering = []
        for stream, until_ns in lingering:
            if lanes.has(stream) and now_ns < until_ns:
                self._lingering.append((stream, until_ns))
                continue
            lanes.forget(stream)
            lanes.clear(stream.slot)  # what was said goes with who said it
            self._floor.leave(stream)

    def _retire(self, row: int) -> None:
        """Take a stream out that has ended; it keeps its name until its lanes have told what they found."""
        lanes = self._lanes
        last = len(self._floor.rows) - 1
        stream = self._floor.take_out(row, self.chain)
        stream.end_sample = int(self._hop_end[row])
        for table in (self._hop_end, self._capture_ns):  # what lanes say before the next tick is placed by these
            table[row] = table[last]
        self._demand.ask_now(self._floor.rows)
        if lanes is not None and lanes.has(stream):
            self._lingering.append((stream, self._clock.now_ns() + lanes.longest_age_ns))
            return
        if lanes is not None:
            lanes.clear(stream.slot)
        self._floor.leave(stream)

    def release(self, reason: str) -> None:
        """Let everybody go, those too of whom lanes still had something to tell; after the driver has ended."""
        for stream, _ in self._lingering:
            self._floor.leave(stream)
        self._lingering = []
        self._floor.retire_all(self.chain, reason)
        if self._lanes is not None:
            self._lanes.clear_all()

    def _decide(self, now_ns: int) -> tuple[Verdict, int]:
        slots = self._floor.slots
        if not slots.shape[0]:
            self._pacer.due_ns = now_ns
            return Verdict.WAIT, now_ns + 10 * self._format.hop_ns
        if not self._is_live and (self._outbox.is_half_full or any(sink.outbox.is_half_full for sink in self._sinks)):
            return Verdict.WAIT, now_ns + _CATCH_UP_NS  # nothing is to be lost, so publishers and sinks set the pace
        intake = self._intake
        ring = intake.ring
        ended = ring.ended[slots]
        fill = ring.write[slots] - ring.read[slots]
        is_mute = intake.dry_hops[slots] >= intake.mute_hops
        return self._pacer.decide(now_ns, fill, intake.prefill[slots], ended, self._rang_ns, is_mute)

    def _tick(self, holder: int) -> None:
        floor, chain, clock = self._floor, self.chain, self._clock
        n = len(floor.rows)
        start_ns = clock.now_ns()
        ready_ns = self._pacer.ready_ns
        block = self._block
        if block.n != n:
            self._resize(n)
            block = self._block
        block.tick = self.ticks
        self._intake.take(floor.slots, start_ns, block.samples, block.start_sample, block.flags, self._capture_ns[:n])
        block.rows[:] = floor.slots
        self._demand.ask(floor.rows, self.ticks)
        np.add(block.start_sample, self._format.hop_samples, out=self._hop_end[:n])
        last = np.flatnonzero(block.flags & np.uint8(HopFlag.LAST))  # before any plugin can write over it
        is_late = self._is_live and start_ns - ready_ns > self._format.hop_ns
        lanes = self._lanes
        if lanes is not None and lanes.heard is not None:
            lanes.heard.append(floor.slots, block.samples, block.start_sample)
        slowest = chain.process(block, ready_ns, holder)
        if lanes is not None:
            if lanes.processed is not None:
                lanes.processed.append(floor.slots, block.samples, block.start_sample)
            lanes.cut(block, floor.rows, chain.log.events, is_late)
        chain.log.clear()
        self._hand_out.give(block, last, self._hop_end, self._capture_ns)
        end_ns = clock.now_ns()
        self.tick_time.add(end_ns - start_ns)
        self.late.add(start_ns - ready_ns)
        self.ticks += 1
        if self._relief is not None:
            self._relief.ladder.work(end_ns, ticks=1)
        if self._is_live and end_ns - ready_ns > self._format.hop_ns:
            self.xruns += 1
            if slowest >= 0:
                chain.stages[slowest].xruns += 1
            for stream in floor.rows:
                stream.xruns += 1
        for row in last[::-1]:
            self._retire(int(row))

    def emit(
        self, plugin: str, row: int | StreamFacts | None, data: Payload, start_sample: int, end_sample: int
    ) -> None:
        """Post a plugin's event about a stream, by row or itself, or about the engine as a whole. Driver thread.

        Raises:
            PluginError: It ends beyond what there is of the stream.
        """
        if self.is_muted:
            return
        stream = self._stream_of(row)
        if stream is None:
            self._outbox.post(None, plugin, data, start_sample, end_sample)
            return
        place = stream.row
        reached = stream.end_sample if place is None else int(self._hop_end[place])
        if end_sample > reached:
            raise PluginError(f"it emitted an event up to sample {end_sample} of a stream that has come to {reached}")
        capture_ns = 0 if place is None else int(self._capture_ns[place])
        if capture_ns:  # that of the hop's last sample; earlier samples were captured earlier
            behind_samples = int(self._hop_end[place]) - end_sample
            capture_ns -= behind_samples * 1_000_000_000 // self._format.sample_rate_hz
        self._outbox.post(stream, plugin, data, start_sample, end_sample, capture_ns)

    def drop_event(self, plugin: str, row: int | StreamFacts | None, problem: str) -> None:
        """Count an event of a plugin that says too much; say so too when `problem` is not empty. Driver thread."""
        if self.is_muted:
            return
        self._outbox.drop(self._stream_of(row))
        if problem:
            self.report_fault(plugin, problem, action="dropped")

    def _stream_of(self, row: int | StreamFacts | None) -> Stream | None:
        return row if row is None or isinstance(row, Stream) else self._floor.rows[row]  # type: ignore[index]

    def report_fault(self, plugin: str, problem: str, action: str = "bypassed") -> None:
        """Say that a plugin has failed and is bypassed."""
        self._report(Fault(where=plugin, problem=problem, action=action))

    def _report(self, data: Payload) -> None:
        self._outbox.post(None, "engine", data, 0, 0)

    def pass_on(self) -> None:
        """Prepare for a new driver thread after a hang: fresh buffers, one lost hop per stream counted."""
        self._new_buffers()
        for slot in self._floor.slots:
            self._intake.lose_hop(int(slot))
        self._pacer.start(self._clock.now_ns())

    def health(self) -> Health:
        """Tell the state of the engine: as last reported, with counters as of now."""
        if self._health is None:
            return self._measure_health()
        return msgspec.structs.replace(self._health, **self._present())

    def _report_health(self, now_ns: int) -> None:
        self._health = self._measure_health()
        self._health_due_ns = now_ns + round(self._options.health_interval_s * 1e9)
        self._outbox.post(None, "engine", self._health, 0, 0)
        self.tick_time.clear()
        self.late.clear()
        for stage in self._stages:
            stage.busy.clear()
            stage.wait.clear()

    def _measure_health(self) -> Health:
        # In freewheel hops are worked off faster than they last, so load is time spent per hop, not per second.
        hop_ns = self._format.hop_ns
        return Health(
            capacity=self._capacity,
            load=self.tick_time.mean_ns() / hop_ns,
            tick_p50_us=self.tick_time.percentile_ns(50) / 1e3,
            tick_p99_us=self.tick_time.percentile_ns(99) / 1e3,
            late_p99_us=self.late.percentile_ns(99) / 1e3,
            plugins=tuple(stage.timing(hop_ns) for stage in self._stages),
            lanes=() if self._lanes is None else self._lanes.states(),
            history_bytes_per_stream=0 if self._lanes is None else self._lanes.bytes_per_stream,
            **self._present(),
        )

    def _present(self) -> dict[str, Any]:
        """What of the state is that of now, whenever it is asked for."""
        relief = self._relief
        return {
            "streams": len(self._floor.rows),
            "ticks": self.ticks,
            "counters": self._floor.counters(self.xruns, self.skipped_turns),
            "sinks": tuple(sink.state() for sink in self._sinks),
            "sources": self.source_counts(),
            "given_up": () if relief is None else relief.given_up,
            "given_up_s": 0.0 if relief is None else relief.lasts_s(self._clock.now_ns()),
        }

    @property
    def _stages(self) -> list[Stage]:
        return self.chain.stages if hasattr(self, "chain") else []  # none before the engine is open

    @property
    def skipped_turns(self) -> int:
        """Turns of plugins that were left out, and hops whose audio was not made though somebody wanted it."""
        return self.chain.left_out_turns if hasattr(self, "chain") else 0

    def _new_buffers(self) -> None:
        capacity, hop = self._capacity, self._format.hop_samples
        self._samples = np.zeros((capacity, hop), np.float32)
        self._start_sample = np.zeros(capacity, np.int64)
        self._flags = np.zeros(capacity, np.uint8)
        self._rows = np.zeros(capacity, np.int64)
        self._block = Block(0, self._samples[:0], self._rows[:0], self._start_sample[:0], self._flags[:0], {})

    def _resize(self, n: int) -> None:
        chain, streams = self.chain, self._floor.rows  # the list itself, so that it is always that of the tick
        views = (self._samples[:n], self._rows[:n], self._start_sample[:n], self._flags[:n])
        self._block = Block(
            self.ticks, *views, chain.marks(n), chain.heard(n), chain.doubts(n), streams, self._demand.wanted(n)
        )
